"""The bundled model `cifar10` on CIFAR-10's test photos, and its card."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from tagger.datasets.cifar10 import LABELS
from tagger.inference import model_file
from tagger.paths import MODELS
from tagger.tagger import Prediction, Tagger

MIN_ACCURACY = 0.89  # on 5,000 photos


def photos(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The label and the bytes of each photo in an archive of label folders."""
    with tarfile.open(archive) as files:
        for member in files:
            if member.isfile():
                content = files.extractfile(member)
                assert content is not None
                yield PurePosixPath(member.name).parent.name, content.read()


def test_accuracy_on_test_photos(data: Path) -> None:
    labelled = list(photos(data / "cifar10" / "test.tar.xz"))
    results = list(Tagger.load("cifar10").tag_many([content for _, content in labelled]))
    predicted = [r.scores[0].label for r in results if isinstance(r, Prediction)]
    assert len(predicted) == len(labelled) == 5_000
    accuracy = np.mean([p == label for p, (label, _) in zip(predicted, labelled, strict=True)])
    assert accuracy >= MIN_ACCURACY


def test_the_card_has_labels_command_and_scores() -> None:
    card = model_file.load(MODELS / "cifar10.h5").card
    assert tuple(card["labels"]) == LABELS and card["backbone"] == "small_cnn"
    assert card["image_size"] == 32 and card["about"] and card["weakest"]
    assert card["command"].startswith("python train.py --data cifar10")
    assert card["scores"]["test"]["photos"] == 5_000
    assert card["scores"]["unknown"]["measured_on"] == "unrelated photos"
