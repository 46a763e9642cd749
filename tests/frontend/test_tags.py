"""The Tags page: covers and counts, and edits of one tag, each with Undo."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tagger.library.library import Library
from tests.frontend.pages import (
    HOSTILE,
    button_labels,
    grid_photos,
    notices,
    open_page,
    page_text,
    press,
    report_trigger,
    tag_labels,
    type_option,
)


def test_tags_have_covers_and_open(six_photos: Library) -> None:
    six_photos.edit_tags([1], add=["sea"])
    app = open_page("tags")
    tiles = grid_photos(app, "tags-grid")
    assert [(tile["tag"], tile["caption"]) for tile in tiles] == [
        ("cat", "2 photos"),
        ("dog", "2 photos"),
        ("sea", "1 photo"),
    ]
    report_trigger(app, "tags-grid", "opened", 1)
    assert app.query_params["tag"] == "dog"
    assert app.title[0].value == "dog" and "2 photos" in page_text(app)
    assert [photo["id"] for photo in grid_photos(app, "tags-photos")] == [2, 1]
    press(app, "tags-back")
    assert "tag" not in app.query_params and len(grid_photos(app, "tags-grid")) == 3
    app = open_page("tags", filter="OG")
    assert [tile["tag"] for tile in grid_photos(app, "tags-grid")] == ["dog"]
    assert "No tags match." in page_text(open_page("tags", filter="zebra"))
    assert "No photo has the tag zebra" in page_text(open_page("tags", tag="zebra"))


@pytest.mark.parametrize("name", ["go", "menu", "photos", "hide"])
def test_a_tag_may_have_any_name(six_photos: Library, name: str) -> None:
    six_photos.edit_tags([5], add=[name])
    app = open_page("tags", tag=name)
    assert app.title[0].value == name and "1 photo" in page_text(app)


def test_a_tag_is_renamed_merged_and_separated(six_photos: Library) -> None:
    app = open_page("tags", tag="dog")
    type_option(app, "tags-rename-dog", "Bello")
    press(app, "tags-go-rename")
    assert app.query_params["tag"] == "Bello" and app.title[0].value == "Bello"
    assert "Renamed dog to Bello" in page_text(app) and "Was: dog" in page_text(app)
    assert app.button(key="tags-separate-dog").label == "Use the old name"
    assert tag_labels(six_photos, 1) == ["Bello"]
    app.selectbox(key="tags-rename-Bello").set_value("cat").run()
    assert "2 photos will show cat in place of Bello." in page_text(app)
    assert "Merge into cat" in button_labels(app)
    press(app, "tags-go-rename")
    assert tag_labels(six_photos, 1) == ["cat"] and "Merged Bello into cat" in page_text(app)
    assert "Includes: Bello" in page_text(app)
    assert app.button(key="tags-separate-Bello").label == "Separate"
    press(app, "tags-last-undo")
    assert tag_labels(six_photos, 1) == ["Bello"]
    assert "Undone: Merged Bello into cat" in page_text(app)
    press(app, "tags-last-undo")
    assert tag_labels(six_photos, 1) == ["cat"]
    assert app.title[0].value == "cat"
    press(app, "tags-separate-Bello")
    assert tag_labels(six_photos, 1) == ["Bello"]


def test_a_name_is_no_other_word_for_itself(six_photos: Library) -> None:
    six_photos.edit_tags([1], add=["sea"])
    app = open_page("tags", tag="sea")
    assert "ocean" in app.multiselect(key="tags-synonyms-sea").value
    type_option(app, "tags-rename-sea", "ocean")
    press(app, "tags-go-rename")
    words = app.multiselect(key="tags-synonyms-ocean").value
    assert words and "ocean" not in words
    assert six_photos.find_ids("ocean") == six_photos.find_ids("sea") == [1]


def test_a_tag_is_hidden_and_never_said(six_photos: Library) -> None:
    app = press(open_page("tags", tag="dog"), "tags-hide")
    assert "Hid dog" in page_text(app) and tag_labels(six_photos, 1) == []
    press(app, "tags-back")
    assert [tile["tag"] for tile in grid_photos(app, "tags-grid")] == ["cat"]
    app = open_page("tags", which="hidden")
    assert [tile["tag"] for tile in grid_photos(app, "tags-grid")] == ["dog"]
    app = press(open_page("tags", tag="dog"), "tags-hide")
    assert tag_labels(six_photos, 1) == ["dog"]
    assert "2 photos lose it; where you added or confirmed it" in page_text(app)
    six_photos.edit_tags([2], add=["dog"])
    assert "1 photo loses it; where you added or confirmed it" in page_text(app.run())
    press(app, "tags-never")
    assert tag_labels(six_photos, 2) == ["dog"]
    assert tag_labels(six_photos, 1) == [] and "Models do not give this tag." in page_text(app)
    press(app, "tags-never")
    assert tag_labels(six_photos, 1) == ["dog"]


def test_words_of_a_tag_are_edited(six_photos: Library) -> None:
    six_photos.edit_tags([5], add=["Bello"])
    app = open_page("tags", tag="Bello")
    app.multiselect(key="tags-parents-Bello").set_value(["dog"])
    app.multiselect(key="tags-synonyms-Bello").options.append("scamp")
    app.multiselect(key="tags-synonyms-Bello").set_value(["scamp"])
    press(app, "tags-go-words")
    assert "Changed the words for Bello" in page_text(app)
    assert six_photos.find_ids("dog") == [1, 2, 5] and six_photos.find_ids("scamp") == [5]
    app = open_page("tags", tag="dog")
    app.multiselect(key="tags-parents-dog").options.append("Bello")
    app.multiselect(key="tags-parents-dog").set_value(["Bello"])
    press(app, "tags-go-words")
    assert "would be above itself" in page_text(app)


def test_a_tag_is_offered_of_which_only_a_word_was_typed(six_photos: Library) -> None:
    six_photos.edit_tags([1], add=["guitar"])
    six_photos.edit_tags([2], add=["musical instrument"])
    app = open_page("tags", tag="guitar")
    type_option(app, "tags-rename-guitar", "Instr")
    app.run()
    assert "“Instr” is a new tag. Did you mean" in page_text(app)
    app.selectbox(key="tags-rename-guitar").options.append("Instr")  # AppTest forgets it
    press(app, "tags-meant-musical instrument")
    assert "Did you mean" not in page_text(app)
    assert "Merge into musical instrument" in button_labels(app)
    press(app, "tags-go-rename")
    assert "Merged guitar into musical instrument" in page_text(app)
    type_option(app, "tags-rename-musical instrument", "zither")
    assert "Did you mean" not in page_text(app.run())


def test_what_was_done_to_a_tag_is_not_said_of_another(six_photos: Library) -> None:
    app = press(open_page("tags", tag="dog"), "tags-hide")
    assert notices(app) == ["Hid dog"]
    assert notices(app.run()) == ["Hid dog"]
    app.query_params["tag"] = "cat"
    assert notices(app.run()) == []


def test_a_tag_leads_to_its_check_and_to_more_photos(six_photos: Library) -> None:
    def views(app: AppTest) -> list[str]:
        links = [link.proto for link in app.get("page_link") if link.proto.page == "teach"]
        return [link.label for link in links if "tag=" in link.query_string]

    assert views(open_page("tags", tag="dog")) == ["Check its photos", "Find more like it"]
    six_photos.edit_tags([1, 2], add=["dog"])
    assert views(open_page("tags", tag="dog")) == ["Find more like it"], "all are confirmed"


@pytest.mark.parametrize("tag", HOSTILE)
def test_hostile_tags_are_shown_as_text(six_photos: Library, tag: str) -> None:
    six_photos.edit_tags([5], add=[tag])
    app = open_page("tags", tag=tag)
    assert tag in page_text(app)
    press(app, "tags-never")
    assert notices(app) == [f"Models never say {tag}"]


def test_a_library_without_tags_says_so(library: Library) -> None:
    assert "No photo has a tag yet." in page_text(open_page("tags"))
