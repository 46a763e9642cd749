"""Everything about one photo as JSON: its file, tags with their origin, weaker guesses."""

from __future__ import annotations

from frontend.components.tag_editor import Chips, TagChip
from frontend.ui.text import format_size, format_time
from tagger.inference.registry import display_name
from tagger.library.library import Library
from tagger.library.records import Annotation, Photo, StoredPrediction, Tag
from tagger.text import escape_controls, whole_percent


class Details(Chips):
    """A photo's tags as chips, and its file: `facts` are lines about it."""

    id: int
    digest: str
    name: str
    width: int
    height: int
    path: str
    facts: list[str]
    missing: bool
    model: str


def load_details(library: Library, photo_id: int) -> Details:
    """A photo of the library. Raises OptionError if there is none, or it is deleted."""
    photo = library.photo(photo_id)
    prediction = library.prediction(photo_id)
    return {
        **load_chips(library, photo),
        "id": photo.id,
        "digest": photo.sha256,
        "name": escape_controls(photo.name),
        "width": photo.width,
        "height": photo.height,
        "path": escape_controls(str(photo.path)),
        "facts": describe_file(photo),
        "missing": photo.missing,
        "model": "" if prediction is None else display_name(prediction.model),
    }


def load_chips(library: Library, photo: Photo) -> Chips:
    """The tags of a photo of the library."""
    prediction = library.prediction(photo.id)
    removed = [answer for answer in library.annotations(photo.id) if answer.present is False]
    return {
        "tags": [_chip(tag, library) for tag in photo.tags],
        "weaker": list_weaker(photo, prediction, removed),
        "removed": [_removed_chip(answer) for answer in removed],
        "unknown": "" if photo.tags or prediction is None else explain_unknown(prediction),
        "explains": prediction is not None,
    }


def describe_file(photo: Photo) -> list[str]:
    """When a photo was taken and added, its size, and whose the file is."""
    facts = [] if photo.taken_at is None else [f"Taken {format_time(photo.taken_at)}"]
    facts.append(f"Added {format_time(photo.added_at.astimezone())}")
    facts.append(f"{photo.width:,} × {photo.height:,} pixels · {format_size(photo.size)}")
    facts.append("Copy in library" if photo.stored else "Original in its folder")
    return facts


def list_weaker(
    photo: Photo, prediction: StoredPrediction | None, removed: list[Annotation]
) -> list[TagChip]:
    """What the model thought of and did not say, the likeliest first."""
    if prediction is None:
        return []
    settled = {tag.label for tag in photo.tags} | {answer.label for answer in removed}
    origin = f"Suggested by {display_name(prediction.model)}, not sure enough"
    return [
        {"label": label, "score": whole_percent(score), "origin": origin, "confirmed": False}
        for label, score in prediction.scores
        if label not in settled
    ]


def _chip(tag: Tag, library: Library) -> TagChip:
    return {
        "label": tag.label,
        "score": "" if tag.score is None else whole_percent(tag.score),
        "origin": describe_origin(tag, library),
        "confirmed": tag.by_person,
    }


def _removed_chip(answer: Annotation) -> TagChip:
    time = format_time(answer.made_at.astimezone())
    origin = f"You said no, {time}"
    return {"label": answer.label, "score": "", "origin": origin, "confirmed": False}


def describe_origin(tag: Tag, library: Library) -> str:
    """Where a tag comes from: a person and when, or a model, its score, and the operation."""
    time = format_time(tag.made_at.astimezone())
    model = "" if tag.model is None else display_name(tag.model)
    score = "" if tag.score is None else f"{model} {whole_percent(tag.score)}"
    if tag.by_person:
        return f"Added by you, {time}" + (f"; {score}" if score else "")
    title = library.operation(tag.operation_id).title
    needed = "" if tag.threshold is None else f" (needs {whole_percent(tag.threshold)})"
    return f"{score}{needed}, {time}, {title}"


def explain_unknown(prediction: StoredPrediction) -> str:
    """Why a prediction is "unknown", in a sentence; "" if it is not."""
    if prediction.reason is None or not prediction.scores:
        return ""
    label, score = prediction.scores[0]
    closest = f"Closest: {label}, {whole_percent(score)}."
    if prediction.reason == "unfamiliar":
        model = display_name(prediction.model)
        return f"Doesn't look like anything {model} was trained on. {closest}"
    return f"Not sure enough to tag. {closest}"
