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


@pytest.fixture(scope="module")
def captioned(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was taught with the SENTENCES."""
    folder = tmp_path_factory.mktemp("captioned")
    config = tiny_config(
        shapes,
        folder,
        captions=write_captions(folder, shapes),
        hyperparameters=Hyperparameters(epochs=2),
    )
    return trainer.train(config).model


def test_photos_are_found_by_the_words_of_their_captions(shapes: Path, captioned: Path) -> None:
    tagger = Tagger.load(captioned)
    assert right_share(tagger, shapes, {f"drew a {shape}": shape for shape in SHAPES}) >= 0.7


def test_captions_add_words_to_those_of_the_model_that_training_starts_from(
    shapes: Path, captioned: Path, tmp_path: Path
) -> None:
    names = dict(zip(SHAPES, ("zorbel", "quandle", "mimpf"), strict=False))
    rows = [
        f"{photo.relative_to(shapes).as_posix()},one {names[photo.parent.name]}"
        for shape in SHAPES
        for photo in sorted(shapes.rglob(f"{shape}/*.jpg"))[:10]
    ]
    file = tmp_path / "names.csv"
    file.write_text("\n".join(["image,caption", *rows]))
    config = tiny_config(
        shapes,
        tmp_path,
        captions=file,
        weights=str(captioned),
        hyperparameters=Hyperparameters(epochs=0),
    )
    tagger = Tagger.load(trainer.train(config).model)
    assert right_share(tagger, shapes, {name: shape for shape, name in names.items()}) >= 0.6
    assert right_share(tagger, shapes, {f"drew a {shape}": shape for shape in SHAPES}) >= 0.6


def test_labels_are_words_too(shapes: Path, tmp_path: Path) -> None:
    photos = sorted(shapes.rglob(f"{SHAPES[0]}/*.jpg"))
    rows = [f"{photo.relative_to(shapes).as_posix()},something drawn here" for photo in photos]
    file = tmp_path / "captions.csv"
    file.write_text("\n".join(["image,caption", *rows]))
    config = tiny_config(shapes, tmp_path, captions=file, hyperparameters=Hyperparameters(epochs=2))
    tagger = Tagger.load(trainer.train(config).model)
    assert right_share(tagger, shapes, {shape: shape for shape in SHAPES[1:]}) >= 0.6


def right_share(tagger: Tagger, root: Path, shapes: dict[str, str]) -> float:
    """How many of the ten photos most like each description are of its shape."""
    photos = sorted(root.rglob("*.jpg"))
    vectors = np.stack([tagger.embed(photo) for photo in photos])
    return float(
        np.mean(
            [
                photos[row].parent.name == shape
                for text, shape in shapes.items()
                for row in np.argsort(-(vectors @ tagger.embed_text(text)))[:10]
            ]
        )
    )
