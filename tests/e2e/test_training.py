"""Train a model in the app, use it, and tag the library again with it."""

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
from tests.e2e.conftest import OpenApp, StartServer

PHOTOS = 30  # of each shape
MIN_ACCURACY = 0.8  # on the training photos
TRAINING_SECONDS = 400  # takes 30 on an idle machine


@pytest.fixture
def name() -> Iterator[str]:
    """A unique model name; its files are removed afterwards."""
    name = f"e2e-shapes-{os.getpid()}"
    yield name
    for file in MODELS.glob(f"{name}*"):
        file.unlink()
    for run in RUNS.glob(f"*-{name}"):
        shutil.rmtree(run)


def test_a_trained_model_tags_the_library_again(
    name: str, start_server: StartServer, open_app: OpenApp, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "shapes", PHOTOS)
    server = start_server(tmp_path / "library")
    app = open_app(server)
    app.go_to("Import")
    app.select_radio("Folder")
    app.field("Folder").fill(str(folder))
    app.click("Import folder")
    app.expect_text(re.compile(f"finished .* {3 * PHOTOS} added"))
    with server.library() as library:
        assert library.count("unknown") == 3 * PHOTOS
        in_use = library.models_in_use()
        corrected = library.search("name:000.jpg").photos[0].id
        library.edit_tags([corrected], add=["drawn by Ada"])

    app.go_to("Train a model")
    app.type("Folder on this computer", str(folder))
    app.click("Check photos")
    app.heading("2. Model").wait_for()
    app.type("Model name", name)
    app.select_radio("Quick")
    app.expand("Advanced")
    app.choose("Image size, in pixels", "96")
    app.choose("Start from", "Model Pets")
    app.click("Start training")
    app.button("Also use").wait_for(timeout=TRAINING_SECONDS * 1000)
    app.expect_text(re.compile("Of 24 photos of your library it would tag"))
    expect(app.tiles()).to_have_count(24)
    app.click("Also use")
    app.expect_text(f"{name} is in use")
    app.click(f"Re-tag {3 * PHOTOS} photos with it")
    app.expect_text(re.compile("Removes 0 tags, adds"))
    app.click(f"Re-tag {3 * PHOTOS} photos")
    app.expect_job_end(f"Re-tag {3 * PHOTOS} photos with {name}")

    with server.library() as library:
        assert library.models_in_use() == [*in_use, name]
        photos = list(library.photos())
        right = [p for p in photos if p.path.parent.name in [t.label for t in p.tags]]
        assert len(right) >= MIN_ACCURACY * len(photos)
        assert {t.label for p in photos for t in p.tags} <= {*SHAPES, "drawn by Ada"}
        mine = {t.label: t.by_person for t in library.photo(corrected).tags}
        assert mine["drawn by Ada"]
    app.go_to("Gallery")
    expect(app.tiles().filter(has_text=re.compile("disc|square|stripes"))).not_to_have_count(0)
    app.choose("Model", "Pets · 2 labels")  # in the sidebar
    with server.library() as library:
        assert library.active_model() == "pets"
    app.check()
