"""The service's page: photos come in, answers come out, and every refusal is a sentence."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tagger.images import decode
from tagger.service.predictor import KEPT_FOLDER
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.e2e.conftest import Arrive
from tests.e2e.guest import Guest, said
from tests.service.serving import Serving, serving

HOSTILE = "<img src=x onerror=alert(1)><b>bold</b>"
_GIVE = """([kind, base64]) => {
  const files = new DataTransfer();
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  files.items.add(new File([bytes], "given.png", { type: "image/png" }));
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
    """The model that the service answers with."""
    return Tagger.load("everyday")


def test_a_chosen_photo_gets_its_tags(
    guest: Guest, samples: dict[str, Path], everyday: Tagger
) -> None:
    known = everyday.tag(samples["astronaut"], top=5)
    guest.choose(samples["astronaut"])
    card = guest.sees(known.label or "Unknown")
    expect(card).to_contain_text(f"{known.confidence:.1%} sure")
    expect(card.get_by_role("list", name="Also").get_by_role("listitem")).to_have_text(
        [f"{tag.label}{tag.score:.1%}" for tag in known.tags[1:]]
    )
    expect(card.get_by_role("list", name="Likeliest").get_by_role("listitem")).to_have_text(
        [f"{score.label}{score.score:.1%}" for score in known.scores]
    )
    shares = card.locator(".filled").evaluate_all(
        "bars => bars.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert shares == pytest.approx([score.score for score in known.scores], abs=0.01)
    expect(card).to_contain_text("Said by everyday")
    expect(card.get_by_role("img")).to_have_js_property("naturalWidth", 512)
    guest.hears(f"astronaut.png: {known.label}.")


def test_an_unknown_photo_says_why(
    guest: Guest, samples: dict[str, Path], everyday: Tagger
) -> None:
    (guess,) = everyday.tag(samples["coffee"], top=1).scores
    guest.choose(samples["coffee"])
    card = guest.sees("Unknown")
    expect(card).to_contain_text("Unlike every photo that")
    expect(card).to_contain_text(
        re.compile(rf"best guess would be .{guess.label}. \({guess.score:.1%}\)")
    )
    guest.answer(said([("cat", 0.55), ("dog", 0.45)], "uncertain", "pets"))
    guest.choose(photo(1))
    expect(guest.sees("Unknown")).to_contain_text("not sure enough of either")
    guest.answer(said([("sea", 0.12), ("dog", 0.1)], "uncertain", "everyday"))
    guest.choose(photo(2))
    expect(guest.sees("Unknown")).to_contain_text("No label is likely enough")


def test_a_broken_file_is_a_sentence(guest: Guest) -> None:
    whole = decode.encode(draw("disc", 3), "PNG")
    guest.choose(("half.png", "image/png", whole[: len(whole) // 2]))
    expect(guest.sees("No answer")).to_contain_text(re.compile(r"[A-Z].*\."))
    guest.choose(("text.jpg", "image/jpeg", b"Dear photo, you are none.\n" * 20))
    card = guest.sees("No answer")
    expect(card).to_contain_text("Not a JPEG, PNG, WebP")
    expect(card).to_contain_text("No preview")
    expect(card.get_by_role("button", name="Try again")).to_have_count(0)  # again in vain
    guest.hears("text.jpg: Not a JPEG")
    expect(guest.earlier()).to_have_count(0)


def test_several_files_are_each_answered(
    guest: Guest, samples: dict[str, Path], everyday: Tagger
) -> None:
    broken = ("broken.png", "image/png", b"none")
    guest.choose(samples["cat"], broken, samples["coffee"], samples["astronaut"])
    names = {0: "cat", 2: "coffee", 3: "astronaut"}
    for index, name in names.items():
        guest.sees(everyday.tag(samples[name]).label or "Unknown", index)
    guest.sees("No answer", 1)
    expect(guest.earlier()).to_have_count(3)


def test_a_photo_may_be_dropped_or_pasted(guest: Guest, samples: dict[str, Path]) -> None:
    for kind, name in (("drop", "astronaut"), ("paste", "cat")):
        content = base64.b64encode(samples[name].read_bytes()).decode()
        guest.page.evaluate(_GIVE, [kind, content])
        guest.sees_answer()
        if kind == "drop":
            expect(guest.page.locator("#drop")).to_be_hidden()
    expect(guest.cards()).to_have_count(2)


def test_the_live_camera_takes_a_photo(guest: Guest, service: Serving) -> None:
    guest.click("Live camera")
    expect(guest.button("Take the photo")).to_be_focused()
    guest.page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    guest.click("Take the photo")
    card = guest.cards()
    expect(card).to_have_count(1)
    expect(card).to_be_focused()
    expect(card).to_contain_text("Said by everyday")
    expect(guest.page.locator("video")).to_be_hidden()
    assert guest.page.evaluate("() => document.querySelector('video').srcObject") is None
    assert decode.read(newest(service)).mean() > 20  # it is not dark
    guest.click("Live camera")
    expect(guest.button("Take the photo")).to_be_focused()
    guest.page.keyboard.press("Escape")
    expect(guest.page.locator("video")).to_be_hidden()
    expect(guest.button("Live camera")).to_be_focused()


def test_a_camera_that_is_not_allowed_is_a_sentence(arrive: Arrive, service: Serving) -> None:
    guest = arrive(service)
    guest.page.evaluate(
        """() => { navigator.mediaDevices.getUserMedia = () =>
          Promise.reject(new DOMException("no", "NotAllowedError")); }"""
    )
    guest.click("Live camera")
    expect(guest.page.get_by_role("alert")).to_contain_text("not allowed to use the camera")


def test_another_model_is_asked_again(guest: Guest, samples: dict[str, Path]) -> None:
    guest.choose(samples["astronaut"])
    guest.sees_answer()
    field = guest.page.get_by_label("Model")
    expect(field).to_have_value("everyday")
    field.select_option("pets")
    expect(guest.sees("Unknown")).to_contain_text("Said by pets")
    expect(guest.page.get_by_text("About pets: 2 labels")).to_be_visible()
    expect(guest.earlier()).to_have_count(1)
    expect(guest.earlier()).to_contain_text("pets")


def test_the_heatmap_is_on_a_switch(guest: Guest, samples: dict[str, Path]) -> None:
    guest.choose(samples["astronaut"])
    picture = guest.sees_answer().get_by_role("img")
    plain = picture.get_attribute("src") or ""
    assert plain.startswith("blob:")
    switch = guest.page.get_by_role("switch", name="Heatmap: show what counted")
    switch.check()
    expect(picture).to_have_attribute("src", re.compile("^data:image/jpeg"))
    expect(picture).to_have_js_property("complete", True)
    expect(picture).to_have_attribute("alt", "What counted, painted on astronaut.png")
    expect(guest.page.get_by_text("The brighter, the more it counted.")).to_be_visible()
    switch.uncheck()
    expect(picture).to_have_attribute("src", plain)
    switch.check()
    assert len(guest.asked()) == 2  # what was painted once is kept


def test_a_huge_photo_is_sent_small_and_upright(guest: Guest, service: Serving) -> None:
    pixels = Image.new("RGB", (4000, 3000), (200, 30, 30))
    pixels.paste((30, 30, 200), (0, 0, 4000, 600))  # the top, which is right when it is upright
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    guest.choose(("huge.jpg", "image/jpeg", jpeg(pixels, exif)))
    expect(guest.cards()).to_contain_text("Said by everyday")
    with Image.open(io.BytesIO(newest(service))) as small:
        assert small.size == (1536, 2048)
        assert small.getexif().get(0x0112, 1) == 1
        right, left = small.getpixel((1500, 1000)), small.getpixel((100, 1000))
    assert isinstance(right, tuple) and isinstance(left, tuple)
    assert right[2] > 150 > right[0] and left[0] > 150 > left[2]


def test_a_photo_that_is_not_huge_is_sent_as_it_is(guest: Guest, service: Serving) -> None:
    content = jpeg(Image.new("RGB", (2048, 300), (9, 90, 9)), Image.Exif())
    guest.choose(("wide.jpg", "image/jpeg", content))
    expect(guest.cards()).to_contain_text("Said by everyday")
    assert newest(service) == content


def newest(service: Serving) -> bytes:
    """The last photo that it was sent."""
    photos = (path for path in Path(service.home, KEPT_FOLDER).glob("*/*") if path.is_file())
    return max(photos, key=lambda path: path.stat().st_mtime_ns).read_bytes()


def jpeg(picture: Image.Image, exif: Image.Exif) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (
            413,
            '{"detail": "a request may have 64 MB"}',
            "too large for the service. A request may have 64 MB.",
        ),
        (415, "<html>", "This file is not a photo that the service can read."),
        (422, '{"detail": [{"loc": ["top"]}]}', "This photo cannot be read."),
        (403, '{"detail": "localhost alone is answered"}', "Localhost alone is answered."),
        (502, "", "The service failed (502)."),
        (200, "{", "The answer cannot be read: it may have broken off on its way."),
        (200, '{"results": []}', "The answer is none that this page understands"),
    ],
)
def test_every_refusal_is_a_sentence(guest: Guest, status: int, body: str, told: str) -> None:
    guest.answer((status, {"content-type": "application/json"}, body))
    guest.choose(photo(5))
    expect(guest.sees("No answer")).to_contain_text(told)


def test_a_busy_service_is_asked_again(guest: Guest, samples: dict[str, Path]) -> None:
    busy = (503, {"retry-after": "1"}, '{"detail": "too many wait"}')
    guest.answer(busy, busy, None)
    guest.choose(samples["cat"])
    guest.hears("The service is busy: trying again in 1 second.")
    guest.sees_answer()
    assert len(guest.asked()) == 3
    guest.answer((503, {"retry-after": "0.01"}, '{"detail": "too many wait"}'))
    guest.choose(photo(6))
    card = guest.sees("No answer")
    expect(card).to_contain_text("Too many wait.")
    assert len(guest.asked()) == 3 + 5
    guest.answer(None)
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("Said by everyday")


def test_what_a_service_says_stays_text(guest: Guest) -> None:
    guest.answer(said([(HOSTILE, 0.9), ("=cmd()", 0.05)], model=HOSTILE))
    guest.choose((f"{HOSTILE}.png", "image/png", decode.encode(draw("disc", 7), "PNG")))
    card = guest.sees(HOSTILE)
    expect(card).to_contain_text(f"Said by {HOSTILE}")
    expect(card.locator("figcaption")).to_contain_text("onerror")
    expect(guest.earlier()).to_contain_text(HOSTILE)
    guest.answer((422, {}, f'{{"detail": "{HOSTILE}"}}'))
    guest.choose(photo(8))
    expect(guest.sees("No answer")).to_contain_text(HOSTILE)
    expect(guest.page.locator("[onerror], [src=x], b")).to_have_count(0)


def test_the_token_is_asked_for(arrive: Arrive, tmp_path: Path, samples: dict[str, Path]) -> None:
    settings = {"TAGGER_MODEL": "everyday", "TAGGER_PREDICT_TOKEN": "open-sesame"}
    with serving(tmp_path / "library", **settings) as guarded:
        guest = arrive(guarded)
        field = guest.page.get_by_label("Token")
        expect(field).to_be_focused()
        guest.choose(samples["cat"])
        expect(guest.sees("No answer")).to_contain_text("asks for a token")
        field.fill("wrong")
        guest.click("Use it")
        expect(guest.page.get_by_text("The service refused this token: look")).to_be_visible()
        expect(guest.sees("No answer")).to_contain_text("The service refused this token.")
        expect(field).to_be_focused()
        for odd in ("schlüssel", "öffne dich 芝麻"):
            field.fill(odd)
            guest.click("Use it")
            expect(guest.page.get_by_text("plain characters only")).to_be_visible()
            expect(field).to_have_value(odd)
            expect(guest.page.get_by_role("alert")).to_be_hidden()
        field.fill("open-sesame")
        field.press("Enter")
        guest.sees_answer()
        expect(field).to_be_hidden()
        guest.page.reload()
        guest.choose(samples["astronaut"])
        guest.sees_answer()
        assert not [request.url for request in guest.requests if "sesame" in request.url]
        assert "sesame" not in guarded.said()
        assert "sesame" not in str(guest.page.evaluate("() => ({ ...localStorage })"))
        guest.click("Forget the token")
        expect(field).to_be_visible()
        guarded.check()


def test_a_token_without_the_right_is_said_to_be_one(guest: Guest) -> None:
    guest.page.route("**/models", lambda route: route.fulfill(status=401, body="{}"))
    guest.open()
    guest.page.unroute("**/models")
    refusal = '{"detail": "this takes another token"}'
    guest.page.route("**/models", lambda route: route.fulfill(status=403, body=refusal))
    field = guest.page.get_by_label("Token")
    field.fill("weak")
    field.press("Enter")
    expect(guest.page.get_by_text("it has not the right that this takes")).to_be_visible()
    expect(field).to_have_value("weak")
    guest.answer((403, {}, refusal))
    guest.choose(photo(9))
    expect(guest.sees("No answer")).to_contain_text("This takes another token.")
    guest.page.unroute_all()
    field.fill("strong")
    field.press("Enter")
    guest.sees_answer()
    expect(field).to_be_hidden()
