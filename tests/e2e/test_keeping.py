"""From a photo to its tags, into the library, found again, and out as a spreadsheet."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tagger.datasets.sample_photos import write_samples
from tests.e2e.server import Server
from tests.e2e.visitor import Visitor

HEADER = (
    "ID,Name,Timestamp,Label 1,Label 2,Label 3,Label 4,Label 5,"
    "Score 1,Score 2,Score 3,Score 4,Score 5"
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cat and three photos that are neither cat nor dog."""
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder)
    return folder


def test_a_photo_is_tagged_kept_found_and_exported(
    visitor: Visitor, server: Server, samples: Path
) -> None:
    visitor.upload([samples / "cat.png"])
    answer = visitor.page.get_by_role("status").filter(has_text="sure")
    expect(answer).to_contain_text("cat")
    expect(visitor.page.locator(".it-bars li")).to_have_count(2)
    visitor.click("Add to the library")
    visitor.sees("Added to your library.")

    visitor.upload([samples / "rocket.jpg"])
    visitor.sees("Unknown")
    visitor.sees("Unlike every photo that pets was taught with.")
    visitor.click("Add to the library")
    visitor.sees("Added to your library.")

    visitor.go("Gallery")
    expect(visitor.tiles()).to_have_count(2)
    visitor.tile("cat.png").click()
    expect(visitor.heading("cat.png")).to_be_visible()
    visitor.sees(re.compile("pets was .*% sure"))

    visitor.go("Search & export")
    visitor.type("What are you looking for?", "cat AND NOT dog")
    visitor.sees("1 photo")
    expect(visitor.tile("cat.png")).to_be_visible()
    visitor.type("What are you looking for?", "")
    visitor.sees("2 photos")
    with server.library() as library:
        cat, rocket = library.search(sort="oldest").photos
    text = visitor.download("CSV").read_text(encoding="utf-8")
    assert text.splitlines()[0] == HEADER
    newest, oldest = csv.reader(text.splitlines()[1:])
    assert newest[:2] == [str(rocket.id), "rocket.jpg"]
    assert newest[3:] == [""] * 10
    (tag,) = cat.tags
    assert oldest[:4] == [str(cat.id), "cat.png", f"{cat.added_at:%Y-%m-%d %H:%M:%S}", "cat"]
    assert oldest[4:] == [*[""] * 4, f"{100 * (tag.score or 0):.2f}", *[""] * 4]

    lines = visitor.download("JSON Lines").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["rocket.jpg", "cat.png"]
    visitor.click("Prepare a ZIP of the photos")
    with zipfile.ZipFile(visitor.download(re.compile("^Download the ZIP"))) as archive:
        (inside, labels) = sorted(archive.namelist())
        assert (inside, labels) == (f"cat/{cat.id}-cat.png", "labels.csv")
        assert archive.read(inside) == (samples / "cat.png").read_bytes()
    visitor.check()
