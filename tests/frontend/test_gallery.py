"""The Gallery page: photos, filters, orders, and edits of one photo or many."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from tagger.jobs import worker
from tagger.jobs.requests import EmbedRequest, submit
from tagger.library.database.schema import models
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.frontend.conftest import save_predictions
from tests.frontend.pages import (
    HOSTILE,
    act,
    gallery_ids,
    grid_data,
    grid_photos,
    message,
    open_page,
    page_text,
    press,
    report_trigger,
    tag_labels,
)

KEY = "gallery-gallery"


@pytest.mark.parametrize("view", ["gallery", "search", "review"])
def test_pages_of_an_empty_library_link_to_the_import(library: Library, view: str) -> None:
    app = open_page(view)
    assert "your library is empty" in page_text(app).lower()
    links = [link.proto.page for link in app.main.get("page_link")]
    assert "import_photos" in links


def test_the_sample_photos_are_added_with_one_click(library: Library) -> None:
    press(open_page("gallery"), "gallery-samples")
    (operation,) = library.operations(kinds=["import"])
    worker.run(library, operation.id)
    assert library.operation(operation.id).total == 4


def test_the_gallery_shows_photos_and_filters(six_photos: Library) -> None:
    app = open_page("gallery", sort="name")
    assert gallery_ids(app) == [1, 2, 3, 4, 5, 6]
    data = grid_data(app, KEY)
    assert (data["total"], data["labels"], data["months"]) == (6, False, [])
    show, order = app.main.selectbox
    assert show.options[:3] == ["All photos · 6", "Favourites · 0", "No tags · 2"]
    assert sorted(show.options[3:]) == ["cat · 2", "dog · 2"]
    assert order.value == "name"
    (month,) = grid_data(open_page("gallery"), KEY)["months"]
    assert month == [f"{six_photos.photo(1).added_at:%Y-%m}", 6]


def test_a_tag_filter_is_kept_in_the_url(six_photos: Library) -> None:
    app = open_page("gallery", sort="name")
    app.main.selectbox[0].set_value("tag==cat").run()
    assert gallery_ids(app) == [3, 4]
    assert grid_data(app, KEY)["labels"], "tiles show the tag and its score"
    assert app.query_params == {"sort": "name", "show": "tag==cat"}
    app = open_page("gallery", show="tag==cat")
    six_photos.edit_tags([3], remove=["cat"])
    app.run()  # the filter's title changes with the count
    assert gallery_ids(app) == [4]
    assert "cat · 1" in app.main.selectbox[0].options
    app.main.selectbox[0].set_value("").run()
    assert app.query_params == {}, "nothing of the filter is left in the address"
    app = open_page("gallery", show="tag==cat", sort="name")
    six_photos.edit_tags([4], remove=["cat"])
    assert len(gallery_ids(app.run())) == 6 and app.query_params == {"sort": "name"}


def test_addresses_of_earlier_versions_still_work(six_photos: Library) -> None:
    assert sorted(gallery_ids(open_page("gallery", show="unknown"))) == [5, 6]
    app = open_page("gallery", sort="taken", page="3", photo="2", at="1")
    assert sorted(gallery_ids(app)) == [1, 2, 3, 4, 5, 6]
    assert grid_data(app, KEY)["sort"] == "timeline"


def test_counts_of_tags_are_fresh_after_a_look_at_photos_for_descriptions(
    six_photos: Library,
) -> None:
    request = EmbedRequest("worded.h5", "0" * 64)
    for edited in (1, 2):
        six_photos.edit_tags([edited], remove=["dog"])
        six_photos.stop(job_id := submit(six_photos, request))
        worker.run(six_photos, job_id)
        options = open_page("gallery").main.selectbox[0].options
        assert ("dog · 1" in options) == (edited == 1)


def test_a_tag_filter_shows_as_many_photos_as_it_says(six_photos: Library) -> None:
    six_photos.edit_tags([1, 2, 3], add=["animal"])
    six_photos.edit_tags([4], add=["tabby"])
    app = open_page("gallery", sort="name", show="tag==animal")
    assert "animal · 3" in app.main.selectbox[0].options
    assert gallery_ids(app) == [1, 2, 3]


def test_a_filter_without_photos_says_so(six_photos: Library) -> None:
    app = open_page("gallery", show="untagged")
    six_photos.edit_tags([5, 6], add=["sun"])
    app.run()
    data = grid_data(app, KEY)
    assert (data["total"], data["empty"]) == (0, "No photos match.")


def test_every_order_sorts_the_photos(six_photos: Library) -> None:
    app = open_page("gallery")
    orders = {}
    for order in app.main.selectbox[1].options:
        app.main.selectbox[1].select(order).run()
        orders[order] = list(gallery_ids(app))
    assert orders["Name"] == [1, 2, 3, 4, 5, 6]
    assert orders["Date taken"] == orders["Newest first"] == orders["Oldest first"][::-1]
    assert orders["Least confident"][:4] == [4, 3, 2, 1]


@pytest.mark.parametrize("value", ["", "0", "-1", "99", "x", "9" * 400, "١"])
def test_invalid_url_parameters_are_ignored(six_photos: Library, value: str) -> None:
    app = open_page("gallery", show=value, sort=value, page=value, photo=value, at=value)
    assert len(gallery_ids(app)) == 6
    assert set(app.query_params) - {"show"} <= {"page", "photo", "at"}
    assert app.query_params.get("show") == ("-1" if value == "-1" else None), "it is a query"


def test_a_hidden_tag_can_be_a_filter(six_photos: Library) -> None:
    six_photos.tags.hide("cat")
    app = open_page("gallery", show="tag==cat", sort="name")
    assert gallery_ids(app) == [3, 4] and "tag==cat · 2" in app.main.selectbox[0].options


def test_favourites_are_rated_filtered_and_undone(six_photos: Library) -> None:
    app = act(open_page("gallery", sort="name"), "favourite", [2])
    assert six_photos.photo(2).rating == 5 and message(app) == "Added to favourites"
    act(app, "favourite", [1, 2, 3])
    assert six_photos.count("is:favourite") == 3
    assert message(app) == "Added 2 photos to favourites", "one of them was a favourite"
    app.main.selectbox[0].select("Favourites · 3").run()
    assert gallery_ids(app) == [1, 2, 3] and app.query_params["show"] == "is:favourite"
    act(app, "favourite", [1, 2])
    assert message(app) == "Removed 2 photos from favourites" and gallery_ids(app) == [3]
    act(app, "undo")
    assert gallery_ids(app) == [1, 2, 3]
    act(app, "rate", [3], rating=3)
    assert six_photos.photo(3).rating == 3 and message(app) == "Rated 3 stars"
    act(app, "rate", [3], rating=0)
    assert six_photos.photo(3).rating == 0 and message(app) == "Removed the rating"
    act(app, "rate", [1], rating=5)
    assert message(app) == "Already a favourite"
    act(app, "undo")
    assert six_photos.photo(3).rating == 3, "the rating that changed nothing is passed over"


def test_a_caption_is_written_and_undone(six_photos: Library) -> None:
    app = act(open_page("gallery"), "caption", [2], caption="  by the sea ")
    assert six_photos.photo(2).caption == "by the sea" and message(app) == "Changed the caption"
    act(app, "undo")
    assert six_photos.photo(2).caption is None
    act(app, "caption", [2], caption="x" * 2001)
    assert "at most 2,000 characters" in message(app)


def test_a_tag_is_confirmed_removed_and_cleared(six_photos: Library) -> None:
    app = act(open_page("gallery"), "tag", [1], add=["dog"])
    assert six_photos.photo(1).tags[0].by_person
    assert message(app) == "Confirmed dog"
    act(app, "tag", [1], remove=["dog"])
    assert (tag_labels(six_photos, 1), message(app)) == ([], "Removed dog")
    act(app, "withdraw", [1], label="dog")
    assert tag_labels(six_photos, 1) == ["dog"]
    assert not six_photos.photo(1).reviewed
    act(app, "undo")
    assert tag_labels(six_photos, 1) == []
    act(app, "tag", [1], add=["sea"])
    assert message(app) == "Added sea"
    act(app, "tag", [1], remove=["rocket"])
    assert message(app) == "Not rocket"


@pytest.mark.parametrize("view", ["gallery"])
def test_tags_are_added_to_several_photos_and_undone(six_photos: Library, view: str) -> None:
    app = act(open_page(view), "tag", [1, 5], view, add=["dog", "sea"])
    assert tag_labels(six_photos, 1) == tag_labels(six_photos, 5) == ["dog", "sea"]
    assert all(tag.by_person for tag in six_photos.photo(5).tags)
    assert message(app, view) == "Added dog, sea to 2 photos"
    act(app, "undo", page=view)
    assert (tag_labels(six_photos, 1), tag_labels(six_photos, 5)) == (["dog"], [])
    assert message(app, view) == "Undone: Added 2 tags to 2 photos"
    edit = grid_data(app, f"{view}-gallery")["message"]
    assert edit["undo"] == "Redo"
    act(app, "undo", page=view, operation=edit["operation"], redo=True)
    assert tag_labels(six_photos, 5) == ["dog", "sea"]
    assert message(app, view) == "Redone: Added 2 tags to 2 photos"
    assert grid_data(app, f"{view}-gallery")["message"]["undo"] == "Undo"


def test_undo_goes_back_step_by_step_and_asks_before_what_was_done_elsewhere(
    six_photos: Library,
) -> None:
    app = open_page("gallery")
    assert grid_data(app, KEY)["undo"] == "Switched to Pets alone"
    assert message(act(app, "redo")) == "there is nothing to redo"
    for label in ("sun", "moon", "star"):
        act(app, "tag", [6], add=[label])
    search = six_photos.save_entry("search", "Dogs", "dog", "Saved the search Dogs")
    for _ in range(2):  # the key pressed again does not undo it
        assert message(act(app, "undo")) == "Undo “Saved the search Dogs”?"
    question = grid_data(app, KEY)["message"]
    assert (question["operation"], question["undo"]) == (search, "Undo")
    assert question["isQuestion"] and six_photos.entries("search")
    assert "no such action" in message(act(app, "jump")), "an error asks no longer"
    assert grid_data(app, KEY)["message"]["undo"] == ""
    act(app, "undo", operation=search, redo=False)
    assert message(app) == "Undone: Saved the search Dogs" and not six_photos.entries("search")
    assert message(act(app, "undo")) == "Undone: Added star to 1 photo"
    data = grid_data(app, KEY)
    assert (data["undo"], data["redo"]) == ("Added moon to 1 photo", "Added star to 1 photo")
    assert message(act(app, "redo")) == "Redone: Added star to 1 photo"
    assert message(act(app, "undo")) == "Undone: Added star to 1 photo"

    app = open_page("search", q="tagged OR untagged")  # in another tab
    data = grid_data(app, "search-gallery")
    assert (data["undo"], data["redo"]) == ("Added moon to 1 photo", "Added star to 1 photo")
    assert data["message"] is None, "it was done on another page"
    assert message(act(app, "redo", page="search"), "search") == "Redo “Added star to 1 photo”?"
    question = grid_data(app, "search-gallery")["message"]
    assert question["undo"] == "Redo"
    act(app, "undo", page="search", operation=question["operation"], redo=True)
    assert sorted(tag_labels(six_photos, 6)) == ["moon", "star", "sun"]
    act(app, "undo", page="search")
    assert sorted(tag_labels(six_photos, 6)) == ["moon", "sun"], "it was redone here"
    act(app, "tag", [6], "search", add=["Mars"])
    assert message(act(app, "redo", page="search"), "search") == "there is nothing to redo"
    act(app, "undo", page="search")
    for _ in range(3):
        act(app, "undo", page="search")
        question = grid_data(app, "search-gallery")["message"]
        act(app, "undo", page="search", operation=question["operation"])
    assert tag_labels(six_photos, 6) == []
    assert message(app, "search") == "Undone: Switched to Pets alone"
    assert message(act(app, "undo", page="search"), "search") == "there is nothing to undo"


def test_an_edit_of_which_nothing_is_left_can_be_undone_once_the_later_one_is(
    six_photos: Library,
) -> None:
    earlier, later = (six_photos.rate([1], rating) for rating in (2, 3))
    app = act(open_page("gallery"), "undo", operation=earlier)
    title = six_photos.operation(earlier).title
    assert message(app) == f"“{title}”: nothing is left to undo, all of it was changed since"
    for operation, rating in ((later, 2), (earlier, 0)):
        act(app, "undo")
        assert grid_data(app, KEY)["message"]["operation"] == operation
        act(app, "undo", operation=operation)
        assert six_photos.photo(1).rating == rating


def test_each_action_is_carried_out_once(six_photos: Library) -> None:
    app = open_page("gallery")
    actions = [
        {"number": number, "kind": "tag", "ids": [1], "add": [label]}
        for number, label in ((1, "sun"), (2, "moon"))
    ]
    report_trigger(app, KEY, "actions", {"token": "a", "actions": actions[:1]})
    assert grid_data(app, KEY)["done"] == {"token": "a", "number": 1}
    report_trigger(app, KEY, "actions", {"token": "a", "actions": actions})
    assert grid_data(app, KEY)["done"] == {"token": "a", "number": 2}
    first, second, *_ = [edit.title for edit in six_photos.operations(kinds=["edit"])]
    assert (first, second) == ("Added moon to 1 photo", "Added sun to 1 photo")
    report_trigger(app, KEY, "actions", {"token": "b", "actions": actions[:1]})
    assert grid_data(app, KEY)["done"] == {"token": "b", "number": 1}


@pytest.mark.parametrize(
    "content",
    [
        *("x", [], {"actions": "x"}, {"actions": ["x", 7, None]}),
        {"token": [], "actions": [{"number": "1", "kind": "delete", "ids": [1]}]},
        {"token": "a", "actions": [{"number": 1, "kind": "delete", "ids": ["1", True, None]}]},
        {"token": "a", "actions": [{"number": 1, "kind": "tag", "ids": [1], "add": [7, None]}]},
        {"token": "a", "actions": [{"number": 1, "kind": "tag", "ids": [99], "add": ["x"]}]},
        {"token": "a", "actions": [{"number": 1, "kind": "no such kind", "ids": [1]}]},
        {"token": "a", "actions": [{"number": 1, "kind": "retag", "ids": [1], "model": "/x.h5"}]},
        {"token": "a", "actions": [{"number": 1, "kind": "withdraw", "ids": [1]}]},
        {"token": "a", "actions": [{"number": 1, "kind": "redo"}]},
        {"token": "a", "actions": [{"number": 1, "kind": "undo", "operation": "1"}]},
        {"token": "a", "actions": [{"number": 1, "kind": "undo", "operation": 10**30}]},
        {"token": "a", "actions": [{"number": 1, "kind": "rate", "ids": [1], "rating": 6}]},
        {"token": "a", "actions": [{"number": 1, "kind": "rate", "ids": [1], "rating": True}]},
        {"token": "a", "actions": [{"number": 1, "kind": "favourite", "ids": [99]}]},
        {"token": "a", "actions": [{"number": 1, "kind": "caption", "ids": [1], "caption": 7}]},
    ],
)
def test_invalid_actions_change_nothing(six_photos: Library, content: object) -> None:
    count = len(six_photos.operations())
    app = report_trigger(open_page("gallery"), KEY, "actions", content)
    assert len(six_photos.operations()) == count
    assert len(gallery_ids(app)) == 6
    answer = grid_data(app, KEY)["message"]
    assert answer is None or (answer["isError"] and answer["text"])


def test_tags_are_removed_only_from_photos_that_have_them(six_photos: Library) -> None:
    app = act(open_page("gallery"), "tag", [1, 3, 5], remove=["dog"])
    assert [tag_labels(six_photos, photo) for photo in (1, 2, 3)] == [[], ["dog"], ["cat"]]
    assert not six_photos.photo(5).reviewed, "it had no such tag"
    act(app, "undo")
    assert tag_labels(six_photos, 1) == ["dog"]


def test_tags_of_several_photos_are_confirmed(six_photos: Library) -> None:
    app = act(open_page("gallery"), "confirm", [1, 3, 5])
    reviewed = [six_photos.photo(photo).reviewed for photo in (1, 2, 3, 5)]
    assert reviewed == [True, False, True, False]
    assert message(app) == "Confirmed 2 tags on 2 photos"
    assert six_photos.operations(1)[0].title == "Confirmed 2 tags on 2 photos"
    act(app, "undo")
    assert six_photos.count("reviewed") == 0
    assert message(act(app, "confirm", [6])) == "No tags to confirm"


@pytest.mark.parametrize("view", ["gallery"])
def test_deleted_photos_are_restored_by_undo(
    six_photos: Library, view: str, tmp_path: Path
) -> None:
    app = act(open_page(view), "delete", [1, 2], view)
    assert six_photos.count() == 4
    assert message(app, view) == "Deleted 2 photos from the library"
    assert len(gallery_ids(app, f"{view}-gallery")) == 4
    act(app, "undo", page=view)
    assert message(app, view) == "Restored 2 photos"
    assert tag_labels(six_photos, 1) == ["dog"]
    assert len(gallery_ids(app, f"{view}-gallery")) == 6
    assert len(list((tmp_path / "photos").iterdir())) == 6


def test_the_last_photo_can_be_restored_too(six_photos: Library) -> None:
    app = act(open_page("gallery"), "delete", [1, 2, 3, 4, 5, 6])
    assert "Your library is empty." in page_text(app)
    press(app, "gallery-last-undo")
    assert len(gallery_ids(app)) == 6


def test_selected_photos_are_tagged_again(six_photos: Library, pets: Tagger) -> None:
    save_predictions(six_photos, None, {1: {"x": 0.9}, 2: {"x": 0.9}})
    save_predictions(six_photos, pets, {1: {"dog": 0.9}, 2: {"dog": 0.9}})
    six_photos.edit_tags([1], add=["mine"])
    with six_photos.database.write_transaction() as connection:  # an earlier version
        connection.execute(update(models).where(models.c.name == "pets").values(sha256="1" * 64))
    app = act(open_page("gallery"), "retag", [1, 2], model="pets")
    text = page_text(app)
    assert "Removes 2 tags, adds 0." in text and "Removed: dog (2)." in text
    assert len(grid_photos(app, "gallery-changes-removed")) == 2
    press(app, "gallery-confirm-retag")
    (retag,) = six_photos.operations(limit=1)
    assert (retag.kind, retag.total) == ("retag", 2)
    assert "Re-tag 2 photos with Pets" in page_text(app)
    worker.run(six_photos, retag.id)  # in case its process has not started yet
    while six_photos.operation(retag.id).active:
        pass
    assert tag_labels(six_photos, 1) == ["mine", "x"], "other models' tags stay"
    assert tag_labels(six_photos, 2) == ["x"]


@pytest.mark.parametrize("tag", HOSTILE)
def test_hostile_tags_are_shown_as_text(six_photos: Library, tag: str) -> None:
    app = act(open_page("gallery"), "tag", [1], add=[tag])
    assert tag_labels(six_photos, 1)[0] == tag
    assert six_photos.count() == 6
    assert message(app) == f"Added {tag}"
    app.main.selectbox[0].select(f"{tag} · 1").run()
    assert gallery_ids(app) == [1]
    raw = "\n".join(element.value for element in app.markdown)
    assert tag not in raw, "it must be escaped"


@pytest.mark.parametrize("tag", ["", " ", "a" * 101, "a\u202eb"])
def test_an_invalid_tag_shows_an_error_message(six_photos: Library, tag: str) -> None:
    app = act(open_page("gallery"), "tag", [1], add=[tag])
    assert "a tag is 1 to 100 characters" in message(app)
    assert grid_data(app, KEY)["message"]["isError"]
    assert "no tags to add or remove" in message(act(app, "tag", [1]))
    assert not six_photos.photo(1).reviewed
