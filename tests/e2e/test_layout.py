"""Every page at both widths, light and dark, with an empty library and with photos."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import expect

from tagger.images import decode
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.e2e.app_page import HEADINGS, AppPage
from tests.e2e.app_server import AppServer
from tests.e2e.axe import SERIOUS, run_axe
from tests.e2e.conftest import HEIGHTS, PHONE, WIDE, OpenApp

PATHS = (
    *(
        "",
        "import_photos",
        "gallery",
        "search",
        "tags",
        "review",
        "teach",
        "train",
        "models",
        "duplicates",
        "activity",
    ),
)
# The next step that each page names while the library is empty.
FIRST_STEPS = (
    "Try one of these.",
    "start with the samples.",
    "begin with four samples.",
    "Your library is empty.",
    "No photo has a tag yet.",
    "Your library is empty.",
    "Your library is empty.",
    "Runs on this computer in minutes.",
    "Train a model of your own",
    "Your library is empty.",
    "Your library is empty.",
)
# Pages that show photos; photo 1 has a very long name and tag.
OLDEST = "sort=oldest"
PHOTO_PAGES = (
    *("gallery?photo=1", f"search?{OLDEST}", f"search?{OLDEST}&as=Table"),
    *("review", "import_photos", "activity", "tags", "tags?tag=two+words"),
    *("teach?tag=two+words", "models", "duplicates", "activity?trash=all"),
)
PHOTOS = 60  # more than one gallery page
LONG = "DSC00001 " + "W" * 120  # cannot be wrapped
DARK = 300  # background colours with a lower sum of red, green and blue are dark

# Elements that scroll sideways.
_TOO_WIDE = """() => [
  document.documentElement, document.body, document.querySelector('[data-testid="stMain"]')
].filter(part => part.scrollWidth > part.clientWidth).map(part => part.tagName)"""


def check_layout(app: AppPage) -> None:
    """Nothing overflows in light or dark mode, and no errors occurred."""
    for scheme in ("light", "dark"):
        app.page.emulate_media(color_scheme=scheme)
        app.wait_until_idle()
        assert (sum(app.background_color()) < DARK) == (scheme == "dark")
        assert app.page.evaluate(_TOO_WIDE) == [], app.page.url
    app.page.emulate_media(color_scheme="light")
    app.check()


def test_pages_of_an_empty_library_name_the_next_step(open_app: OpenApp, server: AppServer) -> None:
    app = open_app(server, width=PHONE)
    for path, heading, next_step in zip(PATHS, HEADINGS.values(), FIRST_STEPS, strict=True):
        app.open(path)
        expect(app.heading(heading)).to_be_visible()
        app.expect_text(next_step)
        check_layout(app)


@pytest.fixture(scope="module")
def full_library(server: AppServer, pets: Tagger) -> AppServer:
    """Two gallery pages of photos, one with a very long name and tag."""
    with server.library() as library:
        for seed in range(PHOTOS):
            name = LONG if seed == 0 else str(seed)
            library.add_photo(f"{name}.png", decode.encode(draw("stripes", seed), "PNG"), pets)
        (photo,) = library.search(f"name:{LONG[:8]}").photos
        library.edit_tags([photo.id], add=[LONG[:100], "two words"])
        deleted = library.add_photo("deleted.png", decode.encode(draw("disc", 1), "PNG"), pets)
        library.delete([deleted.photo.id])
    return server


def test_pages_of_a_full_library_fit_on_a_phone(open_app: OpenApp, full_library: AppServer) -> None:
    app = open_app(full_library, "gallery", PHONE)
    first = app.tiles().first.bounding_box()
    assert first is not None and first["y"] < 0.25 * HEIGHTS[PHONE], "photos come first"
    app.select_photos(f"{PHOTOS - 1}.png")
    check_layout(app)
    for path in PHOTO_PAGES:
        app.open(path)
        check_layout(app)
    app.page.locator(".st-key-trash-photos img").click(force=True)  # its label lies above it
    expect(app.page.locator(".st-key-trash-photos input")).to_be_checked()


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_axe_finds_nothing_serious(
    open_app: OpenApp, full_library: AppServer, width: int, scheme: Literal["light", "dark"]
) -> None:
    app = open_app(full_library, "", width, scheme)
    problems = {}
    for path in ("", "gallery", "train", *PHOTO_PAGES):
        app.open(path)
        problems[path] = run_axe(app.page, SERIOUS)
    assert not any(problems.values()), problems
    app.check()


def test_the_browsers_back_button_returns_to_the_gallery(
    open_app: OpenApp, full_library: AppServer
) -> None:
    app = open_app(full_library)
    app.go_to("Gallery")
    app.open_photo(f"{PHOTOS - 1}.png")
    app.press("ArrowRight")
    app.expect_photo(f"{PHOTOS - 2}.png")
    app.page.go_back()
    expect(app.page.get_by_role("dialog")).to_be_hidden()
    expect(app.tile(f"{PHOTOS - 2}.png")).to_be_focused()
    app.page.go_forward()
    app.expect_photo(f"{PHOTOS - 2}.png")
    app.press("Escape")
    app.page.go_back()
    app.heading("What is in this photo?").wait_for()
    app.check()
