"""A tagger of one's own: taught on the page, put to use, and the library tagged again with it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tagger.paths import MODELS, RUNS
from tests.conftest import SHAPES, draw_collection
from tests.e2e.conftest import Serve, Visit

PHOTOS = 30  # of each shape
KNOWN = 0.8  # of the photos it was taught with get the label they were taught as
TEACHING_SECONDS = 150


@pytest.fixture
def name() -> Iterator[str]:
    """A model's name that nobody else uses; afterwards nothing of it is left."""
    name = f"e2e-shapes-{os.getpid()}"
    yield name
    for file in MODELS.glob(f"{name}*"):
        file.unlink()
    for run in RUNS.glob(f"*-{name}"):
        shutil.rmtree(run)


def test_a_model_is_taught_and_tags_the_library_again(
    name: str, serve: Serve, visit: Visit, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "shapes", PHOTOS)
    server = serve(tmp_path / "library")
    visitor = visit(server)
    visitor.go("Import")
    visitor.pick("A folder on this machine")
    visitor.field("Folder").fill(str(folder))
    visitor.click("Import the folder")
    visitor.sees(re.compile(f"finished .* {3 * PHOTOS} added"))
    with server.library() as library:
        assert library.count("unknown") == 3 * PHOTOS
        corrected = library.search("name:000.jpg").photos[0].id
        library.edit_tags([corrected], add=["drawn by Ada"])

    visitor.go("Train")
    visitor.type("Folder on this machine", str(folder))
    visitor.click("Check the photos")
    visitor.heading("2. The model").wait_for()
    visitor.type("Name of the model", name)
    visitor.pick("Quick")
    visitor.unfold("More choices")
    visitor.choose("Size of the photos it sees, in pixels", "96")
    visitor.choose("What it knows at the start", "The model pets")
    visitor.click("Start training")
    visitor.button("Use this model now").wait_for(timeout=TEACHING_SECONDS * 1000)
    visitor.click("Use this model now")
    visitor.sees(f"{name} is the model that tags your photos now.")
    visitor.click(f"Tag my {3 * PHOTOS} photos again with it")
    visitor.sees_end(f"Tag {3 * PHOTOS} photos again with {name}")

    with server.library() as library:
        assert library.active_model() == name
        photos = list(library.photos())
        right = [p for p in photos if p.path.parent.name in [t.label for t in p.tags]]
        assert len(right) >= KNOWN * len(photos)
        assert {t.label for p in photos for t in p.tags} <= {*SHAPES, "drawn by Ada"}
        mine = {t.label: t.by_person for t in library.photo(corrected).tags}
        assert mine["drawn by Ada"]
    visitor.go("Gallery")
    expect(visitor.tiles().filter(has_text=re.compile("disc|square|stripes"))).not_to_have_count(0)
    visitor.choose("Model", "pets · 2 labels")  # at the side of every page
    with server.library() as library:
        assert library.active_model() == "pets"
    visitor.check()
