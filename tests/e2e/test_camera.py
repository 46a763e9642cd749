"""The camera input, with Chromium's fake camera, which shows a clock."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tagger.images import decode
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer

_SHOWS_A_FRAME = """selector => {
  const frame = document.querySelector(selector);
  if (!(frame?.videoWidth ?? frame?.naturalWidth)) return false;
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 8;
  const context = canvas.getContext('2d');
  context.drawImage(frame, 0, 0, 8, 8);
  return context.getImageData(0, 0, 8, 8).data.some((value, index) => index % 4 < 3 && value > 60);
}"""  # a playing video may still be black
ATTEMPTS = 5


def test_a_photo_from_the_camera_is_tagged_and_added(app: AppPage, server: AppServer) -> None:
    app.select_radio("Camera")
    take_photo(app)
    expect(app.page.locator(".it-answer")).to_be_visible()
    expect(app.page.locator("li.chip")).to_have_count(2)
    app.click("Add to library")
    app.expect_text("Added to your library.")
    with server.library() as library:
        (photo,) = library.photos()
        assert re.fullmatch(r"camera \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.jpg", photo.name)
        assert decode.read(library.read_original(photo)).mean() > 20  # not a black frame
    app.check()


def take_photo(app: AppPage) -> None:
    """Take a photo that is not black: with every core busy, the fake camera gives black ones."""
    for _ in range(ATTEMPTS):
        app.page.wait_for_function(_SHOWS_A_FRAME, arg="video")
        app.click("Take Photo")
        photo = app.page.get_by_test_id("stCameraInput").locator("img")
        expect(photo).to_be_visible()
        if app.page.evaluate(_SHOWS_A_FRAME, '[data-testid="stCameraInput"] img'):
            return
        app.click("Clear photo")
    raise AssertionError(f"{ATTEMPTS} black photos")
