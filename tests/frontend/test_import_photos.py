"""The Import page: files, folders, progress, stop, resume, undo."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tagger.datasets.sample_photos import PHOTOS
from tagger.images import decode
from tagger.jobs.lease import MAX_RUNNING, Lease
from tagger.jobs.requests import ImportFolderRequest, submit
from tagger.library.library import Library
from tests.conftest import draw, draw_collection, import_folder
from tests.frontend.pages import (
    notices,
    open_page,
    page_text,
    raw_text,
    upload,
    wait_for_jobs,
)


def photo(seed: int = 0, format: str = "PNG") -> bytes:
    """A drawn photo that is no cat and no dog."""
    return decode.encode(draw("disc", seed), format)


def test_an_import_lists_the_outcome_of_each_file(library: Library) -> None:
    app = open_page("import_photos")
    assert "None yet." in raw_text(app)
    files = [("a.png", photo(0)), ("again.png", photo(0)), ("b.png", photo(1))]
    upload(app, *files, ("<script>.png", b"no photo"))
    app.button(key="import-start").click().run()
    assert app.file_uploader[0].value == []
    wait_for_jobs(library)
    app.run()
    assert "2 added · 1 already in library · 1 failed" in page_text(app)
    first = library.search("name:a.png").photos[0].id
    assert f'again.png is the same photo as <a href="gallery?photo={first}">a.png</a>' in raw_text(
        app
    )
    assert "&lt;script&gt;.png: not a JPEG" in raw_text(app)
    assert library.count() == 2


def test_files_that_are_no_photos_are_listed(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    (folder / "<b>notes.txt").write_text("x")
    import_folder(library, folder)
    app = open_page("import_photos")
    assert "Skipped (not photos): 1" in [e.label for e in app.expander]
    assert "&lt;b&gt;notes.txt" in raw_text(app)
    assert "3 added" in page_text(app)


def test_an_import_is_undone(library: Library) -> None:
    app = upload(open_page("import_photos"), ("a.png", photo()))
    app.button(key="import-start").click().run()
    wait_for_jobs(library)
    app.run()
    operation = library.operations(kinds=["import"])[0]
    app.button(key=f"import-undo-{operation.id}").click().run()
    assert not app.exception
    assert library.count() == 0
    assert "undone" in raw_text(app)
    assert "Undone" in notices(app)[0]


def test_an_import_continues_after_its_page_is_closed(library: Library, tmp_path: Path) -> None:
    app = upload(open_page("import_photos"), ("a.png", photo()))
    app.button(key="import-start").click().run()
    wait_for_jobs(library)
    new_session = open_page("import_photos").run()
    assert "1 added" in page_text(new_session)


@pytest.mark.parametrize("copy", [False, True])
def test_a_folder_is_imported_in_place_or_as_copies(
    library: Library, tmp_path: Path, copy: bool
) -> None:
    folder = tmp_path / "holiday"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "a.png").write_bytes(photo())
    app = open_page("import_photos")
    app.get("button_group")[0].set_value("Folder").run()
    app.text_input[0].set_value(str(folder))
    app.checkbox[0].set_value(copy)
    app.button[0].click().run()
    assert not app.exception
    wait_for_jobs(library)
    app.run()
    (imported,) = library.search().photos
    assert imported.stored is copy
    assert imported.path.is_relative_to(library.home if copy else folder)
    assert (folder / "inside" / "a.png").read_bytes() == photo()


@pytest.mark.parametrize("folder", ["", "nowhere", "/no/such/folder", "<script>"])
def test_an_invalid_folder_shows_an_error_message(library: Library, folder: str) -> None:
    app = open_page("import_photos")
    app.get("button_group")[0].set_value("Folder").run()
    app.text_input[0].set_value(folder)
    app.button[0].click().run()
    assert not app.exception
    assert "folder" in app.error[0].value
    assert not library.operations(kinds=["import"])


def test_the_sample_photos_are_added_with_one_click(library: Library) -> None:
    app = open_page("import_photos")
    app.button(key="import-samples").click().run()
    wait_for_jobs(library)
    app.run()
    assert {photo.name for photo in library.photos()} == set(PHOTOS.values())
    assert "cat" in dict(library.label_counts())


def test_an_import_is_stopped_and_resumed(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(20):
        (folder / f"{seed}.jpg").write_bytes(photo(seed, "JPEG"))
    with ExitStack() as keep_alive:  # fill all slots, so that the import stays queued
        leases = [
            Lease(library, submit(library, ImportFolderRequest(str(folder))))
            for _ in range(MAX_RUNNING)
        ]
        for lease in leases:
            assert lease.acquire()
            keep_alive.enter_context(lease.keep_alive())
        app = open_page("import_photos")
        app.get("button_group")[0].set_value("Folder").run()
        app.text_input[0].set_value(str(folder))
        app.button[0].click().run()
        operation = library.operations()[0]
        assert "Starting" in [bar.proto.text for bar in app.get("progress")]
        app.button(key=f"import-stop-{operation.id}").click().run()
        assert not app.exception
        assert "Stopping" in raw_text(app)
    for lease in leases:
        lease.release("stopped")
    wait_for_jobs(library)
    app.run()
    assert "stopped" in raw_text(app)
    app.button(key=f"import-again-{operation.id}").click().run()
    wait_for_jobs(library)
    app.run()
    assert library.count() == 20
    assert "20 added" in page_text(app)
