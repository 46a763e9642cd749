"""The photo index: what a folder contains, and the photo that a name leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagger.datasets.readers.photo_index import Miss, PhotoIndex
from tagger.errors import DatasetError
from tests.datasets.label_files import touch, write_file


def test_photos_and_label_files_are_found_by_extension(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a/c.png", ".hidden/d.jpg", ".e.jpg", "clip.mp4")
    for name in ("labels.CSV", "a/x.xml", "notes.md"):
        write_file(tmp_path / name, "x")
    index = PhotoIndex(tmp_path)
    assert list(index.photos) == ["a/c.png", "b.JPG"]
    assert index.label_files == ["a/x.xml", "labels.CSV"] and index.folders == ["a"]
    assert index.absolute("a/c.png") == tmp_path / "a" / "c.png"
    assert index.photos_in("a") == ["a/c.png"] and index.photos_in("") == list(index.photos)


@pytest.mark.parametrize(
    ("name", "photo"),
    [
        ("a.jpg", "a.jpg"),
        ("./in/b.jpg", "in/b.jpg"),
        ("in\\b.jpg", "in/b.jpg"),
        ("b.jpg", "in/b.jpg"),  # the only one that ends so
        ("b", "in/b.jpg"),
        ("photos/a.jpg", "a.jpg"),  # written from one folder above
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("in/../a.jpg", "a.jpg"),
        ("gone.jpg", Miss.MISSING),
        ("twin.jpg", Miss.AMBIGUOUS),
        ("twin", Miss.AMBIGUOUS),
        ("../outside.jpg", Miss.OUTSIDE),
        ("in/../../outside.jpg", Miss.OUTSIDE),
        ("/etc/passwd", Miss.OUTSIDE),
        ("C:\\photos\\a.jpg", Miss.OUTSIDE),
        ("link.jpg", Miss.OUTSIDE),
        ("elsewhere/outside.jpg", Miss.OUTSIDE),
        ("again/b.jpg", "in/b.jpg"),  # a link inside
        ("", Miss.MISSING),
        ("a\0b.jpg", Miss.MISSING),
    ],
)
def test_a_name_leads_to_a_photo_inside_or_to_none(
    tmp_path: Path, name: str, photo: str | Miss
) -> None:
    root = tmp_path / "photos"
    touch(root, "a.jpg", "in/b.jpg", "x/twin.jpg", "y/twin.jpg", "caf\u00e9.jpg")
    touch(tmp_path, "outside.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "elsewhere").symlink_to(tmp_path)
    (root / "again").symlink_to(root / "in")
    assert PhotoIndex(root).find(name) == photo


def test_absolute_paths_may_lead_inside(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, "in/a.jpg")
    index = PhotoIndex(root)
    assert index.find(f"{root}/in/a.jpg") == "in/a.jpg"
    assert index.find(f"{root}-else/in/a.jpg") is Miss.OUTSIDE
    assert index.relative(str(root / "in")) == "in" and index.relative(str(root)) == ""
    assert index.relative("in/../..") is None and index.relative("/etc") is None


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert list(PhotoIndex(tmp_path).photos) == ["a.jpg"]


def test_links_to_label_files_outside_are_listed(tmp_path: Path) -> None:
    write_file(tmp_path / "labels.csv", "x")
    touch(tmp_path / "photos", "a.jpg")
    (tmp_path / "photos" / "labels.csv").symlink_to(tmp_path / "labels.csv")
    index = PhotoIndex(tmp_path / "photos")
    assert index.outside_links == ["labels.csv"] and index.label_files == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_in_the_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    write_file(tmp_path / "a.csv", "猫,é\n".encode(encoding))
    assert PhotoIndex(tmp_path).read_text("a.csv") == "猫,é\n"


def test_a_label_file_that_is_not_text_or_too_large_is_an_error(tmp_path: Path) -> None:
    write_file(tmp_path / "a.csv", b"one\ntwo\n\xff\n")
    with open(tmp_path / "b.csv", "wb") as file:
        file.truncate(2**30 + 1)  # takes no room on the disk
    index = PhotoIndex(tmp_path)
    with pytest.raises(DatasetError, match=r"a\.csv, line 3: not UTF-8 text; save the file as"):
        index.read_text("a.csv")
    with pytest.raises(DatasetError, match=r"b\.csv: larger than 1,024 MB; divide it"):
        index.read_text("b.csv")
    os.unlink(tmp_path / "a.csv")
    with pytest.raises(DatasetError, match=r"a\.csv: cannot be read \(No such file"):
        index.read_text("a.csv")


def test_label_files_are_named_for_splits_by_name_or_folder(tmp_path: Path) -> None:
    for name in ("val2017.csv", "all.csv", "train/x.csv", "other/y.csv", "test/deep/z.csv"):
        write_file(tmp_path / name, "x")
    assert PhotoIndex(tmp_path).find_split_files(".csv") == [
        ("all.csv", None),
        ("train/x.csv", "train"),
        ("val2017.csv", "val"),
    ]
