"""The library's folder: names from digests, copies whole, waiting uploads cleared."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from tagger.files import write_atomically
from tagger.library.storage import (
    ABANDONED_SECONDS,
    HANDED_OUT_SECONDS,
    KEPT_SECONDS,
    LEFTOVER_SECONDS,
    Storage,
    base_name,
)

SHA = "ab" + "0" * 62


@pytest.fixture
def shelf(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


@pytest.mark.parametrize(
    ("name", "plain"),
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
def test_a_name_is_its_last_part_as_text(name: str, plain: str) -> None:
    assert base_name(name) == plain


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.JPG", ".jpg"), ("a.heic", ".heic"), ("a.exe", ""), ("a", ""), ("a.jpg/../../x", "")],
)
def test_a_copy_is_named_by_its_digest(shelf: Storage, name: str, suffix: str) -> None:
    inside = shelf.write_copy(SHA, name, b"photo")
    assert inside == f"photos/ab/{SHA}{suffix}"
    assert (shelf.home / inside).read_bytes() == b"photo"
    assert [p.name for p in (shelf.home / "photos" / "ab").iterdir()] == [f"{SHA}{suffix}"]


def test_a_copy_cut_short_is_written_again(shelf: Storage) -> None:
    place = shelf.home / shelf.write_copy(SHA, "a.jpg", b"photo")
    place.write_bytes(b"ph")
    shelf.write_copy(SHA, "a.jpg", b"photo")
    assert place.read_bytes() == b"photo"


def test_discarding_takes_both_and_asks_for_neither(shelf: Storage) -> None:
    inside = shelf.write_copy(SHA, "a.jpg", b"photo")
    shelf.write_thumbnail(SHA, b"small")
    shelf.delete_files(SHA, inside)
    shelf.delete_files(SHA, None)
    assert not [p for p in shelf.home.rglob("*") if p.is_file()]


def test_only_old_uploads_that_nobody_waits_for_are_cleared(shelf: Storage) -> None:
    folders = [shelf.save_uploads([("a.jpg", io.BytesIO(b"x"))])[0] for _ in range(3)]
    old = time.time() - ABANDONED_SECONDS - 60
    for folder in folders[:2]:
        os.utime(folder, (old, old))
    shelf.delete_abandoned_uploads({folders[0]})
    assert [Path(folder).is_dir() for folder in folders] == [True, False, True]


def test_uploads_keep_their_order_and_content(shelf: Storage) -> None:
    given = [(f"{n}.jpg", io.BytesIO(bytes([n]) * 10)) for n in range(12)]
    _, received = shelf.save_uploads(given)
    assert [name for _, name in received] == [f"{n}.jpg" for n in range(12)]
    assert [Path(path).read_bytes()[0] for path, _ in received] == list(range(12))


def make_older(path: Path, seconds: float) -> None:
    then = path.lstat().st_mtime - seconds
    os.utime(path, (then, then))


def test_archives_are_cleared_away_in_a_day_or_soon_after_they_were_downloaded(
    shelf: Storage,
) -> None:
    new, old, taken = (shelf.new_archive_path() for _ in range(3))
    for archive in (new, old, taken):
        archive.write_bytes(b"zip")
    make_older(old, KEPT_SECONDS + 60)
    assert shelf.read_archive(taken) == b"zip"
    shelf.delete_stale_files()
    assert (new.is_file(), old.is_file(), taken.is_file()) == (True, False, True)
    assert shelf.read_archive(taken) == b"zip"  # whoever clicks again
    make_older(taken, HANDED_OUT_SECONDS + 60)
    shelf.delete_stale_files()
    assert (new.is_file(), taken.is_file()) == (True, False)


@pytest.mark.parametrize("folder", ["", "thumbnails/ab", "photos/ab", "exports", "collections"])
def test_what_a_kill_left_half_written_is_swept_and_nothing_else(
    shelf: Storage, folder: str
) -> None:
    place = shelf.home / folder
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(place / "whole.jpg", b"whole")
    dead, living = place / ".a.jpg.99.1.tmp", place / ".b.jpg.99.1.tmp"
    theirs = place / "mine.tmp"
    for file in (dead, living, theirs, place / "whole.jpg"):
        file.write_bytes(b"x")
    for file in (dead, theirs, place / "whole.jpg"):
        make_older(file, LEFTOVER_SECONDS + 60)
    shelf.delete_stale_files()
    assert sorted(p.name for p in place.iterdir() if p.is_file()) == [
        *(".b.jpg.99.1.tmp", "mine.tmp", "whole.jpg")
    ]


def test_a_collection_that_is_still_being_written_is_left_alone(shelf: Storage) -> None:
    dead, living = (shelf.home / "collections" / f".{name}.tmp" for name in ("dead", "living"))
    for folder in (dead, living):
        (folder / "cat").mkdir(parents=True)
        (folder / "cat" / "1.jpg").write_bytes(b"x")
        make_older(folder, LEFTOVER_SECONDS + 60)
        make_older(folder / "cat", LEFTOVER_SECONDS + 60)
    make_older(dead / "cat" / "1.jpg", LEFTOVER_SECONDS + 60)
    shelf.delete_stale_files()
    assert (dead.exists(), living.exists()) == (False, True)
