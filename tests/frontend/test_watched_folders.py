"""Folders on the Import page: picked from a tree, watched, and their changes imported."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from frontend.ui import watching
from tagger.library.library import Library
from tests.conftest import draw_png, import_folder
from tests.frontend.pages import (
    button_keys,
    grid_data,
    open_page,
    page_text,
    press,
    use_picker,
    wait_for_jobs,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two photos in a home of its own."""
    folder = (tmp_path / "home" / "Pictures").resolve()
    (folder / "trip").mkdir(parents=True)
    for name in ("1.png", "trip/2.png"):
        write(folder / name, len(name))
    monkeypatch.setenv("HOME", str(folder.parent))
    return folder


def write(path: Path, seed: int) -> None:
    path.write_bytes(draw_png(seed, 64))
    os.utime(path, (time.time() - 60,) * 2)


def open_import() -> AppTest:
    app = open_page("import_photos")
    return app.segmented_control(key="import-source").set_value("Folder").run()  # type: ignore[union-attr]


def look() -> None:
    """Wait until the watched folders were looked through."""
    watching.open_watch().wait(60)


def test_a_folder_is_picked_and_imported(library: Library, folder: Path) -> None:
    app = open_import()
    assert [node["name"] for node in grid_data(app, "import-picker")["nodes"]][:2] == [
        "Home",
        "Pictures",
    ]
    assert not any(node["open"] for node in grid_data(app, "import-picker")["nodes"])
    use_picker(app, [str(folder)], None)
    inside = [node for node in grid_data(app, "import-picker")["nodes"] if node["level"] == 2]
    assert [(node["name"], node["photos"]) for node in inside] == [("trip", 1)]
    use_picker(app, [str(folder)], str(folder))
    assert app.text_input(key="import-folder-path").value == str(folder)
    assert "2 photos in " in page_text(app)
    press(app, "import-folder-start")
    wait_for_jobs(library)
    assert library.count() == 2


@pytest.mark.parametrize(
    ("opened", "selected"),
    [(None, None), ("x", 7), ([1, None, "", "a\0b", "relative"], "relative"), (["/nowhere"], {})],
)
def test_the_browser_may_report_anything(
    library: Library, folder: Path, opened: object, selected: object
) -> None:
    app = use_picker(open_import(), opened, selected)
    assert app.text_input(key="import-folder-path").value == ""


def test_a_folder_whose_name_is_no_text_is_imported(library: Library, folder: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/f\xff"))
    odd.mkdir()
    write(odd / "3.png", 3)
    app = use_picker(open_import(), [str(folder)], str(odd))
    press(app, "import-folder-start")
    wait_for_jobs(library)
    assert library.count() == 1


def test_a_watched_folder_lists_its_changes_and_imports_them(
    library: Library, folder: Path
) -> None:
    app = use_picker(open_import(), [], str(folder))
    app.checkbox(key="import-watch").check()
    press(app, "import-folder-start")
    wait_for_jobs(library)
    look()
    app = open_page("import_photos")
    assert "Pictures · up to date" in page_text(app).replace("**", "")

    write(folder / "new.png", 9)
    (folder / "1.png").unlink()
    press(app, "watched-check")
    look()
    app.run()
    assert "1 new, 1 missing" in page_text(app) and library.count() == 2
    assert "new.png" in page_text(app)
    app.checkbox(key="watched-remove-0").check().run()
    press(app, "watched-import-0")
    wait_for_jobs(library)
    assert sorted(photo.name for photo in library.photos()) == ["2.png", "new.png"]
    look()
    app = open_page("import_photos")
    look()
    app.run()
    assert "up to date" in page_text(app)
    assert "Update Pictures: 1 new, 1 missing" in page_text(app)


def test_changes_are_shown_on_every_page(library: Library, folder: Path) -> None:
    library.folders.add(str(folder))
    open_page("activity")
    look()
    app = open_page("activity")
    links = [element.proto.label for element in app.sidebar.get("page_link")]
    assert "2 changes in watched folders" in links


def test_a_folder_is_no_longer_watched(library: Library, folder: Path) -> None:
    library.folders.add(str(folder))
    app = open_page("import_photos")
    assert "watched-stop-0" in button_keys(app)
    press(app, "watched-stop-0")
    assert library.folders.list_all() == [] and "Stopped watching" in page_text(app)
    press(app, "import-last-undo")
    assert len(library.folders.list_all()) == 1


def test_a_drive_that_is_away_is_said(library: Library, folder: Path) -> None:
    import_folder(library, folder)
    library.folders.add(str(folder))
    folder.rename(folder.with_name("away"))
    open_page("import_photos")
    look()
    app = open_page("import_photos")
    assert "is not there: is its drive connected? Its 2 photos stay as they are." in page_text(app)
    assert "watched-import-0" not in button_keys(app)
