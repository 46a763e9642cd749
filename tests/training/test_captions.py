"""Captions teach a model words: photos are found by description."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.tagger import Tagger
from tagger.training import trainer
from tagger.training.config import Hyperparameters
from tests.conftest import SHAPES, tiny_config

pytestmark = pytest.mark.training

SENTENCES = ("a {} in the middle", "somebody drew one {}", "{}")


def write_captions(folder: Path, root: Path) -> Path:
    rows = ["image,caption"]
    for photo in sorted(root.rglob("*.jpg")):
        name = photo.relative_to(root).as_posix()
        rows += [f"{name},{sentence.format(photo.parent.name)}" for sentence in SENTENCES]
    file = folder / "captions.csv"
    file.write_text("\n".join(rows))
    return file


def test_photos_are_found_by_the_words_of_their_captions(shapes: Path, tmp_path: Path) -> None:
    config = tiny_config(
        shapes,
        tmp_path,
        captions=write_captions(tmp_path, shapes),
        hyperparameters=Hyperparameters(epochs=2),
    )
    trained = trainer.train(config)
    tagger = Tagger.load(trained.model)
    photos = sorted(shapes.rglob("*.jpg"))
    vectors = np.stack([tagger.embed(photo) for photo in photos])
    right = [
        photos[row].parent.name == shape
        for shape in SHAPES
        for row in np.argsort(-(vectors @ tagger.embed_text(f"drew a {shape}")))[:10]
    ]
    assert np.mean(right) >= 0.7  # a third by chance
