"""Review by keyboard, and export of the answers as a dataset."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tagger.images import decode
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.e2e.app_page import AppPage
from tests.e2e.app_server import AppServer
from tests.e2e.conftest import OpenApp, StartServer


def test_keys_record_answers_and_the_result_is_exported(
    app: AppPage, server: AppServer, tmp_path: Path
) -> None:
    app.go_to("Gallery")
    app.click("Add the sample photos")
    expect(app.tiles()).to_have_count(4)
    app.go_to("Review")
    app.expect_text("4 photos left")
    with server.library() as library:
        first, second = map(library.photo, library.teaching.review_queue(2))
        app.press("1")
        app.expect_text("3 photos left")
        reviewed = library.photo(first.id)
        assert [(tag.label, tag.by_person) for tag in reviewed.tags] == [("cat", True)]
        app.press("n")
        app.expect_text("2 photos left")
        app.press("1")
        app.expect_text("1 photo left")
        app.press("u")
        app.expect_text("2 photos left")
        assert library.count("reviewed") == 2
    app.expand("Save as training folder")
    app.field("New folder on this computer").fill(str(tmp_path / "taught"))
    app.click("Save photos")
    app.expect_text("2 photos saved to")
    written = {file.relative_to(tmp_path / "taught") for file in tmp_path.rglob("*.*")}
    assert written == {
        Path("cat", f"{first.id}-{first.name}"),
        Path("none", f"{second.id}-{second.name}"),  # known to be no cat
        Path("labels.csv"),
    }
    app.check()


def test_keys_pressed_faster_than_the_page_draws_are_not_lost(
    open_app: OpenApp, start_server: StartServer, pets: Tagger, tmp_path: Path
) -> None:
    server = start_server(tmp_path / "library")
    with server.library() as library:
        for seed in range(8):
            library.add_photo(f"{seed}.png", decode.encode(draw("disc", seed), "PNG"), pets)
        app = open_app(server, "review")
        app.expect_text("8 photos left")
        expect(app.page.get_by_text("Up next", exact=True)).to_be_visible()
        order = library.teaching.review_queue(8)
        questions = [library.teaching.load_question(photo_id) for photo_id in order]
        tags = [len(question.scores) for question in questions if question is not None]
        for key in "n1sn1n":
            app.page.keyboard.press(key)
        app.expect_text("2 photos left")
        app.check()
        answers = [library.annotations(photo_id) for photo_id in order]
        counts = [len(annotations) for annotations in answers]
        assert counts == [tags[0], 1, 0, tags[3], 1, tags[5], 0, 0]
        app.page.keyboard.press("u")
        app.page.keyboard.press("u")
        app.expect_text("4 photos left")
        assert library.count("reviewed") == 3
    app.check()


@pytest.mark.parametrize("width", [1280, 390])
def test_several_tags_are_chosen_and_typed_before_they_are_saved(
    open_app: OpenApp,
    start_server: StartServer,
    samples: dict[str, Path],
    tmp_path: Path,
    width: int,
) -> None:
    server = start_server(tmp_path / "library", model="everyday")
    with server.library() as library:
        tagger = Tagger.load("everyday")
        for name in ("astronaut", "coffee"):
            library.add_photo(name, samples[name].read_bytes(), tagger)
        app = open_app(server, "review", width)
        (first, *_) = library.teaching.review_queue(2)
        photo = app.page.locator(".st-key-review-photo img")
        before = photo.bounding_box()
        tags = [tag.label for tag in library.photo(first).tags]
        field = app.page.get_by_label("Other tag").first
        field.press_sequentially("sun shine, nose")  # with the letters of the page's keys
        field.press("Enter")
        app.wait_until_idle()
        field.press("Enter")  # leaves the empty field
        app.button(re.compile("^nose")).wait_for()
        assert photo.bounding_box() == before, "the photo does not move"
        assert library.count("reviewed") == 0
        save = app.button(re.compile("^Save: "))
        if width == 390:
            app.page.set_viewport_size({"width": width, "height": 600})
            app.page.locator("[data-testid=stMain]").evaluate("main => main.scrollTo(0, 0)")
            save_box, bar = save.bounding_box(), app.phone_bar().bounding_box()
            assert save_box is not None and bar is not None
            assert save_box["y"] + save_box["height"] <= bar["y"], "Save is above the bar"
            app.page.set_viewport_size({"width": width, "height": 844})
        app.page.locator(".st-key-review-chips button").first.click()
        app.wait_until_idle()
        assert library.count("reviewed") == 0
        app.press("Enter")  # saves: the tag that was clicked has not kept the focus
        expect(app.page.get_by_text("sun shine", exact=False).first).to_be_visible()
        app.wait_until_idle()
        answers = {each.label: each.present for each in library.annotations(first)}
        question = library.teaching.load_question(first)
        assert {"sun shine", "nose"} <= {label for label, yes in answers.items() if yes}
        assert answers[next(iter(question.scores))] == (next(iter(question.scores)) not in tags)
        after = photo.bounding_box()
        assert before is not None and after is not None and after["y"] == before["y"]
    app.check()
