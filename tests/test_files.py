"""Files that are there whole or not at all, and names that are safe to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.files import open_atomically, write_atomically
from tagger.text import escape_controls


def test_an_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    write_atomically(target, "first")
    write_atomically(target, "é\udcff")
    assert target.read_text(encoding="utf-8") == "é\\udcff"
    write_atomically(target, b"\x00\x01")
    assert target.read_bytes() == b"\x00\x01"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), open_atomically(path) as file:
        file.write(b"half")
        raise OSError("the disk is full")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(path.name, b"old")]


def test_a_name_cannot_forge_a_line_or_steer_a_terminal() -> None:
    assert escape_controls("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert escape_controls("⚠️ größe.jpg") == "⚠️ größe.jpg"


def test_spaces_of_every_width_are_only_spaces() -> None:
    name = "Screenshot 2026-11-21 at 9.41\u202fAM\u00a0(2).png"
    assert escape_controls(name) == name
