"""What the models in use say of one photo: in words, and as chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frontend.components.tag_editor import Chips, TagChip
from tagger import Prediction, Tagger
from tagger.inference.decision import Reason
from tagger.inference.registry import display_name
from tagger.library.library import Library
from tagger.text import whole_percent

MAX_SCORES = 8  # of each model, accepted or not


@dataclass(frozen=True)
class Answer:
    """What one model says of a photo."""

    tagger: Tagger
    prediction: Prediction


@dataclass(frozen=True)
class SuggestedTag:
    """A tag as the library shows it, and the `tagger` that gave it, whose label it is.

    `score` is in [0, 1]. `is_accepted`: the model is sure enough of it.
    """

    name: str
    label: str
    score: float
    tagger: Tagger
    is_accepted: bool

    @property
    def chip(self) -> TagChip:
        percent = whole_percent(self.score)
        unsure = "" if self.is_accepted else ", not sure enough"
        return {
            "label": self.name,
            "score": percent,
            "origin": f"{display_name(self.tagger.name)} {percent}{unsure}",
            "confirmed": False,
            "explains": True,
        }


def merge_answers(answers: Sequence[Answer], library: Library) -> dict[str, SuggestedTag]:
    """The tags of all models by name, in their order; of the same tag, the first accepted one.

    Left out are tags that a person hid, or that models do not give.
    """
    every = [
        SuggestedTag(each.label, each.label, each.score, answer.tagger, each.label in accepted)
        for answer in answers
        for accepted in [{tag.label for tag in answer.prediction.tags}]
        for each in answer.prediction.scores[:MAX_SCORES]
    ]
    names = library.tags.shown_names(tag.label for tag in every)
    merged: dict[str, SuggestedTag] = {}
    for tag in sorted(every, key=lambda tag: not tag.is_accepted):
        name = names[tag.label]
        if name is not None and name not in merged:
            merged[name] = SuggestedTag(name, tag.label, tag.score, tag.tagger, tag.is_accepted)
    return merged


def make_chips(tags: Mapping[str, SuggestedTag]) -> Chips:
    """The chips of a photo that is not in the library."""
    return {
        "tags": [tag.chip for tag in tags.values() if tag.is_accepted],
        "weaker": [tag.chip for tag in tags.values() if not tag.is_accepted],
        "removed": [],
        "unknown": "",
    }


def describe_answers(
    answers: Sequence[Answer], tags: Mapping[str, SuggestedTag]
) -> tuple[str, str]:
    """The heading and the sentence for what the models say: the tags, or why there are none.

    The chips say how sure the models are of each tag.
    """
    heading, sentence = ", ".join(tag.name for tag in tags.values() if tag.is_accepted), ""
    if not heading and all(answer.prediction.unknown for answer in answers):
        prediction, tagger = answers[0].prediction, answers[0].tagger
        scores = [(each.label, each.score) for each in prediction.scores]
        is_single = tagger.labels.kind == "single"
        heading = "Unknown"
        sentence = explain_unknown(prediction.reason, tagger.name, scores, is_single)
    elif not heading:
        heading, sentence = "No tags", "The tags that models give it are hidden or never given."
    squares = max(answer.prediction.squares for answer in answers)
    panorama = f"Panorama, tagged in {squares} parts" if squares > 1 else ""
    return heading, " · ".join(filter(None, [sentence, panorama]))


def explain_unknown(
    reason: Reason | None,
    model: str,
    scores: Sequence[tuple[str, float]],
    is_single: bool = False,
) -> str:
    """Why a prediction is "unknown", in a sentence; "" if it is not.

    `scores` are labels with their scores, the highest first. `is_single`: the model gives a photo
    one label.
    """
    if reason is None or not scores:
        return ""
    likeliest = [f"{label} ({whole_percent(score)})" for label, score in scores[:2]]
    closest = f"Closest: {likeliest[0]}."
    if reason == "unfamiliar":
        name = display_name(model)
        return f"Doesn’t look like anything {name} was trained on. {closest}"
    if is_single and len(likeliest) > 1:
        return f"Can’t decide between {' and '.join(likeliest)}."
    return f"Not sure enough to tag. {closest}"
