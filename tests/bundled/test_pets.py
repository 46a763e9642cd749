"""The bundled model `pets` on real photos: accuracy, and unknown photos."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tagger import Prediction, Tagger
from tagger.images import decode

LABELS = ("cat", "dog")


@pytest.fixture(scope="module")
def pets() -> Tagger:
    return Tagger.load("pets")


def tag_all(tagger: Tagger, photos: Iterable[Path]) -> list[Prediction]:
    return [result for result in tagger.tag_many(photos) if isinstance(result, Prediction)]


def tag_labelled(tagger: Tagger, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """For each photo in label folders: is the likeliest label correct, and is it decided?"""
    photos = [path for label in LABELS for path in decode.find_photos(root / label)]
    predictions = tag_all(tagger, photos)
    assert len(predictions) == len(photos)
    labels = [prediction.scores[0].label for prediction in predictions]
    correct = [label == path.parent.name for label, path in zip(labels, photos, strict=True)]
    return np.array(correct), np.array([not prediction.unknown for prediction in predictions])


@pytest.mark.parametrize(
    ("folder", "accuracy", "decided"),
    [("pets/val", 0.985, 0.97), ("pets_other_source", 0.975, 0.97)],
)
def test_cats_and_dogs_are_recognised_and_rarely_unknown(
    pets: Tagger, data: Path, folder: str, accuracy: float, decided: float
) -> None:
    is_correct, is_decided = tag_labelled(pets, data / folder)
    assert is_correct.mean() >= accuracy
    assert is_decided.mean() >= decided


def test_photos_of_other_things_are_unknown(pets: Tagger, data: Path) -> None:
    results = list(pets.tag_many(decode.find_photos(data / "unrelated")))
    assert len(results) == 404
    accepted = [r for r in results if isinstance(r, Prediction) and not r.unknown]
    assert len(accepted) / len(results) <= 0.005


def test_softmax_alone_would_accept_photos_of_other_things(pets: Tagger, data: Path) -> None:
    """The reason for the test of familiarity."""
    predictions = tag_all(pets, decode.find_photos(data / "unrelated"))
    assert np.mean([prediction.confidence >= 0.70 for prediction in predictions]) > 0.2


def test_the_card_has_training_data_scores_and_weaknesses(pets: Tagger) -> None:
    card = pets.card
    assert card["about"] and card["command"].startswith("python train.py")
    assert sum(card["trained_on"]["photos"]["train"].values()) > 3000
    assert card["scores"]["validation"]["accuracy"] >= 0.985
    assert card["scores"]["unknown"]["measured_on"] == "unrelated photos"
    assert card["settings"]["epochs"] > 0 and card["weakest"]
