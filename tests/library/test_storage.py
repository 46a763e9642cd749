"""The library's folder: names from digests, complete copies, cleanup of old files."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from tagger.files import write_atomically
from tagger.images import decode
from tagger.library.storage import (
    ARCHIVE_SECONDS,
    DOWNLOADED_SECONDS,
    TEMPORARY_SECONDS,
    UPLOAD_SECONDS,
    Storage,
    base_name,
)
from tests.conftest import draw

SHA = "ab" + "0" * 62


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("/", "photo"),
        ("", "photo"),
        ("a\0b.png", "ab.png"),
        ("\udcff.png", "\\udcff.png"),
        ("é" * 300, "é" * 200),
        ("<script>.png", "<script>.png"),
    ],
)
def test_a_photo_is_named_by_the_last_part_of_its_path(name: str, expected: str) -> None:
    assert base_name(name) == expected


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.JPG", ".jpg"), ("a.heic", ".heic"), ("a.exe", ""), ("a", ""), ("a.jpg/../../x", "")],
)
def test_a_copy_is_named_by_its_digest(storage: Storage, name: str, suffix: str) -> None:
    relative = storage.write_copy(SHA, name, b"photo")
    assert relative == f"photos/ab/{SHA}{suffix}"
    assert (storage.home / relative).read_bytes() == b"photo"
    assert [p.name for p in (storage.home / "photos" / "ab").iterdir()] == [f"{SHA}{suffix}"]


def test_a_truncated_copy_is_written_again(storage: Storage) -> None:
    path = storage.home / storage.write_copy(SHA, "a.jpg", b"photo")
    path.write_bytes(b"ph")
    storage.write_copy(SHA, "a.jpg", b"photo")
    assert path.read_bytes() == b"photo"


def test_deleting_removes_copy_and_thumbnail_if_they_exist(storage: Storage) -> None:
    copy = storage.write_copy(SHA, "a.jpg", b"photo")
    thumbnail = storage.write_thumbnail(SHA, draw("disc", 1))
    assert max(decode.read(thumbnail).shape) == 120
    storage.delete_files(SHA, copy)
    storage.delete_files(SHA, None)
    assert not [path for path in storage.home.rglob("*") if path.is_file()]


def test_only_old_uploads_without_an_active_import_are_deleted(storage: Storage) -> None:
    folders = [storage.save_uploads([("a.jpg", io.BytesIO(b"x"))])[0] for _ in range(3)]
    old = time.time() - UPLOAD_SECONDS - 60
    for folder in folders[:2]:
        os.utime(folder, (old, old))
    storage.delete_abandoned_uploads({folders[0]})
    assert [Path(folder).is_dir() for folder in folders] == [True, False, True]


def test_uploads_keep_their_order_and_content(storage: Storage) -> None:
    uploads = [(f"{n}.jpg", io.BytesIO(bytes([n]) * 10)) for n in range(12)]
    _, saved = storage.save_uploads(uploads)
    assert [name for _, name in saved] == [f"{n}.jpg" for n in range(12)]
    assert [Path(path).read_bytes()[0] for path, _ in saved] == list(range(12))


def make_older(path: Path, seconds: float) -> None:
    then = path.lstat().st_mtime - seconds
    os.utime(path, (then, then))


def test_archives_are_deleted_after_a_day_or_soon_after_the_download(storage: Storage) -> None:
    new, old, downloaded = (storage.new_archive_path() for _ in range(3))
    for archive in (new, old, downloaded):
        archive.write_bytes(b"zip")
    make_older(old, ARCHIVE_SECONDS + 60)
    assert storage.read_archive(downloaded) == b"zip"
    storage.delete_stale_files()
    assert (new.is_file(), old.is_file(), downloaded.is_file()) == (True, False, True)
    assert storage.read_archive(downloaded) == b"zip"  # a second click
    make_older(downloaded, DOWNLOADED_SECONDS + 60)
    storage.delete_stale_files()
    assert (new.is_file(), downloaded.is_file()) == (True, False)


@pytest.mark.parametrize("folder", ["", "thumbnails/ab", "photos/ab", "exports", "collections"])
def test_only_old_temporary_files_are_deleted(storage: Storage, folder: str) -> None:
    parent = storage.home / folder
    parent.mkdir(parents=True, exist_ok=True)
    write_atomically(parent / "whole.jpg", b"whole")
    old, new = parent / ".a.jpg.99.1.tmp", parent / ".b.jpg.99.1.tmp"
    other = parent / "mine.tmp"
    for file in (old, new, other, parent / "whole.jpg"):
        file.write_bytes(b"x")
    for file in (old, other, parent / "whole.jpg"):
        make_older(file, TEMPORARY_SECONDS + 60)
    storage.delete_stale_files()
    assert sorted(p.name for p in parent.iterdir() if p.is_file()) == [
        *(".b.jpg.99.1.tmp", "mine.tmp", "whole.jpg")
    ]


def test_a_collection_that_is_being_written_stays(storage: Storage) -> None:
    old, active = (storage.home / "collections" / f".{name}.tmp" for name in ("old", "active"))
    for folder in (old, active):
        (folder / "cat").mkdir(parents=True)
        (folder / "cat" / "1.jpg").write_bytes(b"x")
        make_older(folder, TEMPORARY_SECONDS + 60)
        make_older(folder / "cat", TEMPORARY_SECONDS + 60)
    make_older(old / "cat" / "1.jpg", TEMPORARY_SECONDS + 60)
    storage.delete_stale_files()
    assert (old.exists(), active.exists()) == (False, True)
