"""Every page on a phone, light and dark, with an empty library and with photos."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tagger.images import decode
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.e2e.conftest import Visit
from tests.e2e.server import Server
from tests.e2e.visitor import HEADINGS, Visitor

PHONE = 390  # pixels
ADDRESSES = ("", "import_photos", "gallery", "search", "review", "train", "models", "activity")
# What each page says there is to do while the library is empty.
FIRST_STEPS = (
    "Try one of these.",
    "begin with the samples.",
    "begin with four samples.",
    "your library is empty.",
    "your library is empty.",
    "Start with the photos.",
    "Teach one of your own",
    "Your library is empty.",
)
# Where photos are shown, and what was done to them; photo 1 has a name and a tag of the longest.
OLDEST = "sort=oldest"
FULL = (
    *("gallery?photo=1", f"search?{OLDEST}", f"search?{OLDEST}&as=Table"),
    *("review", "import_photos", "activity"),
)
PHOTOS = 60  # more than a page of the gallery
LONG = "DSC00001 " + "W" * 120  # has nowhere to break
DARK = 300  # a sum of red, green and blue below which a ground is dark

# Parts of the page that scroll sideways and should not.
_TOO_WIDE = """() => [
  document.documentElement, document.body, document.querySelector('[data-testid="stMain"]')
].filter(part => part.scrollWidth > part.clientWidth).map(part => part.tagName)"""


def check_looks(visitor: Visitor) -> None:
    """Nothing sticks out, in light and in dark, and nothing went wrong."""
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.settle()
        assert (sum(visitor.ground()) < DARK) == (scheme == "dark")
        assert visitor.page.evaluate(_TOO_WIDE) == [], visitor.page.url
    visitor.page.emulate_media(color_scheme="light")
    visitor.check()


def test_an_empty_library_says_what_to_do_next(visit: Visit, server: Server) -> None:
    visitor = visit(server, width=PHONE)
    for address, heading, told in zip(ADDRESSES, HEADINGS.values(), FIRST_STEPS, strict=True):
        visitor.open(address)
        expect(visitor.heading(heading)).to_be_visible()
        visitor.sees(told)
        check_looks(visitor)


@pytest.fixture(scope="module")
def filled(server: Server, pets: Tagger) -> Server:
    """The same with two pages of photos, one of them with a name and a tag of the longest."""
    with server.library() as library:
        for seed in range(PHOTOS):
            name = LONG if seed == 0 else str(seed)
            library.add_photo(f"{name}.png", decode.encode(draw("stripes", seed), "PNG"), pets)
        (named,) = library.search(f"name:{LONG[:8]}").photos
        library.edit_tags([named.id], add=[LONG[:100], "two words"])
    return server


def test_a_full_one_fits_on_a_phone(visit: Visit, filled: Server) -> None:
    visitor = visit(filled, "gallery?page=2", PHONE)
    visitor.tick("1.png")
    check_looks(visitor)
    for address in FULL:
        visitor.open(address)
        check_looks(visitor)


def test_the_way_back_is_the_browsers(visit: Visit, filled: Server) -> None:
    visitor = visit(filled)
    visitor.go("Gallery")
    visitor.tile(f"{PHOTOS - 1}.png").click()
    expect(visitor.heading(f"{PHOTOS - 1}.png")).to_be_visible()
    visitor.page.go_back()
    visitor.heading("Gallery").wait_for()
    visitor.settle()
    expect(visitor.tile(f"{PHOTOS - 2}.png")).to_be_visible()
    visitor.check()
