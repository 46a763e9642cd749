"""The service's page: photos, answers, error messages, tokens."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from tagger.images import decode
from tagger.service.predictor import KEPT_FOLDER
from tagger.tagger import Tagger
from tagger.text import whole_percent
from tests.conftest import draw
from tests.e2e.conftest import OpenWebPage
from tests.e2e.web_page import WebPage, make_answer
from tests.service.service_process import ServiceProcess, run_service

HOSTILE = "<img src=x onerror=alert(1)><b>bold</b>"
_DROP_OR_PASTE = """([kind, base64]) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  files.items.add(new File([bytes], "file.png", { type: "image/png" }));
  const init = { bubbles: true, cancelable: true };
  if (kind === "drop") {
    window.dispatchEvent(new DragEvent("dragenter", { ...init, dataTransfer: files }));
  }
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { ...init, clipboardData: files })
    : new DragEvent(kind, { ...init, dataTransfer: files });
  document.body.dispatchEvent(event);
}"""


def photo(seed: int) -> tuple[str, str, bytes]:
    return f"{seed}.png", "image/png", decode.encode(draw("disc", seed), "PNG")


@pytest.fixture(scope="module")
def everyday() -> Tagger:
    """The service's model."""
    return Tagger.load("everyday")


def test_a_chosen_photo_shows_its_tags_and_scores(
    web: WebPage, samples: dict[str, Path], everyday: Tagger
) -> None:
    prediction = everyday.tag(samples["astronaut"], top=5)
    web.choose(samples["astronaut"])
    card = web.expect_answer(prediction.label or "Unknown")
    expect(card).to_contain_text(f"{whole_percent(prediction.confidence)} sure")
    expect(card.get_by_role("list", name="Also").get_by_role("listitem")).to_have_text(
        [f"{tag.label}{whole_percent(tag.score)}" for tag in prediction.tags[1:]]
    )
    expect(card.get_by_role("list", name="Scores").get_by_role("listitem")).to_have_text(
        [f"{score.label}{whole_percent(score.score)}" for score in prediction.scores]
    )
    shares = card.locator(".filled").evaluate_all(
        "bars => bars.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert shares == pytest.approx([score.score for score in prediction.scores], abs=0.01)
    expect(card).to_contain_text("Model: Everyday")
    expect(card.get_by_role("img")).to_have_js_property("naturalWidth", 512)
    web.expect_announcement(f"astronaut.png: {prediction.label}.")


def test_an_unknown_photo_shows_the_reason(
    web: WebPage, samples: dict[str, Path], everyday: Tagger
) -> None:
    (guess,) = everyday.tag(samples["coffee"], top=1).scores
    web.choose(samples["coffee"])
    card = web.expect_answer("Unknown")
    expect(card).to_contain_text("Not sure enough to tag.")
    expect(card).to_contain_text(
        re.compile(rf"Closest: .{guess.label}. \({whole_percent(guess.score)}\)")
    )
    web.stub_answers(make_answer([("sea", 0.4), ("dog", 0.3)], "unfamiliar"))
    web.choose(photo(3))
    card = web.expect_answer("Unknown")
    expect(card).to_contain_text("Doesn’t look like anything")
    expect(card).to_contain_text(re.compile(r"Closest: .sea. \(40%\)"))
    web.stub_answers(make_answer([("cat", 0.55), ("dog", 0.45)], "uncertain", "pets"))
    web.choose(photo(1))
    expect(web.expect_answer("Unknown")).to_contain_text("Can’t decide between")
    web.stub_answers(make_answer([("sea", 0.12), ("dog", 0.1)], "uncertain", "everyday"))
    web.choose(photo(2))
    expect(web.expect_answer("Unknown")).to_contain_text("Not sure enough to tag.")


def test_a_broken_file_shows_an_error_message(web: WebPage) -> None:
    whole = decode.encode(draw("disc", 3), "PNG")
    web.choose(("half.png", "image/png", whole[: len(whole) // 2]))
    expect(web.expect_answer("No answer")).to_contain_text(re.compile(r"[A-Z].*\."))
    web.choose(("text.jpg", "image/jpeg", b"Dear photo, you are none.\n" * 20))
    card = web.expect_answer("No answer")
    expect(card).to_contain_text("Not a JPEG, PNG, WebP")
    expect(card).to_contain_text("No preview")
    expect(card.get_by_role("button", name="Try again")).to_have_count(0)  # it would fail again
    web.expect_announcement("text.jpg: Not a JPEG")
    expect(web.history()).to_have_count(0)


def test_each_of_several_files_gets_an_answer(
    web: WebPage, samples: dict[str, Path], everyday: Tagger
) -> None:
    broken = ("broken.png", "image/png", b"none")
    web.choose(samples["cat"], broken, samples["coffee"], samples["astronaut"])
    names = {0: "cat", 2: "coffee", 3: "astronaut"}
    for index, name in names.items():
        web.expect_answer(everyday.tag(samples[name]).label or "Unknown", index)
    web.expect_answer("No answer", 1)
    expect(web.history()).to_have_count(3)


def test_photos_are_accepted_by_drop_and_paste(web: WebPage, samples: dict[str, Path]) -> None:
    for kind, name in (("drop", "astronaut"), ("paste", "cat")):
        content = base64.b64encode(samples[name].read_bytes()).decode()
        web.page.evaluate(_DROP_OR_PASTE, [kind, content])
        web.expect_any_answer()
        if kind == "drop":
            expect(web.page.locator("#drop")).to_be_hidden()
    expect(web.cards()).to_have_count(2)


def test_the_live_camera_takes_a_photo(web: WebPage, service: ServiceProcess) -> None:
    web.click("Live camera")
    expect(web.button("Take photo")).to_be_focused()
    web.page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    web.click("Take photo")
    card = web.cards()
    expect(card).to_have_count(1)
    expect(card).to_be_focused()
    expect(card).to_contain_text("Model: Everyday")
    expect(web.page.locator("video")).to_be_hidden()
    assert web.page.evaluate("() => document.querySelector('video').srcObject") is None
    assert decode.read(read_last_upload(service)).mean() > 20  # not a black frame
    web.click("Live camera")
    expect(web.button("Take photo")).to_be_focused()
    web.page.keyboard.press("Escape")
    expect(web.page.locator("video")).to_be_hidden()
    expect(web.button("Live camera")).to_be_focused()


def test_a_denied_camera_shows_an_error_message_that_stays(
    open_web_page: OpenWebPage, service: ServiceProcess, samples: dict[str, Path]
) -> None:
    web = open_web_page(service)
    web.page.add_init_script(
        """navigator.mediaDevices.getUserMedia = () =>
          Promise.reject(new DOMException("no", "NotAllowedError"));"""
    )
    held: list[Route] = []
    web.page.route("**/models", lambda route: held.append(route))
    with web.page.expect_request("**/models"):
        web.page.reload()
    web.click("Live camera")
    notice = web.page.get_by_role("alert")
    expect(notice).to_contain_text("Camera access is blocked")
    held[0].continue_()
    expect(web.page.get_by_text("About Everyday")).to_be_visible()
    web.choose(samples["astronaut"])
    web.expect_any_answer()
    expect(notice).to_contain_text("Camera access is blocked")


def test_choosing_another_model_sends_the_photo_to_it(
    web: WebPage, samples: dict[str, Path]
) -> None:
    web.choose(samples["astronaut"])
    web.expect_any_answer()
    field = web.page.get_by_label("Model")
    expect(field).to_have_value("everyday")
    field.select_option("pets")
    expect(web.expect_answer("Unknown")).to_contain_text("Model: Pets")
    expect(web.page.get_by_text("About Pets: 2 labels")).to_be_visible()
    expect(web.history()).to_have_count(1)
    expect(web.history()).to_contain_text("Pets")


def test_a_switch_shows_the_heatmap(web: WebPage, samples: dict[str, Path]) -> None:
    web.choose(samples["astronaut"])
    picture = web.expect_any_answer().get_by_role("img")
    plain = picture.get_attribute("src") or ""
    assert plain.startswith("blob:")
    switch = web.page.get_by_role("switch", name="Show heatmap")
    switch.check()
    expect(picture).to_have_attribute("src", re.compile("^data:image/jpeg"))
    expect(picture).to_have_js_property("complete", True)
    expect(picture).to_have_attribute("alt", "Heatmap of astronaut.png")
    expect(web.page.get_by_text("Bright areas counted most.")).to_be_visible()
    switch.uncheck()
    expect(picture).to_have_attribute("src", plain)
    switch.check()
    assert len(web.predict_requests()) == 2  # the heatmap is cached


def test_a_huge_photo_is_sent_reduced_and_upright(web: WebPage, service: ServiceProcess) -> None:
    pixels = Image.new("RGB", (4000, 3000), (200, 30, 30))
    pixels.paste((30, 30, 200), (0, 0, 4000, 600))  # the top edge: on the right once it is upright
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90° clockwise to display
    web.choose(("huge.jpg", "image/jpeg", encode_jpeg(pixels, exif)))
    expect(web.cards()).to_contain_text("Model: Everyday")
    with Image.open(io.BytesIO(read_last_upload(service))) as small:
        assert small.size == (1536, 2048)
        assert small.getexif().get(0x0112, 1) == 1
        right, left = small.getpixel((1500, 1000)), small.getpixel((100, 1000))
    assert isinstance(right, tuple) and isinstance(left, tuple)
    assert right[2] > 150 > right[0] and left[0] > 150 > left[2]


def test_a_smaller_photo_is_sent_unchanged(web: WebPage, service: ServiceProcess) -> None:
    content = encode_jpeg(Image.new("RGB", (2048, 300), (9, 90, 9)), Image.Exif())
    web.choose(("wide.jpg", "image/jpeg", content))
    expect(web.cards()).to_contain_text("Model: Everyday")
    assert read_last_upload(service) == content


def read_last_upload(service: ServiceProcess) -> bytes:
    """The photo that the service received last."""
    photos = (path for path in Path(service.home, KEPT_FOLDER).glob("*/*") if path.is_file())
    return max(photos, key=lambda path: path.stat().st_mtime_ns).read_bytes()


def encode_jpeg(picture: Image.Image, exif: Image.Exif) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (
            413,
            '{"detail": "a request may have 64 MB"}',
            "too large for the service. A request may have 64 MB.",
        ),
        (415, "<html>", "This file is not a photo the service can read."),
        (422, '{"detail": [{"loc": ["top"]}]}', "This photo can’t be read."),
        (403, '{"detail": "localhost alone is answered"}', "Localhost alone is answered."),
        (502, "", "The service failed (502)."),
        (200, "{", "The answer can’t be read."),
        (200, '{"results": []}', "This page doesn’t understand the answer."),
    ],
)
def test_every_refusal_shows_an_error_message(
    web: WebPage, status: int, body: str, message: str
) -> None:
    web.stub_answers((status, {"content-type": "application/json"}, body))
    web.choose(photo(5))
    expect(web.expect_answer("No answer")).to_contain_text(message)


def test_a_busy_service_is_retried(web: WebPage, samples: dict[str, Path]) -> None:
    busy = (503, {"retry-after": "1"}, '{"detail": "too many wait"}')
    web.stub_answers(busy, busy, None)
    web.choose(samples["cat"])
    web.expect_announcement("The service is busy. Trying again in 1 second.")
    web.expect_any_answer()
    assert len(web.predict_requests()) == 3
    web.stub_answers((503, {"retry-after": "0.01"}, '{"detail": "too many wait"}'))
    web.choose(photo(6))
    card = web.expect_answer("No answer")
    expect(card).to_contain_text("Too many wait.")
    assert len(web.predict_requests()) == 3 + 5
    web.stub_answers(None)
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("Model: Everyday")


def test_hostile_answers_are_shown_as_text(web: WebPage) -> None:
    web.stub_answers(make_answer([(HOSTILE, 0.9), ("=cmd()", 0.05)], model=HOSTILE))
    web.choose((f"{HOSTILE}.png", "image/png", decode.encode(draw("disc", 7), "PNG")))
    card = web.expect_answer(HOSTILE)
    expect(card).to_contain_text(f"Model: {HOSTILE}")
    expect(card.locator("figcaption")).to_contain_text("onerror")
    expect(web.history()).to_contain_text(HOSTILE)
    web.stub_answers((422, {}, f'{{"detail": "{HOSTILE}"}}'))
    web.choose(photo(8))
    expect(web.expect_answer("No answer")).to_contain_text(HOSTILE)
    expect(web.page.locator("[onerror], [src=x], b")).to_have_count(0)


def test_a_token_is_requested_and_kept_for_the_session(
    open_web_page: OpenWebPage, tmp_path: Path, samples: dict[str, Path]
) -> None:
    settings = {"TAGGER_MODEL": "everyday", "TAGGER_PREDICT_TOKEN": "open-sesame"}
    with run_service(tmp_path / "library", **settings) as guarded:
        web = open_web_page(guarded)
        field = web.page.get_by_label("Token")
        expect(field).to_be_focused()
        web.choose(samples["cat"])
        expect(web.expect_answer("No answer")).to_contain_text("needs a token")
        field.fill("wrong")
        web.click("Sign in")
        expect(web.page.get_by_text("The service refused this token. Check")).to_be_visible()
        expect(web.expect_answer("No answer")).to_contain_text("The service refused this token.")
        expect(field).to_be_focused()
        for token in ("schlüssel", "öffne dich 芝麻"):
            field.fill(token)
            web.click("Sign in")
            expect(web.page.get_by_text("plain characters only")).to_be_visible()
            expect(field).to_have_value(token)
            expect(web.page.get_by_role("alert")).to_be_hidden()
        field.fill("open-sesame")
        field.press("Enter")
        web.expect_any_answer()
        expect(field).to_be_hidden()
        web.page.reload()
        web.choose(samples["astronaut"])
        web.expect_any_answer()
        assert not [request.url for request in web.requests if "sesame" in request.url]
        assert "sesame" not in guarded.output()
        assert "sesame" not in str(web.page.evaluate("() => ({ ...localStorage })"))
        web.click("Sign out")
        expect(field).to_be_visible()
        guarded.check()


def test_a_token_without_permission_shows_an_error_message(web: WebPage) -> None:
    web.page.route("**/models", lambda route: route.fulfill(status=401, body="{}"))
    web.open()
    web.page.unroute("**/models")
    refusal = '{"detail": "this takes another token"}'
    web.page.route("**/models", lambda route: route.fulfill(status=403, body=refusal))
    field = web.page.get_by_label("Token")
    field.fill("weak")
    field.press("Enter")
    expect(web.page.get_by_text("This token isn’t allowed to do this.")).to_be_visible()
    expect(field).to_have_value("weak")
    web.stub_answers((403, {}, refusal))
    web.choose(photo(9))
    expect(web.expect_answer("No answer")).to_contain_text("This takes another token.")
    web.page.unroute_all()
    field.fill("strong")
    field.press("Enter")
    web.expect_any_answer()
    expect(field).to_be_hidden()
