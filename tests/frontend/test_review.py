"""The Review page: questions, answers, undo, skipping."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.frontend.conftest import save_predictions
from tests.frontend.pages import (
    HOSTILE,
    button_keys,
    grid_data,
    notices,
    open_page,
    page_text,
    press,
    report_trigger,
    tag_labels,
)
from tests.library.predictions import predict

YES, NO, OPEN = ":material/check:", ":material/close:", ":material/question_mark:"


def add_tag(app: AppTest, photo_id: int, tag: str) -> AppTest:
    """Add a tag in the field below a photo, as the browser reports it."""
    key = f"review-other-{photo_id}"
    done = grid_data(app, key)["done"] or {"token": "here", "number": 0}
    action = {"kind": "tag", "label": tag, "number": done["number"] + 1}
    return report_trigger(app, key, "actions", {"token": done["token"], "actions": [action]})


def test_answers_annotate_the_most_doubtful_photo_first(six_photos: Library) -> None:
    app = open_page("review")
    assert "**6 photos** left" in page_text(app)
    assert "Is this right?" in page_text(app)
    assert "“yes” is saved for it. If you choose another, “no” is saved for cat." in page_text(app)
    assert app.button(key="review-4-1").label == "cat · 80%"
    press(app, "review-4-1")
    assert (tag_labels(six_photos, 4), six_photos.photo(4).reviewed) == (["cat"], True)
    assert notices(app) == ["cat"]
    assert "**5 photos** left" in page_text(app)
    press(app, "review-3-2")
    assert tag_labels(six_photos, 3) == ["dog"]
    assert {v.label: v.present for v in six_photos.annotations(3)} == {"cat": False, "dog": True}
    press(app, "review-2-none")
    assert tag_labels(six_photos, 2) == []
    answers = {v.label: v.present for v in six_photos.annotations(2)}
    assert answers == {"dog": False}, "nothing is asked below 15 %"
    add_tag(app, 1, "wolf")
    assert tag_labels(six_photos, 1) == ["wolf"]
    assert "**2 photos** left" in page_text(app)


def test_a_link_leads_to_the_check_of_one_tag(six_photos: Library) -> None:
    links = {link.proto.label: link.proto for link in open_page("review").get("page_link")}
    assert links["Check one tag …"].page == "teach"
    assert open_page("teach", view="Check").title[0].value == "Check a tag"


def test_answers_are_undone_in_reverse_order(six_photos: Library) -> None:
    app = press(press(open_page("review"), "review-4-2"), "review-3-2")
    press(app, "review-undo")
    assert (tag_labels(six_photos, 4), tag_labels(six_photos, 3)) == (["dog"], ["cat"])
    press(app, "review-undo")
    assert tag_labels(six_photos, 4) == ["cat"]
    assert six_photos.count("reviewed") == 0
    assert "review-4-1" in button_keys(app)
    assert app.button(key="review-undo").disabled


def test_skipped_photos_are_not_asked_about_again(six_photos: Library) -> None:
    app = open_page("review")
    for photo in (4, 3, 2, 1):
        press(app, f"review-{photo}-skip")
    assert "**2 photos** left" in page_text(app) and "Skipped" in page_text(app)
    left = {key.split("-")[1] for key in button_keys(open_page("review")) if key.endswith("-skip")}
    assert left <= {"5", "6"}, "a skip is kept"
    press(app, "review-undo")
    assert "**3 photos** left" in page_text(app) and "review-1-skip" in button_keys(app)
    press(app, "review-1-skip")
    assert six_photos.count("reviewed") == 0
    six_photos.edit_tags([5, 6], add=["sun"])
    app.run()
    assert "Only skipped photos left: 4 photos." in page_text(app)
    press(app, "review-again")
    assert "review-4-skip" in button_keys(app)


def test_photos_without_a_likely_tag_are_not_asked_about(six_photos: Library, pets: Tagger) -> None:
    save_predictions(six_photos, pets, {1: {"dog": 0.14, "cat": 0.1}})
    save_predictions(six_photos, None, {2: {"dog": 0.9, "cat": 0.14}})
    six_photos.edit_tags([3, 4, 5, 6], add=["sun"])
    app = open_page("review")
    assert "**1 photo** left" in page_text(app)
    assert "review-2-1" in button_keys(app) and "review-2-2" not in button_keys(app)
    press(press(app, "review-2-1"), "review-2-yes")
    assert "Nothing is left that is worth asking. 1 photo has no tag" in page_text(app)


def test_every_button_has_its_own_key(six_photos: Library) -> None:
    app = press(open_page("review"), "review-4-1")
    shortcuts = [button.proto.shortcut for button in app.button if button.proto.shortcut]
    assert sorted(shortcuts) == sorted(set(shortcuts))
    assert {"1", "2", "y", "n", "s", "u"} <= set(shortcuts)


def test_only_what_a_person_marked_is_saved(six_photos: Library) -> None:
    save_predictions(six_photos, None, {1: {"dog": 0.9, "cat": 0.8, "sofa": 0.3, "lamp": 0.2}})
    six_photos.edit_tags([2, 3, 4, 5, 6], add=["sun"])
    app = open_page("review")
    assert f"{YES} yes · {NO} no · {OPEN} no answer: the model is not sure" in page_text(app)
    icons = [app.button(key=f"review-1-{number}").icon for number in (1, 2, 3, 4)]
    assert icons == [YES, YES, OPEN, OPEN], "the models did not give the last two"
    assert app.button(key="review-1-yes").label == "Save: 2 yes"
    assert app.button(key="review-1-none").label == "None of these: 4 no"
    press(app, "review-1-2")  # cat: no
    press(app, "review-1-3")  # sofa: yes
    icons = [app.button(key=f"review-1-{number}").icon for number in (1, 2, 3, 4)]
    assert icons == [YES, NO, YES, OPEN]
    assert app.button(key="review-1-yes").label == "Save: 2 yes, 1 no"
    assert not six_photos.photo(1).reviewed, "only Save records the answer"
    press(app, "review-1-yes")
    assert "dog, sofa, not cat" in page_text(app)
    assert sorted(tag_labels(six_photos, 1)) == ["dog", "sofa"]
    assert {v.label: v.present for v in six_photos.annotations(1)} == {
        "dog": True,
        "sofa": True,
        "cat": False,
    }


def test_a_tag_is_answered_yes_no_and_not_at_all_in_turn(six_photos: Library) -> None:
    save_predictions(six_photos, None, {1: {"dog": 0.9, "sofa": 0.3}})
    six_photos.edit_tags([2, 3, 4, 5, 6], add=["sun"])
    app = open_page("review")
    for icon in (YES, NO, OPEN):
        assert app.button(key="review-1-2").icon == (
            OPEN if icon == YES else YES if icon == NO else NO
        )
        assert press(app, "review-1-2").button(key="review-1-2").icon == icon
    press(press(app, "review-1-1"), "review-1-1")
    assert app.button(key="review-1-yes").disabled, "nothing is answered"
    assert app.button(key="review-1-yes").label == "Save"
    assert "Y" not in grid_data(app, "review-ahead")["keys"]
    press(press(press(app, "review-1-2"), "review-1-2"), "review-1-yes")
    assert {v.label: v.present for v in six_photos.annotations(1)} == {"sofa": False}


def test_y_saves_the_tag_of_a_photo_that_has_one(six_photos: Library) -> None:
    app = open_page("review")
    assert app.button(key="review-4-yes").label == "Save: cat"
    press(app, "review-4-yes")
    assert {v.label: v.present for v in six_photos.annotations(4)} == {"cat": True}


def test_an_answer_to_a_model_of_one_tag_says_nothing_of_other_tags(
    six_photos: Library, pets: Tagger
) -> None:
    save_predictions(six_photos, pets, {1: {"dog": 0.9, "cat": 0.1}})
    predict(six_photos, "places", {1: {"beach": 0.9, "sky": 0.8}})
    six_photos.edit_tags([2, 3, 4, 5, 6], add=["sun"])
    app = open_page("review")
    buttons = [button.key for button in app.button if str(button.key).startswith("review-1-")]
    assert "review-1-yes" in buttons, "several tags may be right"
    press(app, "review-1-yes")
    assert {v.label: v.present for v in six_photos.annotations(1)} == {
        "dog": True,
        "beach": True,
        "sky": True,
    }


def test_a_multi_label_photo_can_have_none_of_the_tags(six_photos: Library) -> None:
    save_predictions(six_photos, None, {1: {"dog": 0.9, "cat": 0.8}})
    six_photos.edit_tags([2, 3, 4, 5, 6], add=["sun"])
    app = press(open_page("review"), "review-1-none")
    assert "None of these" in page_text(app)
    assert tag_labels(six_photos, 1) == []
    assert {v.label: v.present for v in six_photos.annotations(1)} == {"cat": False, "dog": False}


def test_several_tags_are_typed_before_they_are_saved(six_photos: Library) -> None:
    save_predictions(six_photos, None, {1: {"dog": 0.9, "cat": 0.8}})
    six_photos.edit_tags([2, 3, 4, 5, 6], add=["sun"])
    app = press(open_page("review"), "review-1-2")  # cat off
    for tag in ("sofa", "lamp"):
        add_tag(app, 1, tag)
    assert not six_photos.photo(1).reviewed
    press(press(app, "review-1-4"), "review-1-4")  # lamp: no, then not answered
    press(app, "review-1-yes")
    assert sorted(tag_labels(six_photos, 1)) == ["dog", "sofa"]
    assert {v.label: v.present for v in six_photos.annotations(1)} == {
        "dog": True,
        "sofa": True,
        "cat": False,
    }


def test_a_second_answer_to_a_photo_is_ignored(six_photos: Library) -> None:
    app = open_page("review")
    six_photos.edit_tags([4], add=["cat"])  # in another tab
    count = len(six_photos.operations())
    press(app, "review-4-2")
    assert tag_labels(six_photos, 4) == ["cat"]
    assert len(six_photos.operations()) == count


@pytest.mark.parametrize("tag", HOSTILE)
def test_hostile_answers_are_shown_as_text(six_photos: Library, tag: str) -> None:
    app = open_page("review")
    add_tag(app, 4, tag)
    assert tag_labels(six_photos, 4) == [tag]
    assert notices(app) == [f"{tag}, not cat"]


def test_an_invalid_answer_shows_an_error_message(six_photos: Library) -> None:
    app = open_page("review")
    add_tag(app, 4, "x" * 101)
    assert "a tag is 1 to 100 characters" in page_text(app)
    assert not six_photos.photo(4).reviewed


def test_a_finished_review_shows_a_message(six_photos: Library) -> None:
    six_photos.edit_tags(range(1, 7), add=["sun"])
    app = open_page("review")
    assert "All photos are reviewed." in page_text(app)


def test_more_photos_that_look_alike_are_offered(drawn_shapes: Library) -> None:
    discs = drawn_shapes.find_ids("folder:/disc")
    drawn_shapes.edit_tags(discs[:4], add=["ball"])
    drawn_shapes.edit_tags([*discs[5:], *drawn_shapes.find_ids("-folder:/disc")], add=["sun"])
    app = add_tag(open_page("review"), discs[4], "ball")
    (link,) = (link for link in app.main.get("page_link") if "look like ball" in link.proto.label)
    assert link.proto.query_string == "tag=ball"
