"""Evaluation sets: photos with labels of a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tagger.datasets import evaluation_set
from tagger.datasets.pixel_store import PixelStore
from tagger.errors import DatasetError
from tagger.images import decode, transforms
from tagger.labels import LabelSet

SIDE = 24


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PixelStore]:
    pixels = PixelStore(tmp_path / "pixels.u8", SIDE)
    yield pixels
    pixels.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def picture(seed: int) -> decode.Pixels:
    """Soft random colours, no two alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC)


def put(folder: Path, *seeds: int) -> None:
    """A photo for each seed, the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / f"{seed:03}.png").write_bytes(decode.encode(picture(seed)))


def test_only_photos_with_labels_of_the_model_are_loaded(root: Path, store: PixelStore) -> None:
    put(root / "ape", 1, 2)
    put(root / "dog", 3, 4)
    put(root / "cat" / "deep", 5)
    (root / "cat" / "broken.jpg").touch()
    samples, unreadable = evaluation_set.load(root, LabelSet(("cat", "cow", "dog")), store)
    assert [path for path, _ in unreadable] == ["cat/broken.jpg"]
    assert sorted(s.path.relative_to(root).as_posix() for s in samples) == [
        "cat/deep/005.png",
        "dog/003.png",
        "dog/004.png",
    ]
    assert {(s.path.parts[len(root.parts)], s.label) for s in samples} == {("cat", 0), ("dog", 2)}
    assert {s.split for s in samples} == {"test"}
    np.testing.assert_array_equal(store[samples[0].row], transforms.prepare(samples[0].path, SIDE))


def test_photos_with_other_labels_are_an_error(root: Path, store: PixelStore) -> None:
    put(root / "ape", 1)
    put(root / "bee", 2)
    with pytest.raises(DatasetError, match=r"no label in it is one of cat, dog"):
        evaluation_set.load(root, LabelSet(("cat", "dog")), store)


def test_a_single_label_is_enough(root: Path, store: PixelStore) -> None:
    put(root / "dog", 1, 2, 3)
    samples, unreadable = evaluation_set.load(root, LabelSet(("cat", "dog")), store)
    assert [sample.label for sample in samples] == [1, 1, 1] and not unreadable


def test_no_readable_photo_is_an_error(root: Path, store: PixelStore) -> None:
    for label in ("cat", "dog"):
        (root / label).mkdir()
        (root / label / "broken.jpg").touch()
    with pytest.raises(DatasetError):
        evaluation_set.load(root, LabelSet(("cat", "dog")), store)
