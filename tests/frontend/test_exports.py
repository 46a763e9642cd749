"""Exports of search results: tables, ZIP, dataset."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from frontend.photos import exports
from tagger.datasets.readers import detect
from tagger.library import export
from tagger.library.library import Library
from tests.frontend.pages import (
    open_page,
    page_text,
    press,
    search_for,
)


def test_tables_are_written_when_they_are_downloaded(six_photos: Library) -> None:
    app = open_page("search", q="dog")
    buttons = {button.label: button for button in app.get("download_button")}
    assert {"CSV", "JSON Lines"} <= set(buttons)
    assert all(button.proto.deferred_file_id for button in buttons.values())
    six_photos.edit_tags([1], add=["=cmd()"])
    rows = exports.table_download(six_photos, "dog", export.write_csv)().decode().splitlines()
    assert rows[0].startswith("ID,Name,Timestamp,Label 1,")
    assert [row.split(",")[0] for row in rows[1:]] == ["2", "1"]
    assert "'=cmd()" in rows[2]
    lines = (
        exports.table_download(six_photos, "dog", export.write_json_lines)().decode().splitlines()
    )
    assert [json.loads(line)["id"] for line in lines] == [2, 1]


def test_a_zip_lists_the_skipped_photos(six_photos: Library) -> None:
    six_photos.photo(1).path.unlink()
    app = press(open_page("search"), "leaving-zip")
    assert "3 photos in the ZIP" in page_text(app)
    assert "3 photos skipped: 2 without a tag, 1 that can’t be read" in [
        expander.label for expander in app.expander
    ]
    assert "001.png: " in page_text(app)
    (path,) = (six_photos.home / "exports").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
    assert names == ["cat/3-003.png", "cat/4-004.png", "dog/2-002.png", "labels.csv"]
    (button,) = (b for b in app.get("download_button") if b.key == "leaving-photos.zip")
    assert button.proto.deferred_file_id
    search_for(app, "dog")
    assert "leaving-photos.zip" not in [b.key for b in app.get("download_button")]


def test_old_zips_are_deleted(six_photos: Library) -> None:
    press(open_page("search"), "leaving-zip")
    (old,) = (six_photos.home / "exports").glob("*.zip")
    os.utime(old, (0, 0))
    press(open_page("search"), "leaving-zip")
    assert not old.exists()
    assert len(list((six_photos.home / "exports").iterdir())) == 1


def test_search_results_are_exported_as_a_dataset(six_photos: Library, tmp_path: Path) -> None:
    app = open_page("search", q="dog OR cat")
    folder = tmp_path / "out" / "mine"
    app.text_input(key="search-collection-folder").set_value(str(folder))
    press(app, "search-collection-write")
    assert "4 photos saved to" in page_text(app)
    assert str(folder) in [code.value for code in app.code]
    assert "train" in [link.proto.page for link in app.get("page_link")]
    assert {path.name for path in folder.iterdir()} == {"cat", "dog", "labels.csv"}


@pytest.mark.parametrize("folder", ["mine", "../../x", "'; DROP TABLE photos;--", "{home}"])
def test_a_dataset_needs_a_new_folder(six_photos: Library, folder: str) -> None:
    before = sorted(six_photos.home.rglob("*"))
    app = open_page("search", q="dog")
    app.text_input(key="search-collection-folder").set_value(folder.format(home=six_photos.home))
    press(app, "search-collection-write")
    text = page_text(app)
    assert ("give the full path" in text) != ("holds something; name a new folder" in text)
    assert sorted(six_photos.home.rglob("*")) == before


def test_reviewed_photos_are_exported_as_a_dataset(six_photos: Library, tmp_path: Path) -> None:
    app = open_page("review")
    assert not app.text_input
    press(press(press(app, "review-4-1"), "review-3-2"), "review-2-none")
    assert "You reviewed 3 photos" in page_text(app)
    press(app, "review-collection-write")
    assert "3 photos saved to" in page_text(app)  # one of them is known to show neither
    (folder,) = (six_photos.home / "exports").iterdir()
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
    assert written == {"cat/4-004.png", "dog/3-003.png", "none/2-002.png"}
    listing = detect.read(folder, 2)
    assert listing.names == ("cat", "dog")
    (sample,) = (each for each in listing.samples if each.path.parent.name == "none")
    assert not sample.present and 1 not in sample.unseen  # "dog" is surely absent


def test_a_zip_and_a_folder_hold_the_same(six_photos: Library, tmp_path: Path) -> None:
    six_photos.edit_tags([2], remove=["dog"])  # it has no tag any more
    app = press(open_page("search"), "leaving-zip")
    app.text_input(key="search-collection-folder").set_value(str(tmp_path / "folder"))
    press(app, "search-collection-write")
    (path,) = (six_photos.home / "exports").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        in_zip = {name: archive.read(name) for name in archive.namelist()}
    files = [path for path in (tmp_path / "folder").rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path / "folder")): path.read_bytes() for path in files} == (
        in_zip
    )
    assert sorted(in_zip) == [
        *("cat/3-003.png", "cat/4-004.png", "dog/1-001.png", "labels.csv", "none/2-002.png")
    ]
    (row,) = (line for line in in_zip["labels.csv"].splitlines() if line.startswith(b"none/"))
    assert row == b"none/2-002.png,none,,dog"
