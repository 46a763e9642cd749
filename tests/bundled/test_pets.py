"""The bundled model on real photos: the bars it must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger import Prediction, Tagger
from tagger.images import decode

LABELS = ("cat", "dog")


@pytest.fixture(scope="module")
def pets() -> Tagger:
    return Tagger.load("pets")


def tag_labelled(tagger: Tagger, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """For each photo in label folders: is its likeliest label right, and is it known?"""
    photos = [path for label in LABELS for path in decode.find_photos(root / label)]
    said = [answer for answer in tagger.tag_many(photos) if isinstance(answer, Prediction)]
    assert len(said) == len(photos)
    right = [a.scores[0].label == p.parent.name for a, p in zip(said, photos, strict=True)]
    return np.array(right), np.array([not answer.unknown for answer in said])


@pytest.mark.parametrize(
    ("folder", "accuracy", "known"), [("pets/val", 0.985, 0.97), ("pets_other_source", 0.975, 0.97)]
)
def test_it_knows_cats_and_dogs(
    pets: Tagger, data: Path, folder: str, accuracy: float, known: float
) -> None:
    right, kept = tag_labelled(pets, data / folder)
    assert right.mean() >= accuracy
    assert kept.mean() >= known


def test_it_does_not_take_other_things_for_cats_or_dogs(pets: Tagger, data: Path) -> None:
    said = list(pets.tag_many(decode.find_photos(data / "unrelated")))
    assert len(said) == 404
    accepted = [a for a in said if isinstance(a, Prediction) and not a.unknown]
    assert len(accepted) / len(said) <= 0.005


def test_a_softmax_alone_would_take_them(pets: Tagger, data: Path) -> None:
    """The reason there are two tests: most other things look certain."""
    said = [
        a
        for a in pets.tag_many(decode.find_photos(data / "unrelated"))
        if isinstance(a, Prediction)
    ]
    assert np.mean([answer.confidence >= 0.70 for answer in said]) > 0.2


def test_its_card_says_what_it_is(pets: Tagger) -> None:
    card = pets.card
    assert card["about"] and card["command"].startswith("python train.py")
    assert sum(card["trained_on"]["photos"]["train"].values()) > 3000
    assert card["scores"]["validation"]["accuracy"] >= 0.985
    assert card["scores"]["unknown"]["measured_on"] == "unrelated photos"
    assert card["settings"]["epochs"] > 0 and card["weakest"]
