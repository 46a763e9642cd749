"""Everything about one photo as JSON: its file, tags with their origin, weaker guesses."""

from __future__ import annotations

from collections.abc import Sequence

from frontend.components.tag_editor import Chips, TagChip
from frontend.photos.answers import explain_unknown
from frontend.ui.text import format_size, format_time
from tagger.inference.registry import display_name
from tagger.library.library import Library
from tagger.library.records import Annotation, Photo, StoredPrediction, Tag
from tagger.text import escape_controls, whole_percent

MAX_WEAKER = 8  # of what models thought of and did not say


class Details(Chips):
    """A photo's tags as chips, what was written of it, and its file: `facts` are lines about it.

    `path` is the name alone where the file is the library's own copy.
    """

    id: int
    digest: str
    name: str
    width: int
    height: int
    path: str
    facts: list[str]
    missing: bool
    model: str
    rating: int
    caption: str


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
        "path": escape_controls(photo.name if photo.stored else str(photo.path)),
        "facts": describe_file(photo),
        "missing": photo.missing,
        "model": "" if prediction is None else display_name(prediction.model),
        "rating": photo.rating,
        "caption": photo.caption or "",
    }


def load_chips(library: Library, photo: Photo) -> Chips:
    """The tags of a photo of the library."""
    every = library.predictions(photo.id)
    predictions = [each for each in every if not each.by_head]
    heads = {each.model_sha256 for each in every if each.by_head}
    removed = [answer for answer in library.annotations(photo.id) if answer.present is False]
    first = next(iter(predictions), None)
    return {
        "tags": [_chip(tag, library, tag.model_sha256 in heads) for tag in photo.tags],
        "weaker": list_weaker(library, photo, predictions, removed),
        "removed": [_removed_chip(answer) for answer in removed],
        "unknown": ""
        if photo.tags or first is None
        else explain_unknown(first.reason, first.model, first.scores),
    }


def describe_file(photo: Photo) -> list[str]:
    """When a photo was taken and added, its size, and whose the file is."""
    facts = [] if photo.taken_at is None else [f"Taken {format_time(photo.taken_at)}"]
    facts.append(f"Added {format_time(photo.added_at.astimezone())}")
    facts.append(f"{photo.width:,} × {photo.height:,} pixels · {format_size(photo.size)}")
    facts.append("Copy in library" if photo.stored else "Original in its folder")
    return facts


def list_weaker(
    library: Library,
    photo: Photo,
    predictions: Sequence[StoredPrediction],
    removed: Sequence[Annotation],
) -> list[TagChip]:
    """What the models thought of and did not say, the likeliest first, as photos show it."""
    names = library.tags.shown_names(
        label for prediction in predictions for label, _ in prediction.scores
    )
    settled = {tag.label for tag in photo.tags} | {answer.label for answer in removed}
    weaker: dict[str, tuple[float, str]] = {}  # score and model by name
    for prediction in predictions:
        for label, score in prediction.scores:
            name = names[label]
            if name is not None and name not in settled and score > weaker.get(name, (0.0, ""))[0]:
                weaker[name] = score, display_name(prediction.model)
    ranked = sorted(weaker.items(), key=lambda item: -item[1][0])
    return [
        {
            "label": name,
            "score": whole_percent(score),
            "origin": f"Suggested by {model}, not sure enough",
            "confirmed": False,
            "explains": True,
        }
        for name, (score, model) in ranked[:MAX_WEAKER]
    ]


def _chip(tag: Tag, library: Library, by_head: bool) -> TagChip:
    return {
        "label": tag.label,
        "score": "" if tag.score is None else whole_percent(tag.score),
        "origin": describe_origin(tag, library, by_head),
        "confirmed": tag.by_person,
        "explains": tag.model is not None and not by_head,
    }


def _removed_chip(answer: Annotation) -> TagChip:
    time = format_time(answer.made_at.astimezone())
    return {
        "label": answer.label,
        "score": "",
        "origin": f"You said no, {time}",
        "confirmed": False,
        "explains": False,
    }


def describe_origin(tag: Tag, library: Library, by_head: bool) -> str:
    """Where a tag comes from: a person and when, or a model, its score, and the operation.

    `by_head`: it was learnt from examples.
    """
    time = format_time(tag.made_at.astimezone())
    model = "" if tag.model is None else display_name(tag.model)
    model = "Learnt from your examples," if by_head else model
    score = "" if tag.score is None else f"{model} {whole_percent(tag.score)}"
    if tag.by_person:
        return f"Added by you, {time}" + (f"; {score}" if score else "")
    title = library.operation(tag.operation_id).title
    needed = "" if tag.threshold is None else f" (needs {whole_percent(tag.threshold)})"
    return f"{score}{needed}, {time}, {title}"
