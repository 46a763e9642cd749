"""The Gallery page: grid, filters, order, pages, bulk edits."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from tagger.jobs import worker
from tagger.jobs.requests import EmbedRequest, submit
from tagger.library.database.schema import models
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.frontend.conftest import import_drawn_photos, save_predictions
from tests.frontend.pages import (
    HOSTILE,
    button_keys,
    grid_photos,
    open_page,
    page_text,
    press,
    tag_labels,
    use_grid,
)

PAGE_SIZE = 48
QUERY_PARAMS = {"gallery": "show", "search": "q"}  # name of the query parameter, by page


@pytest.mark.parametrize("view", ["gallery", "search", "review"])
def test_pages_of_an_empty_library_link_to_the_import(library: Library, view: str) -> None:
    app = open_page(view)
    assert "your library is empty" in page_text(app).lower()
    assert [link.proto.page for link in app.get("page_link")] == ["import_photos"]


def test_the_sample_photos_are_added_with_one_click(library: Library) -> None:
    press(open_page("gallery"), "gallery-samples")
    (operation,) = library.operations(kinds=["import"])
    worker.run(library, operation.id)
    assert library.operation(operation.id).total == 4


def test_the_gallery_shows_photos_and_filters(six_photos: Library) -> None:
    app = open_page("gallery", sort="name")
    assert [photo["tag"] for photo in grid_photos(app)] == [
        "dog",
        "dog",
        "cat",
        "cat",
        *["unknown"] * 2,
    ]
    show, order = app.main.selectbox
    assert show.options[:3] == ["All photos · 6", "Unknown · 2", "Untagged · 2"]
    assert sorted(show.options[3:]) == ["cat · 2", "dog · 2"]
    assert order.value == "name"


def test_a_tag_filter_is_kept_in_the_url(six_photos: Library) -> None:
    app = open_page("gallery", sort="name")
    app.main.selectbox[0].set_value("tag==cat").run()
    assert [photo["id"] for photo in grid_photos(app)] == [3, 4]
    assert app.query_params == {"sort": "name", "show": "tag==cat"}
    app = open_page("gallery", show="tag==cat")
    six_photos.edit_tags([3], remove=["cat"])
    app.run()  # the filter's title changes with the count
    assert [photo["id"] for photo in grid_photos(app)] == [4]
    assert "cat · 1" in app.main.selectbox[0].options


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
    assert [photo["id"] for photo in grid_photos(app)] == [1, 2, 3]


def test_a_filter_without_photos_shows_a_way_back(six_photos: Library) -> None:
    app = open_page("gallery", show="unknown")
    six_photos.edit_tags([5, 6], add=["sun"])
    app.run()
    assert "No photo is like that" in page_text(app)
    assert len(grid_photos(press(app, "gallery-all"))) == 6


def test_every_order_sorts_the_photos(six_photos: Library) -> None:
    app = open_page("gallery")
    orders = {}
    for order in app.main.selectbox[1].options:
        app.main.selectbox[1].select(order).run()
        orders[order] = [photo["id"] for photo in grid_photos(app)]
    assert orders["By name"] == [1, 2, 3, 4, 5, 6]
    assert orders["Newest first"] == list(reversed(orders["Oldest first"]))
    assert orders["Most doubtful first"][:4] == [4, 3, 2, 1]


@pytest.mark.parametrize("value", ["", "0", "-1", "99", "x", "9" * 400, "١"])
def test_invalid_url_parameters_are_ignored(six_photos: Library, value: str) -> None:
    app = open_page("gallery", show=value, sort=value, page=value)
    assert len(grid_photos(app)) == 6
    app = open_page("gallery", photo=value, at=value, show=value, sort=value)
    if value:
        assert "the library has none of that number" in page_text(app)
    assert len(grid_photos(press(app, "gallery-back"))) == 6


def test_the_grid_has_pages_of_48_photos(library: Library, tmp_path: Path) -> None:
    import_drawn_photos(library, tmp_path / "photos", PAGE_SIZE + 3)
    app = open_page("gallery", sort="name")
    assert len(grid_photos(app)) == PAGE_SIZE
    app.pagination[0].set_value(2).run()
    assert [photo["id"] for photo in grid_photos(app)] == [49, 50, 51]
    assert app.query_params["page"] == "2"
    app.main.selectbox[1].set_value("oldest").run()
    assert len(grid_photos(app)) == PAGE_SIZE, "another order returns to the first page"
    assert app.pagination[0].value == 1
    app = use_grid(open_page("gallery", sort="name", page="2"), open=50)
    assert app.query_params == {"sort": "name", "page": "2", "photo": "50", "at": "49"}
    press(press(press(app, "gallery-previous"), "gallery-previous"), "gallery-previous")
    assert app.query_params["photo"] == "47"
    press(app, "gallery-back")
    assert app.query_params == {"sort": "name"}, "Back returns to the page that the photo is on"


@pytest.mark.parametrize("view", ["gallery", "search"])
def test_tags_are_added_to_several_photos_and_undone(six_photos: Library, view: str) -> None:
    app = use_grid(open_page(view), f"{view}-grid", select=[1, 5])
    app.multiselect(key=f"{view}-add-labels").set_value(["dog", "sea"])
    press(app, f"{view}-add-go")
    assert tag_labels(six_photos, 1) == tag_labels(six_photos, 5) == ["dog", "sea"]
    assert all(tag.by_person for tag in six_photos.photo(5).tags)
    assert "Added “dog” and “sea” to 2 photos." in page_text(app)
    assert f"{view}-delete" not in button_keys(app), "the selection is cleared"
    press(app, f"{view}-undo")
    assert (tag_labels(six_photos, 1), tag_labels(six_photos, 5)) == (["dog"], [])
    assert "Undone: Added" in page_text(app)
    press(app, f"{view}-undo")
    assert tag_labels(six_photos, 5) == ["dog", "sea"]
    press(app, f"{view}-dismiss")
    assert "Added" not in page_text(app)


def test_tags_are_removed_only_from_photos_that_have_them(six_photos: Library) -> None:
    app = use_grid(open_page("gallery"), select=[1, 3, 5])
    box = app.multiselect(key="gallery-remove-labels")
    assert box.options == ["cat", "dog"]
    box.set_value(["dog"])
    press(app, "gallery-remove-go")
    assert [tag_labels(six_photos, photo) for photo in (1, 2, 3)] == [[], ["dog"], ["cat"]]
    assert not six_photos.photo(5).reviewed, "it had no such tag"
    press(app, "gallery-undo")
    assert tag_labels(six_photos, 1) == ["dog"]


def test_tags_of_several_photos_are_confirmed(six_photos: Library) -> None:
    app = press(use_grid(open_page("gallery"), select=[1, 3, 5]), "gallery-confirm")
    assert [six_photos.photo(photo).reviewed for photo in (1, 2, 3, 5)] == [
        True,
        False,
        True,
        False,
    ]
    assert "Confirmed" in page_text(app)
    assert "on 2 photos" in page_text(app)
    press(app, "gallery-undo")
    assert six_photos.count("reviewed") == 0
    app = press(use_grid(open_page("gallery"), select=[6]), "gallery-confirm")
    assert "no tag to confirm" in page_text(app)


@pytest.mark.parametrize("view", ["gallery", "search"])
def test_deleted_photos_are_restored_by_undo(
    six_photos: Library, view: str, tmp_path: Path
) -> None:
    app = press(use_grid(open_page(view), f"{view}-grid", select=[1, 2]), f"{view}-delete")
    assert six_photos.count() == 4
    assert "Deleted 2 photos from the library" in page_text(app)
    assert len(grid_photos(app, f"{view}-grid")) == 4
    press(app, f"{view}-undo")
    assert tag_labels(six_photos, 1) == ["dog"]
    assert len(grid_photos(app, f"{view}-grid")) == 6
    assert len(list((tmp_path / "photos").iterdir())) == 6


@pytest.mark.parametrize("view", ["gallery", "search"])
def test_all_photos_of_a_search_are_edited_at_once(
    library: Library, view: str, tmp_path: Path
) -> None:
    count = PAGE_SIZE + 3
    import_drawn_photos(library, tmp_path / "photos", count)
    app = use_grid(
        open_page(view, **{QUERY_PARAMS[view]: "unknown"}),
        f"{view}-grid",
        select=range(4, count + 1),
    )
    assert f"**{PAGE_SIZE} photos**" in page_text(app)
    app.checkbox(key=f"{view}-everything").check()
    app.multiselect(key=f"{view}-add-labels").set_value(["sea"])
    press(app, f"{view}-add-go")
    assert library.count("sea by:person") == count
    assert not app.get("bidi_component")
    press(app, f"{view}-undo")
    assert library.count("unknown") == count


def test_selected_photos_are_tagged_again(six_photos: Library, pets: Tagger) -> None:
    save_predictions(six_photos, None, {1: {"x": 0.9}, 2: {"x": 0.9}})
    save_predictions(six_photos, pets, {1: {"dog": 0.9}, 2: {"dog": 0.9}})
    six_photos.edit_tags([1], add=["mine"])
    with six_photos.database.write_transaction() as connection:  # an earlier version
        connection.execute(update(models).where(models.c.name == "pets").values(sha256="1" * 64))
    app = press(use_grid(open_page("gallery"), select=[1, 2]), "gallery-retag-go")
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
    app = use_grid(open_page("gallery"), select=[1])
    app.multiselect(key="gallery-add-labels").set_value([tag])
    press(app, "gallery-add-go")
    assert tag_labels(six_photos, 1)[0] == tag
    assert six_photos.count() == 6
    assert f"Added “{tag}” to 1 photo." in page_text(app)
    app.main.selectbox[0].select(f"{tag} · 1").run()
    assert [photo["tag"] for photo in grid_photos(app)] == [tag]
    app = open_page("gallery", photo="1")
    assert tag in page_text(app)
    raw = "\n".join(element.value for element in app.markdown)
    assert tag not in raw, "it must be escaped"


def test_an_invalid_tag_shows_an_error_message(six_photos: Library) -> None:
    for tag in ("", " ", "a" * 101, "a\u202eb"):
        app = use_grid(open_page("gallery"), select=[1])
        app.multiselect(key="gallery-add-labels").set_value([tag])
        press(app, "gallery-add-go")
        assert "a tag is 1 to 100 characters" in page_text(app)
    app = press(use_grid(open_page("gallery"), select=[1]), "gallery-add-go")
    assert "no tags to add or remove" in page_text(app)
    assert not six_photos.photo(1).reviewed
