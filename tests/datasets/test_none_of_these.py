"""Photos with none of the labels: the labels become tags that are absent from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets import dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.errors import DatasetError
from tests.datasets.conftest import write_photos


def test_labels_become_tags_that_the_photos_have_not(
    root: Path, store: PixelStore, tmp_path: Path
) -> None:
    write_photos(root / "cat", *range(10))
    write_photos(root / "dog", *range(10, 20))
    nothing = tmp_path / "nothing"
    write_photos(nothing / "deeper", *range(20, 40))
    write_photos(nothing, 0)  # a copy of a cat
    (nothing / "broken.jpg").write_bytes(b"no photo")
    loaded = dataset.load(root, store, none_of_these=nothing)
    assert loaded.labels.kind == "multi" and loaded.labels.names == ("cat", "dog")
    without = [sample for sample in loaded.samples if not sample.present]
    assert len(without) == 20 and len(loaded.samples) == 40
    assert not any(sample.unseen for sample in loaded.samples)
    assert {sample.split for sample in without} == {"train", "val"}
    counts = loaded.counts()
    assert {name: counts["train"][name] + counts["val"][name] for name in ("cat", "dog")} == {
        "cat": 10,
        "dog": 10,
    }
    assert [photo for photo, _ in loaded.problems.unreadable] == [
        (nothing / "broken.jpg").as_posix()
    ]
    assert not loaded.problems.conflicting and not loaded.problems.copies


def test_a_single_label_is_enough_and_named_splits_get_photos_too(
    root: Path, store: PixelStore, tmp_path: Path
) -> None:
    write_photos(root / "train" / "cat", *range(8))
    write_photos(root / "val" / "cat", *range(8, 12))
    nothing = tmp_path / "nothing"
    write_photos(nothing, *range(20, 30))
    loaded = dataset.load(root, store, none_of_these=nothing)
    assert loaded.labels.names == ("cat",)
    without = [sample.split for sample in loaded.samples if not sample.present]
    assert (without.count("train"), without.count("val")) == (8, 2)


def test_a_folder_without_photos_is_an_error(root: Path, store: PixelStore, tmp_path: Path) -> None:
    write_photos(root / "cat", *range(8))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DatasetError, match="found 0 photos of other things"):
        dataset.load(root, store, none_of_these=tmp_path / "nothing")
