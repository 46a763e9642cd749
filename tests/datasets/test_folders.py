"""Label folders, with split folders around them or without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers import folders
from tests.datasets.label_files import contents, touch, write_file


@pytest.mark.parametrize("outer", ["", "archive/", "archive/inner/"])
def test_a_folder_is_a_label_at_any_depth(tmp_path: Path, outer: str) -> None:
    photos = ["cat/1.jpg", "cat/indoors/old/2.png", "dog/3.jpg"]
    touch(tmp_path, *(outer + path for path in photos))
    touch(tmp_path, f"{outer}.hidden/4.jpg")
    write_file(tmp_path / outer / "empty" / "notes.txt", "x")
    listing = folders.read(tmp_path)
    assert (listing.label_format, listing.kind, listing.names) == (
        "folders",
        "single",
        ("cat", "dog"),
    )
    assert contents(listing, tmp_path / outer) == {
        path: ({path.split("/")[0]}, set(), "train") for path in photos
    }


def test_split_folders_contain_label_folders(tmp_path: Path) -> None:
    touch(tmp_path, "Train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg", "TEST/dog/4.jpg")
    touch(tmp_path, "extra/emu/5.jpg")
    listing = folders.read(tmp_path)
    assert {path[-5:]: split for path, (_, _, split) in contents(listing, tmp_path).items()} == {
        "1.jpg": "train",
        "2.jpg": "train",
        "3.jpg": "val",
        "4.jpg": "test",
    }
    assert listing.names == ("cat", "dog")


def test_without_train_a_folder_called_test_is_a_label(tmp_path: Path) -> None:
    touch(tmp_path, "test/1.jpg", "fail/2.jpg")
    assert folders.read(tmp_path).names == ("fail", "test")


def test_folders_without_photos_are_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg")
    (tmp_path / "dog").mkdir()
    (tmp_path / ".git").mkdir()
    assert folders.read(tmp_path).names == ("cat",)
    assert folders.count_label_folders(tmp_path) == 2


def test_no_folders_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    listing = folders.read(tmp_path)
    assert (listing.names, listing.samples) == ((), ())
