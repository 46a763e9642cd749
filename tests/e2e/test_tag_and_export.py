"""Tag a photo, add it to the library, search for it, export it."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tagger.datasets.sample_photos import write_samples
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer

HEADER = (
    "ID,Name,Timestamp,Label 1,Label 2,Label 3,Label 4,Label 5,"
    "Score 1,Score 2,Score 3,Score 4,Score 5,Path,Tags,Tagged by"
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cat and three photos that are neither cat nor dog."""
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder)
    return folder


def test_a_photo_is_tagged_added_found_and_exported(
    app: AppPage, server: AppServer, samples: Path
) -> None:
    app.upload([samples / "cat.png"])
    expect(app.page.locator(".it-answer")).to_have_text("cat")
    expect(app.page.locator("li.chip.accepted")).to_have_text(re.compile(r"^cat\d\d%"))
    expect(app.page.locator("li.chip.weaker")).to_contain_text("dog")
    app.click("Add to library")
    app.expect_text("Added to your library.")

    app.upload([samples / "rocket.jpg"])
    app.expect_text("Unknown")
    app.expect_text("Doesn’t look like anything Pets was trained on.")
    app.click("Add to library")
    app.expect_text("Added to your library.")

    app.go_to("Gallery")
    expect(app.tiles()).to_have_count(2)
    app.open_photo("cat.png")
    expect(app.page.locator("dialog li.chip.accepted")).to_have_text(re.compile(r"^cat\d\d%"))
    app.press("Escape")

    app.go_to("Search")
    app.type("Search your photos", "cat AND NOT dog")
    app.expect_text("1 photo")
    expect(app.tile("cat.png")).to_be_visible()
    app.type("Search your photos", "")
    app.expect_text("2 photos")
    with server.library() as library:
        cat, rocket = library.search(sort="oldest").photos
    app.click("Export")
    text = app.download("CSV").read_text(encoding="utf-8-sig")
    assert text.splitlines()[0] == HEADER
    newest, oldest = csv.reader(text.splitlines()[1:])
    assert newest[:2] == [str(rocket.id), "rocket.jpg"]
    assert newest[3:] == [*[""] * 10, str(rocket.path), "", ""]
    (tag,) = cat.tags
    assert oldest[:4] == [str(cat.id), "cat.png", f"{cat.added_at:%Y-%m-%d %H:%M:%S}", "cat"]
    assert oldest[4:13] == [*[""] * 4, f"{100 * (tag.score or 0):.2f}", *[""] * 4]
    assert oldest[13:15] == [str(cat.path), "cat"] and "pets" in oldest[15]

    lines = app.download("JSON Lines").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["rocket.jpg", "cat.png"]
    app.click("Prepare ZIP")
    with zipfile.ZipFile(app.download(re.compile("^Download ZIP"))) as archive:
        (photo, labels) = sorted(archive.namelist())
        assert (photo, labels) == (f"cat/{cat.id}-cat.png", "labels.csv")
        assert archive.read(photo) == (samples / "cat.png").read_bytes()
    app.check()
