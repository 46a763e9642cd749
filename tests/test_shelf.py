"""The library's folder: names from digests, copies whole, waiting uploads cleared."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from tagger.shelf import ABANDONED_SECONDS, Shelf, plain_name

SHA = "ab" + "0" * 62


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


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
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.JPG", ".jpg"), ("a.heic", ".heic"), ("a.exe", ""), ("a", ""), ("a.jpg/../../x", "")],
)
def test_a_copy_is_named_by_its_digest(shelf: Shelf, name: str, suffix: str) -> None:
    inside = shelf.keep_copy(SHA, name, b"photo")
    assert inside == f"photos/ab/{SHA}{suffix}"
    assert (shelf.home / inside).read_bytes() == b"photo"
    assert [p.name for p in (shelf.home / "photos" / "ab").iterdir()] == [f"{SHA}{suffix}"]


def test_a_copy_cut_short_is_written_again(shelf: Shelf) -> None:
    place = shelf.home / shelf.keep_copy(SHA, "a.jpg", b"photo")
    place.write_bytes(b"ph")
    shelf.keep_copy(SHA, "a.jpg", b"photo")
    assert place.read_bytes() == b"photo"


def test_discarding_takes_both_and_asks_for_neither(shelf: Shelf) -> None:
    inside = shelf.keep_copy(SHA, "a.jpg", b"photo")
    shelf.keep_thumbnail(SHA, b"small")
    shelf.discard(SHA, inside)
    shelf.discard(SHA, None)
    assert not [p for p in shelf.home.rglob("*") if p.is_file()]


def test_only_old_uploads_that_nobody_waits_for_are_cleared(shelf: Shelf) -> None:
    folders = [shelf.receive([("a.jpg", io.BytesIO(b"x"))])[0] for _ in range(3)]
    old = time.time() - ABANDONED_SECONDS - 60
    for folder in folders[:2]:
        os.utime(folder, (old, old))
    shelf.clear_abandoned({folders[0]})
    assert [Path(folder).is_dir() for folder in folders] == [True, False, True]


def test_uploads_keep_their_order_and_content(shelf: Shelf) -> None:
    given = [(f"{n}.jpg", io.BytesIO(bytes([n]) * 10)) for n in range(12)]
    _, received = shelf.receive(given)
    assert [name for _, name in received] == [f"{n}.jpg" for n in range(12)]
    assert [Path(path).read_bytes()[0] for path, _ in received] == list(range(12))
