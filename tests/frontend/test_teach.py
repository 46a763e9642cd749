"""The Teach page: tags and their examples, more photos that look like them, and checks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tagger.library.library import Library
from tests.conftest import draw_collection, import_folder
from tests.frontend.pages import (
    HOSTILE,
    button_keys,
    button_labels,
    grid_data,
    open_page,
    page_text,
    press,
    report_trigger,
    type_option,
)

TAG = "round thing"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, shapes: Path, worded: Path) -> Path:
    """The home of a library of forty photos of each shape, in which `worded` is in use."""
    home = tmp_path_factory.mktemp("imported") / "library"
    library = Library.open(home)
    library.use_model(str(worded))
    import_folder(library, shapes, model=str(worded))
    library.close()
    return home


@pytest.fixture
def library(
    imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wordless: None
) -> Iterator[Library]:
    """A copy of that library, which the app opens."""
    home = Path(shutil.copytree(imported, tmp_path / "library"))
    monkeypatch.setenv("TAGGER_HOME", str(home))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    library = Library.open(home)
    yield library
    library.close()
    st.cache_resource.clear()


def grid(app: AppTest, mode: str = "wrong") -> dict[str, Any]:
    return grid_data(app, f"teach-grid-{mode}")


def save_answers(
    app: AppTest, clicked: Sequence[int], mode: str = "wrong", /, **changed: Any
) -> None:
    """Save the answers of the grid, as the browser reports them."""
    key, content = f"teach-grid-{mode}", grid(app, mode)
    done = content["done"] or {"token": "here", "number": 0}
    action = {
        "kind": "answer",
        "ids": [photo["id"] for photo in content["photos"]],
        "clicked": list(clicked),
        "number": done["number"] + 1,
    }
    value = {"token": done["token"], "actions": [action | changed]}
    report_trigger(app, key, "actions", value)


def discs(library: Library) -> list[int]:
    return library.find_ids("folder:/disc")


def test_a_new_tag_is_taught_from_five_examples(library: Library) -> None:
    app = open_page("teach")
    type_option(app, "teach-choose", "ball")
    app.run()
    assert app.query_params["tag"] == "ball" and app.title[0].value == "ball"
    assert "Click at least 5 photos with ball." in page_text(app)
    offered = [photo["id"] for photo in grid(app, "right")["photos"]]
    assert set(offered[:12]) <= set(discs(library)), "those that look like the word come first"
    save_answers(app, offered[:3], "right")
    assert "Added ball to 3 photos" in page_text(app)
    assert "Click at least 2 more photos" in page_text(app)
    assert not {photo["id"] for photo in grid(app, "right")["photos"]} & set(offered[:3])
    save_answers(app, offered[3:5], "right")
    assert library.teaching.answers("ball").no == ()

    assert "more look like this" in page_text(app)
    offered = [photo["id"] for photo in grid(app)["photos"]]
    assert len(offered) == 24 and set(offered) <= set(discs(library))
    save_answers(app, offered[:2])
    assert "Added ball to 22 photos, marked 2 as not ball" in page_text(app)
    assert "Learnt from 27 examples" in page_text(app)
    answers = library.teaching.answers("ball")
    assert len(answers.yes) == 27 and set(answers.no) == set(offered[:2])
    assert app.toggle(key="teach-later-ball").value
    press(app, "teach-last-undo")
    assert len(library.teaching.answers("ball").yes) == 5
    app.toggle(key="teach-later-ball").set_value(False).run()
    assert not library.teaching.learn_active() and "Tag new photos with ball: off" in page_text(app)
    press(app, "teach-all")
    assert "by your examples" in page_text(app) and library.count("ball") > 25
    press(app, "teach-back")
    assert "tag" not in app.query_params and "5 examples · tags later imports" in page_text(app)


def test_every_tag_of_the_library_and_its_models_is_offered(library: Library) -> None:
    library.edit_tags(discs(library)[:2], ["pebble"])
    squares = library.count("square")
    library.edit_tags(discs(library)[:1], ["secret"])
    library.tags.hide("secret")
    offered = open_page("teach").selectbox(key="teach-choose").options
    assert "pebble · 2 photos" in offered, "of which a person said something"
    assert f"square · {squares} photos" in offered, "of which nobody did"
    assert not [option for option in offered if option.startswith("secret")]
    app = open_page("teach")
    app.selectbox(key="teach-choose").select(f"square · {squares} photos").run()
    app.run()
    assert app.query_params["tag"] == "square"


def test_a_tag_that_was_typed_in_part_is_offered(library: Library) -> None:
    library.edit_tags(discs(library)[:1], ["squid"])
    app = open_page("teach")
    type_option(app, "teach-choose", "SQU")
    app.run()
    app.run()
    assert app.title[0].value == "SQU" and "“SQU” is a new tag. Did you mean" in page_text(app)
    assert {"square", "squid"} <= set(button_labels(app))
    press(app, "teach-meant-square")
    assert app.title[0].value == "square" and "Did you mean" not in page_text(app)
    assert "Did you mean" not in page_text(open_page("teach", tag="quartz"))


def test_a_label_that_no_photo_has_is_offered(library: Library) -> None:
    library.edit_tags(library.find_ids("square"), remove=["square"])
    assert "square" in open_page("teach").selectbox(key="teach-choose").options


def test_answers_of_another_grid_are_ignored(library: Library) -> None:
    library.edit_tags(discs(library)[:5], [TAG])
    app = open_page("teach", tag=TAG)
    ids = [photo["id"] for photo in grid(app)["photos"]]
    operations = len(library.operations())
    for changed in ({"ids": ids[1:]}, {"ids": "x"}, {"clicked": 3}):
        save_answers(app, [], **changed)
        assert "Not saved: these photos have changed meanwhile." in page_text(app)
        assert [photo["id"] for photo in grid(app)["photos"]] == ids
    assert len(library.operations()) == operations
    save_answers(app, [999, ids[0]])
    assert library.teaching.answers(TAG).no == (ids[0],)


def test_photos_stay_until_they_are_answered(library: Library, tmp_path: Path) -> None:
    library.edit_tags(discs(library)[:5], [TAG])
    app = open_page("teach", tag=TAG)
    drawn = [photo["id"] for photo in grid(app)["photos"]]
    library.delete(drawn[5:6])
    import_folder(library, draw_collection(tmp_path / "later", 40, ("disc",), 500))
    renewed = [photo["id"] for photo in grid(open_page("teach", tag=TAG))["photos"]]
    assert set(renewed) - set(drawn), "a new session shows others"
    app.run()
    kept = [photo["id"] for photo in grid(app)["photos"]]
    assert kept == drawn[:5] + drawn[6:], "but for the deleted one"
    library.edit_tags(kept[:1], [TAG])
    assert [photo["id"] for photo in grid(app.run())["photos"]] == kept[1:]
    save_answers(app, [])
    answered = [photo["id"] for photo in grid(app)["photos"]]
    assert answered and not set(answered) & set(drawn)
    press(app, "teach-last-undo")
    assert set(kept[1:]) & {photo["id"] for photo in grid(app)["photos"]}, "they are asked again"


def test_a_tag_is_checked(library: Library) -> None:
    app = open_page("teach", tag="square")
    assert "Is this square?" in page_text(app), "a model gives this tag"
    squares = library.find_ids("folder:/square")
    app = open_page("teach", tag="square", view="Find more")
    assert "Click at least 5 photos with square" in page_text(app)
    library.edit_tags(squares[:5], ["square"])
    app = open_page("teach", tag="square", view="Check")
    assert "Is this square? 24 of" in page_text(app)
    queue = [photo["id"] for photo in grid(app)["photos"]]
    assert not set(queue) & set(squares[:5])
    save_answers(app, queue[:1])
    assert library.teaching.answers("square").no == tuple(queue[:1])
    assert "Confirmed square on 23 photos, marked 1 as not square" in page_text(app)
    assert "Is this square?" in page_text(app), "the check goes on"
    assert "**square**" in page_text(press(open_page("teach", tag="square"), "teach-back"))
    assert not app.toggle(key="teach-later-square").value, "a model gives this tag"
    while "Is this square?" in page_text(app):
        save_answers(app, [])
    assert "You have confirmed every photo with square." in page_text(app)


def test_a_tag_to_check_is_chosen(library: Library) -> None:
    squares = library.count("square")
    library.edit_tags(discs(library)[:1], ["pebble"])
    library.edit_tags(library.find_ids("square")[:2], ["square"])
    app = press(open_page("teach"), "teach-check")
    assert app.title[0].value == "Check a tag"
    options = app.selectbox(key="teach-choose").options
    assert f"square · {squares - 2} photos" in options
    assert not [option for option in options if option.startswith("pebble")], "all confirmed"
    app.selectbox(key="teach-choose").select(f"square · {squares - 2} photos").run()
    app.run()
    assert f"Is this square? 24 of {squares - 2} photos" in page_text(app)
    assert app.title[0].value == "square"
    press(app, "teach-back")
    assert app.title[0].value == "Teach a tag"


def test_the_last_photo_to_check_is_one_photo(library: Library) -> None:
    library.edit_tags(library.find_ids("square")[1:], ["square"])
    app = open_page("teach", tag="square", view="Check")
    assert "Is this square? One photo that you have not confirmed." in page_text(app)
    save_answers(app, [])
    assert "You have confirmed every photo with square." in page_text(app)


def test_a_tag_of_few_photos_stays_checked(library: Library) -> None:
    squares = library.find_ids("square")
    library.delete(squares[2:])
    library.edit_tags(squares[:1], ["square"])
    app = open_page("teach", tag="square", view="Check")
    save_answers(app, [])
    for _ in range(2):  # drawn again, as when a job ends
        assert "You have confirmed every photo with square." in page_text(app)
        app.run()


def test_an_answer_that_cannot_be_saved_is_acknowledged(library: Library) -> None:
    """The grid can be saved again: it does not wait for an answer for ever."""
    library.edit_tags(discs(library)[:5], [TAG])
    app = open_page("teach", tag=TAG)
    photos = [photo["id"] for photo in grid(app)["photos"]]
    library.delete(photos)
    save_answers(app, [])
    assert "nothing to save: no such photo is in the library" in page_text(app)
    assert grid(app)["done"]["number"] == 1


def test_without_anything_alike_the_closest_are_offered(library: Library) -> None:
    library.edit_tags(discs(library), [TAG])
    app = open_page("teach", tag=TAG)
    assert f"Nothing else looks like {TAG}." in page_text(app)
    press(app, "teach-closest")
    assert f"The closest of the other photos. Click those with {TAG}" in page_text(app)
    assert "teach-all" not in button_keys(app), "nothing looks like it"
    offered = [photo["id"] for photo in grid(app, "right")["photos"]]
    assert len(offered) == 24, "none of which is taken for right"
    save_answers(app, offered[:1], "right")
    assert f"Added {TAG} to 1 photo" in page_text(app)
    assert library.teaching.answers(TAG).no == ()


@pytest.mark.parametrize("tag", HOSTILE)
def test_hostile_tags_are_shown_as_text(library: Library, tag: str) -> None:
    library.edit_tags(discs(library)[:5], [tag])
    app = open_page("teach", tag=tag)
    assert app.title[0].value and "Learnt from 5 examples" in page_text(app)
    assert grid(app)["tag"] == tag
    assert "Find more" in button_labels(open_page("teach"))


def test_a_tag_that_cannot_be_is_an_error_message(library: Library) -> None:
    assert "a tag is 1 to 100 characters" in page_text(open_page("teach", tag="x" * 101))
