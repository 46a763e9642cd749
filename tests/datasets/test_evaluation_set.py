"""Evaluation sets: photos with labels of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.datasets import evaluation_set
from tagger.datasets.pixel_store import PixelStore
from tagger.errors import DatasetError
from tagger.images import transforms
from tagger.labels import LabelSet
from tests.datasets.conftest import SIDE, write_photos


def test_only_photos_with_labels_of_the_model_are_loaded(root: Path, store: PixelStore) -> None:
    write_photos(root / "ape", 1, 2)
    write_photos(root / "dog", 3, 4)
    write_photos(root / "cat" / "deep", 5)
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
    write_photos(root / "ape", 1)
    write_photos(root / "bee", 2)
    with pytest.raises(DatasetError, match=r"no label in it is one of cat, dog"):
        evaluation_set.load(root, LabelSet(("cat", "dog")), store)


def test_a_single_label_is_enough(root: Path, store: PixelStore) -> None:
    write_photos(root / "dog", 1, 2, 3)
    samples, unreadable = evaluation_set.load(root, LabelSet(("cat", "dog")), store)
    assert [sample.label for sample in samples] == [1, 1, 1] and not unreadable


def test_doubtful_tags_get_the_numbers_of_the_model(root: Path, store: PixelStore) -> None:
    write_photos(root, 1, 2)
    (root / "labels.csv").write_text("image,ape,cat,dog\n001.png,0.3,0.2,1\n002.png,0,1,0.7\n")
    samples, _ = evaluation_set.load(root, LabelSet(("dog", "cat"), "multi"), store)
    assert [sample.doubtful for sample in samples] == [((1, 0.2),), ((0, 0.7),)]
    assert [(sample.present, sample.unseen) for sample in samples] == [((0,), (1,)), ((1, 0), ())]


def test_no_readable_photo_is_an_error(root: Path, store: PixelStore) -> None:
    for label in ("cat", "dog"):
        (root / label).mkdir()
        (root / label / "broken.jpg").touch()
    with pytest.raises(DatasetError):
        evaluation_set.load(root, LabelSet(("cat", "dog")), store)
