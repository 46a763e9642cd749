"""The folders that a person may choose from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagger.library.folders.tree import count_photos, list_folders, list_starts
from tests.conftest import draw_png


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with folders, hidden ones and others that are nobody's photos."""
    home = tmp_path / "home"
    for name in (
        "Bilder/2024/Mai",
        "Bilder/2010",
        "Bilder/10",
        "Bilder/9",
        ".cache/x",
        "lost+found",
    ):
        (home / name).mkdir(parents=True)
    (home / "Bilder" / "@eaDir").mkdir()
    (home / "Bilder" / ".hidden").mkdir()
    for path in ("Bilder/1.png", "Bilder/2024/2.png", "Bilder/2024/Mai/3.png", "Bilder/.4.png"):
        (home / path).write_bytes(draw_png(1, 32))
    (home / "Bilder" / "notes.txt").write_text("no photo")
    (home / ".config").mkdir()
    (home / ".config" / "user-dirs.dirs").write_text('# x\nXDG_PICTURES_DIR="$HOME/Bilder"\n')
    monkeypatch.setenv("HOME", str(home))
    return home


def test_one_starts_at_home_and_the_pictures(home: Path) -> None:
    starts = list_starts()
    assert [(start.name, start.path) for start in starts[:2]] == [
        ("Home", str(home)),
        ("Bilder", str(home / "Bilder")),
    ]
    assert (starts[-1].name, starts[-1].path) == ("Computer", "/")
    assert starts[0].has_folders and starts[1].photos == 1


def test_without_settings_it_is_the_usual_folder(home: Path) -> None:
    (home / ".config" / "user-dirs.dirs").write_bytes(b"\xff")
    assert [start.name for start in list_starts()[:2]] != ["Home", "Bilder"]
    (home / "Pictures").mkdir()
    assert [start.name for start in list_starts()[:2]] == ["Home", "Pictures"]


def test_hidden_and_system_folders_are_left_out(home: Path) -> None:
    folders, more = list_folders(str(home))
    assert [folder.name for folder in folders] == ["Bilder"] and more == 0
    folders, _ = list_folders(str(home / "Bilder"))
    assert [folder.name for folder in folders] == ["9", "10", "2010", "2024"]
    assert [(f.has_folders, f.photos) for f in folders if f.name == "2024"] == [(True, 1)]
    names = {folder.name for folder in list_folders("/")[0]}
    assert names.isdisjoint({"proc", "sys", "dev", "etc", "usr", "var", "boot"})


def test_links_lead_to_folders_and_not_in_circles(home: Path) -> None:
    (home / "Bilder" / "9" / "more").symlink_to(home / "Bilder" / "2024")
    (home / "Bilder" / "9" / "circle").symlink_to("circle")
    (home / "Bilder" / "9" / "nowhere").symlink_to("nothing")
    folders, _ = list_folders(str(home / "Bilder" / "9"))
    assert [(folder.name, folder.photos) for folder in folders] == [("more", 1)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root opens every folder")
def test_a_folder_that_cannot_be_opened_says_so(home: Path) -> None:
    (home / "Bilder" / "9").chmod(0)
    folders, _ = list_folders(str(home / "Bilder"))
    (home / "Bilder" / "9").chmod(0o755)
    assert [f.reason for f in folders if f.name == "9"] == ["Permission denied"]


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/dev/null", "/x\0y", ""])
def test_what_is_no_folder_has_none(path: str) -> None:
    assert list_folders(path) == ([], 0)


def test_names_with_digits_that_are_no_numbers_are_sorted_too(tmp_path: Path) -> None:
    for name in ("m²", "③", "m2", "m10"):
        (tmp_path / name).mkdir()
    folders, _ = list_folders(str(tmp_path))
    assert {folder.name for folder in folders} == {"m²", "③", "m2", "m10"}


def test_many_folders_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagger.library.folders.tree.MAX_LISTED", 3)
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    folders, more = list_folders(str(tmp_path))
    assert [folder.name for folder in folders] == ["0", "1", "2"] and more == 2


def test_photos_are_counted_for_as_long_as_one_waits(home: Path) -> None:
    assert count_photos(str(home)) == (3, True)
    count, is_all = count_photos(str(home), seconds=-1)
    assert count <= 3 and not is_all
    assert count_photos("/nowhere") == (0, True)
