"""What a collection's folder holds, and the photo that a name means, never one outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagger.datasets.readers.photo_index import Miss, PhotoIndex
from tagger.errors import DatasetError
from tests.datasets.written import put, save


def test_photos_and_files_of_labels_are_told_apart_by_their_endings(tmp_path: Path) -> None:
    put(tmp_path, "b.JPG", "a/c.png", ".hidden/d.jpg", ".e.jpg", "clip.mp4")
    for name in ("labels.CSV", "a/x.xml", "notes.md"):
        save(tmp_path / name, "x")
    tree = PhotoIndex(tmp_path)
    assert list(tree.photos) == ["a/c.png", "b.JPG"]
    assert tree.label_files == ["a/x.xml", "labels.CSV"] and tree.folders == ["a"]
    assert tree.absolute("a/c.png") == tmp_path / "a" / "c.png"
    assert tree.photos_in("a") == ["a/c.png"] and tree.photos_in("") == list(tree.photos)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.jpg", "a.jpg"),
        ("./in/b.jpg", "in/b.jpg"),
        ("in\\b.jpg", "in/b.jpg"),
        ("b.jpg", "in/b.jpg"),  # the only one that ends so
        ("b", "in/b.jpg"),
        ("photos/a.jpg", "a.jpg"),  # seen from one folder above
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
        ("again/b.jpg", "in/b.jpg"),  # a link within
        ("", Miss.MISSING),
        ("a\0b.jpg", Miss.MISSING),
    ],
)
def test_a_name_means_one_photo_inside_or_none(
    tmp_path: Path, name: str, place: str | Miss
) -> None:
    root = tmp_path / "photos"
    put(root, "a.jpg", "in/b.jpg", "x/twin.jpg", "y/twin.jpg", "caf\u00e9.jpg")
    put(tmp_path, "outside.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "elsewhere").symlink_to(tmp_path)
    (root / "again").symlink_to(root / "in")
    assert PhotoIndex(root).find(name) == place


def test_absolute_paths_are_taken_where_they_lead_inside(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    put(root, "in/a.jpg")
    tree = PhotoIndex(root)
    assert tree.find(f"{root}/in/a.jpg") == "in/a.jpg"
    assert tree.find(f"{root}-else/in/a.jpg") is Miss.OUTSIDE
    assert tree.relative(str(root / "in")) == "in" and tree.relative(str(root)) == ""
    assert tree.relative("in/../..") is None and tree.relative("/etc") is None


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert list(PhotoIndex(tmp_path).photos) == ["a.jpg"]


def test_links_to_labels_outside_are_kept_in_mind(tmp_path: Path) -> None:
    save(tmp_path / "labels.csv", "x")
    put(tmp_path / "photos", "a.jpg")
    (tmp_path / "photos" / "labels.csv").symlink_to(tmp_path / "labels.csv")
    tree = PhotoIndex(tmp_path / "photos")
    assert tree.outside_links == ["labels.csv"] and tree.label_files == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_in_the_encodings_that_tables_have(tmp_path: Path, encoding: str) -> None:
    save(tmp_path / "a.csv", "猫,é\n".encode(encoding))
    assert PhotoIndex(tmp_path).read_text("a.csv") == "猫,é\n"


def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.csv", b"one\ntwo\n\xff\n")
    with open(tmp_path / "b.csv", "wb") as file:
        file.truncate(2**30 + 1)  # takes no room on the disk
    tree = PhotoIndex(tmp_path)
    with pytest.raises(DatasetError, match=r"a\.csv, line 3: not UTF-8 text; save the file as"):
        tree.read_text("a.csv")
    with pytest.raises(DatasetError, match=r"b\.csv: larger than 1,024 MB; divide it"):
        tree.read("b.csv")
    os.unlink(tmp_path / "a.csv")
    with pytest.raises(DatasetError, match=r"a\.csv: cannot be read \(No such file"):
        tree.read("a.csv")


def test_files_of_labels_are_named_for_splits_by_name_or_folder(tmp_path: Path) -> None:
    for name in ("val2017.csv", "all.csv", "train/x.csv", "other/y.csv", "test/deep/z.csv"):
        save(tmp_path / name, "x")
    assert PhotoIndex(tmp_path).files(".csv") == [
        ("all.csv", None),
        ("train/x.csv", "train"),
        ("val2017.csv", "val"),
    ]
