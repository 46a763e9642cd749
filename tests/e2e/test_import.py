"""A background import survives a power cut: no photo is lost or added twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from tagger.library.library import Library
from tests.conftest import draw_collection
from tests.e2e.app_server import wait_until
from tests.e2e.conftest import OpenApp, StartServer

PHOTOS = 150  # of each of three shapes


def check_imported_once(library: Library, photos: int) -> None:
    """Every photo is there once, with one prediction and a thumbnail."""
    imported = list(library.photos())
    assert len({photo.sha256 for photo in imported}) == len(imported) == photos
    query = "SELECT count(*), count(DISTINCT photo_id) FROM predictions WHERE ended_by IS NULL"
    with library.database.read_transaction() as connection:
        assert tuple(connection.execute(text(query)).one()) == (photos, photos)
    assert all(library.storage.thumbnail_path(photo.sha256).is_file() for photo in imported)


@pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="finds the jobs in /proc")
def test_an_import_resumes_after_a_power_cut(
    start_server: StartServer, open_app: OpenApp, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", PHOTOS)
    shutil.copyfile(folder / "disc" / "000.jpg", folder / "disc" / "again.jpg")
    (folder / "broken.jpg").write_bytes(b"no photo")
    server = start_server(tmp_path / "library")
    app = open_app(server)
    app.go_to("Import")
    app.select_radio("Folder")
    app.field("Folder").fill(str(folder))
    app.click("Import folder")
    with server.library() as library:
        wait_until(lambda: library.operations()[0].done >= PHOTOS, "a third is done")
        server.kill()
        interrupted = library.operations()[0]
        assert interrupted.active
        assert interrupted.done < 3 * PHOTOS
        assert library.count() > 0

    server = start_server(server.home, port=server.port)
    app.expect_job_end(f"Import {folder}", f"{3 * PHOTOS:,} added")
    app.problems.clear()  # failed requests while the server was down
    app.expect_text(" · 1 already in library · 1 failed")
    app.expand("Already in library: 1")
    app.expect_text(re.compile("^(again|000).jpg"))
    app.expand("Files that failed: 1")
    app.expect_text(re.compile(r"broken\.jpg: not a JPEG"))
    app.check()
    with server.library() as library:
        assert len(library.operations(kinds=["import"])) == 1
        check_imported_once(library, 3 * PHOTOS)
