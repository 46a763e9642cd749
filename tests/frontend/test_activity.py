"""The History page: statistics, operations, deleted photos."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from tagger.images import decode
from tagger.library.database import version
from tagger.library.database.schema import photos as photos_table
from tagger.library.duplicates.choices import Choice
from tagger.library.library import Library
from tests.conftest import draw
from tests.frontend.conftest import import_drawn_photos
from tests.frontend.pages import (
    button_labels,
    html_blocks,
    notices,
    open_page,
    page_text,
    press,
    raw_text,
    report_trigger,
    unescape,
    upload,
)
from tests.library.near_copies import mark_as_copies

PAGE = "activity"  # in session state


def photo(seed: int = 0, format: str = "PNG") -> bytes:
    """A drawn photo that is no cat and no dog."""
    return decode.encode(draw("disc", seed), format)


def test_an_empty_library_links_to_the_import(library: Library) -> None:
    app = open_page("activity")
    assert "Your library is empty." in raw_text(app)
    assert "Import photos" in [link.proto.label for link in app.get("page_link")]


@pytest.fixture
def two_photos(library: Library) -> Library:
    """Two photos, one of them with a tag from a person."""
    app = upload(open_page(), ("a.png", photo(0)))
    app.button(key="tag-add").click().run()
    upload(app, ("b.png", photo(1))).button(key="tag-add").click().run()
    first = library.search(sort="oldest").photos[0]
    library.edit_tags([first.id], add=["<b>:red[disc]"])
    return library


def test_activity_counts_photos_and_tags(two_photos: Library) -> None:
    app = open_page("activity")
    assert link_rows(app, "activity-counts") == [
        ("Photos", "2", ""),
        ("With tags", "1", "tagged"),
        ("Without tags", "1", "untagged"),
        ("Reviewed by you", "1", "reviewed"),
    ]
    assert link_rows(app, "activity-tags") == [("<b>:red[disc]", "1", 'tag=="<b>:red[disc]"')]
    assert "2 photos tagged by Pets" in page_text(app)


def test_the_chart_of_added_photos_includes_empty_days(two_photos: Library) -> None:
    first, second = two_photos.search(sort="oldest").photos
    times = {
        first.id: datetime(2026, 1, 1, tzinfo=UTC),
        second.id: datetime(2026, 1, 4, tzinfo=UTC),
    }
    set_added(two_photos, times)
    days = link_rows(open_page("activity"), "activity-days")
    assert days == [
        (f"2026-01-0{day}", str(count), f"added:2026-01-0{day}")
        for day, count in ((1, 1), (2, 0), (3, 0), (4, 1))
    ]
    set_added(two_photos, {first.id: datetime(2025, 6, 1, tzinfo=UTC)})
    months = link_rows(open_page("activity"), "activity-days")
    assert months[0] == ("2025-06", "1", "added:2025-06") and months[1][1] == "0"
    assert months[-1] == ("2026-01", "1", "added:2026-01")


def test_every_number_opens_the_photos_that_it_counts(two_photos: Library) -> None:
    app = open_page("activity")
    for key in ("counts", "tags", "confidence", "days"):
        for _, value, query in link_rows(app, f"activity-{key}"):
            assert two_photos.count(query) == int(value), query
    use_link(app, "activity-tags", 'tag=="<b>:red[disc]"')
    assert app.title[0].value == "Search"
    assert app.query_params["q"] == 'tag=="<b>:red[disc]"'


def test_only_the_charts_own_queries_are_opened(two_photos: Library) -> None:
    for reported in ("id:1", 7, None, ["tagged"]):
        app = use_link(open_page("activity"), "activity-counts", reported)
        assert app.title[0].value == "History"


def link_rows(app: AppTest, key: str) -> list[tuple[str, str, str]]:
    """Names, numbers and queries of a chart's links."""
    (component,) = (c for c in app.get("bidi_component") if c.key == key)
    rows = json.loads(component.proto.json)["rows"]
    return [(row["name"], row["value"], row["query"]) for row in rows]


def use_link(app: AppTest, key: str, query: object) -> AppTest:
    """Follow a link of a chart, as the browser reports it."""
    return report_trigger(app, key, "opened", query)


def set_added(library: Library, times: dict[int, datetime]) -> None:
    """Change the times at which photos were added."""
    with library.database.write_transaction() as connection:
        version.renew(connection)
        for photo_id, time in times.items():
            row = photos_table.c.id == photo_id
            connection.execute(update(photos_table).where(row).values(added_at=time))


def test_deleted_photos_are_purged_on_request(two_photos: Library) -> None:
    first = two_photos.search(sort="oldest").photos[0]
    two_photos.delete([first.id])
    app = press(open_page("activity"), "activity-trash")
    assert app.title[0].value == "Trash"
    press(app, "trash-empty")
    assert two_photos.statistics().deleted == 0
    assert two_photos.count() == 1
    assert "The trash is empty." in page_text(app)
    assert not [label for label in button_labels(open_page("activity")) if "Trash" in label]


def test_photos_of_a_removal_come_back_one_by_one(six_photos: Library) -> None:
    earlier = six_photos.delete([6])
    mark_as_copies(six_photos, [1, 2, 3])
    removal = six_photos.duplicates.choose([Choice((1,), (2, 3))])
    assert "trash=all" in links(open_page("duplicates"))["Trash: 3 photos"].query_string
    app = open_page("activity")
    labels = set(map(unescape, button_labels(app)))
    assert {"Trash: 3 photos", "003.png, 002.png in the trash", "006.png in the trash"} <= labels
    press(app, f"activity-trash-{removal}")
    assert "Removed 2 near copies from the library" in page_text(app)
    assert {unescape(box.label) for box in app.checkbox} == {"002.png", "003.png"}
    assert "".join(html_blocks(app)).count("/library/thumbnails/") == 2
    assert app.button(key="trash-restore-selected").disabled
    app.checkbox(key="trash-photo-2").check().run()
    press(app, "trash-restore-selected")
    assert six_photos.find_ids() == [1, 2, 4, 5] and "Restored 1 photo" in page_text(app)
    assert [unescape(box.label) for box in app.checkbox] == ["003.png"]
    press(app, f"{PAGE}-last-undo")
    assert six_photos.find_ids() == [1, 4, 5] and len(app.checkbox) == 2
    press(app, "trash-restore-all")
    assert six_photos.find_ids() == [1, 2, 3, 4, 5]
    assert "None of its photos is in the trash any more." in page_text(app)
    press(app, "trash-all")
    assert [unescape(box.label) for box in app.checkbox] == ["006.png"] and earlier
    press(app, "trash-back")
    assert app.title[0].value == "History"


def test_many_photos_of_a_removal_are_counted(six_photos: Library) -> None:
    six_photos.delete([1, 2, 3, 4])
    assert "4 photos in the trash" in button_labels(open_page("activity"))


def links(app: AppTest) -> dict[str, Any]:
    """The links to pages by their labels."""
    return {unescape(link.proto.label): link.proto for link in app.get("page_link")}


def test_a_deletion_is_undone_from_activity(two_photos: Library) -> None:
    first = two_photos.search(sort="oldest").photos[0]
    operation_id = two_photos.delete([first.id])
    app = open_page("activity")
    app.button(key=f"activity-undo-{operation_id}").click().run()
    assert not app.exception
    assert two_photos.count() == 2
    assert undo_labels(app)[operation_id] == "Redo" and "undone " in page_text(app)
    app.button(key=f"activity-redo-{operation_id}").click().run()
    assert two_photos.count() == 1 and notices(app) == ["Deleted 1 photo."]
    assert undo_labels(app)[operation_id] == "Undo" and "undone " not in page_text(app)


def test_a_change_has_one_card_however_often_it_is_undone(six_photos: Library) -> None:
    edits = [six_photos.rate([1], rating) for rating in (2, 3)]
    for _ in range(2):  # undone and redone as in the gallery
        undo = six_photos.undo(edits[1]).operation_id
        six_photos.undo(undo)
    undo = six_photos.undo(edits[1]).operation_id
    again = six_photos.undo(six_photos.undo(undo).operation_id)  # and as by an undo of the redo
    assert again.changed == 1 and six_photos.photo(1).rating == 2
    app = open_page("activity")
    labels = undo_labels(app)
    assert (labels[edits[1]], labels[edits[0]]) == ("Redo", "Undo")
    assert max(labels) == edits[1], "no card of an undo"
    press(app, f"activity-redo-{edits[1]}")
    assert six_photos.photo(1).rating == 3
    assert undo_labels(app)[edits[1]] == "Undo"
    six_photos.rate([1], 4)
    app = press(open_page("activity"), f"activity-undo-{edits[0]}")
    assert not app.error and six_photos.photo(1).rating == 4
    assert "nothing is left to undo: all of it was changed since" in page_text(app)
    assert edits[0] not in undo_labels(app) and edits[1] in undo_labels(app)


def undo_labels(app: AppTest) -> dict[int, str]:
    """The buttons that undo or redo, by the operation of their card."""
    names = [re.fullmatch("activity-(?:undo|redo)-([0-9]+)", str(b.key)) for b in app.button]
    return {int(n[1]): b.label for n, b in zip(names, app.button, strict=True) if n is not None}


def test_older_operations_are_shown_on_request(two_photos: Library) -> None:
    first = two_photos.search(sort="oldest").photos[0]
    for number in range(12):
        two_photos.edit_tags([first.id], add=[f"tag {number}"])
    app = open_page("activity")
    before = len([button for button in app.button if "undo" in str(button.key)])
    app.button(key="activity-more").click().run()
    assert len([button for button in app.button if "undo" in str(button.key)]) > before


def test_an_edit_names_its_photos_unless_they_are_many(library: Library, tmp_path: Path) -> None:
    import_drawn_photos(library, tmp_path / "photos", 5)
    library.rate([1], 5)
    library.edit_tags([2, 3], add=["sea"])
    many = library.edit_tags([1, 2, 3, 4], add=["sky"])
    text = page_text(app := open_page("activity"))
    assert "Made 1 photo a favourite" in text
    every = links(app)
    assert {"001.png", "002.png", "003.png"} <= every.keys() and "004.png" not in every
    assert every["001.png"].page.endswith("gallery") and "photo=1" in every["001.png"].query_string
    assert f"run%3A{many}" in every["Show the photos"].query_string


def test_what_was_undone_counts_no_photos(two_photos: Library) -> None:
    (first, second) = two_photos.search(sort="oldest").photos
    two_photos.edit_tags([first.id, second.id], add=["sea"])
    tagged = two_photos.operations(limit=1)[0]
    app = open_page("activity")
    app.button(key=f"activity-undo-{tagged.id}").click().run()
    assert "2 photos restored." in "".join(notices(app))
    added = two_photos.add_model("cifar10")  # of no single photo
    assert added is not None
    app = open_page("activity")
    app.button(key=f"activity-undo-{added}").click().run()
    assert "photos restored" not in "".join(notices(app))
