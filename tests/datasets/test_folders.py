"""Folders as labels, with splits around them or without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers import folders
from tests.datasets.written import content, put, save


@pytest.mark.parametrize("outer", ["", "archive/", "archive/inner/"])
def test_a_folder_is_a_label_however_deep_its_photos_lie(tmp_path: Path, outer: str) -> None:
    photos = ["cat/1.jpg", "cat/indoors/old/2.png", "dog/3.jpg"]
    put(tmp_path, *(outer + place for place in photos))
    put(tmp_path, f"{outer}.hidden/4.jpg")
    save(tmp_path / outer / "empty" / "notes.txt", "x")
    found = folders.read(tmp_path)
    assert (found.label_format, found.kind, found.names) == ("folders", "single", ("cat", "dog"))
    assert content(found, tmp_path / outer) == {
        place: ({place.split("/")[0]}, set(), "train") for place in photos
    }


def test_folders_named_for_splits_hold_the_labels(tmp_path: Path) -> None:
    put(tmp_path, "Train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg", "TEST/dog/4.jpg")
    put(tmp_path, "extra/emu/5.jpg")
    found = folders.read(tmp_path)
    assert {place[-5:]: split for place, (_, _, split) in content(found, tmp_path).items()} == {
        "1.jpg": "train",
        "2.jpg": "train",
        "3.jpg": "val",
        "4.jpg": "test",
    }
    assert found.names == ("cat", "dog")


def test_without_train_a_folder_called_test_is_a_label(tmp_path: Path) -> None:
    put(tmp_path, "test/1.jpg", "fail/2.jpg")
    assert folders.read(tmp_path).names == ("fail", "test")


def test_folders_without_photos_are_counted_and_no_labels(tmp_path: Path) -> None:
    put(tmp_path, "cat/1.jpg")
    (tmp_path / "dog").mkdir()
    (tmp_path / ".git").mkdir()
    assert folders.read(tmp_path).names == ("cat",)
    assert folders.count_label_folders(tmp_path) == 2


def test_no_folders_no_labels(tmp_path: Path) -> None:
    put(tmp_path, "1.jpg")
    found = folders.read(tmp_path)
    assert (found.names, found.samples) == ((), ())
