"""The camera: Chromium has one of its own that shows a clock."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tagger.images import decode
from tests.e2e.server import Server
from tests.e2e.visitor import Visitor

_SEES_SOMETHING = "() => document.querySelector('video')?.currentTime > 0.2"


def test_a_photo_is_taken_and_answered(visitor: Visitor, server: Server) -> None:
    visitor.pick("The camera")
    visitor.page.wait_for_function(_SEES_SOMETHING)
    visitor.click("Take Photo")
    expect(visitor.page.locator(".it-answer")).to_be_visible()
    expect(visitor.page.locator(".it-bars li")).to_have_count(2)
    visitor.click("Add to the library")
    visitor.sees("Added to your library.")
    with server.library() as library:
        (photo,) = library.photos()
        assert re.fullmatch(r"camera \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.jpg", photo.name)
        assert decode.read(library.read_original(photo)).mean() > 20  # it is not dark
    visitor.check()
