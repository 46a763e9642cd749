"""A folder imported in the background: the power goes, and nothing is lost and nothing twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from tagger.library.library import Library
from tests.conftest import draw_collection
from tests.e2e.conftest import Serve, Visit
from tests.e2e.server import wait_until

PHOTOS = 400  # of each of three shapes


def check_each_once(library: Library, photos: int) -> None:
    """Every photo once, each with one answer of the model and a thumbnail."""
    found = list(library.photos())
    assert len({photo.sha256 for photo in found}) == len(found) == photos
    question = "SELECT count(*), count(DISTINCT photo_id) FROM predictions WHERE ended_by IS NULL"
    with library.database.read_transaction() as connection:
        assert tuple(connection.execute(text(question)).one()) == (photos, photos)
    assert all(library.storage.thumbnail_path(photo.sha256).is_file() for photo in found)


@pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="finds the jobs in /proc")
def test_an_import_goes_on_after_the_power_went(serve: Serve, visit: Visit, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", PHOTOS)
    shutil.copyfile(folder / "disc" / "000.jpg", folder / "disc" / "again.jpg")
    (folder / "broken.jpg").write_bytes(b"no photo")
    server = serve(tmp_path / "library")
    visitor = visit(server)
    visitor.go("Import")
    visitor.pick("A folder on this machine")
    visitor.field("Folder").fill(str(folder))
    visitor.click("Import the folder")
    with server.library() as library:
        wait_until(lambda: library.operations()[0].done >= PHOTOS, "a third is done")
        server.kill()
        broken_off = library.operations()[0]
        assert broken_off.active
        assert broken_off.done < 3 * PHOTOS
        assert library.count() > 0

    server = serve(server.home, port=server.port)
    visitor.sees_end(f"Import {folder}", f"{3 * PHOTOS:,} added")
    visitor.troubles.clear()  # it looked for the server in vain for a while
    visitor.sees(" · 1 in the library already · 1 failed")
    visitor.unfold("Files that were in the library already: 1")
    visitor.sees(re.compile("^(again|000).jpg"))
    visitor.unfold("Files that failed: 1")
    visitor.sees(re.compile(r"broken\.jpg: not a JPEG"))
    visitor.check()
    with server.library() as library:
        assert len(library.operations()) == 1
        check_each_once(library, 3 * PHOTOS)
