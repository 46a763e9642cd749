"""The History page: statistics, operations, deleted photos."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from tagger.images import decode
from tagger.library.database.schema import photos as photos_table
from tagger.library.library import Library
from tests.conftest import draw
from tests.frontend.pages import (
    open_page,
    page_text,
    raw_text,
    upload,
)


def photo(seed: int = 0, format: str = "PNG") -> bytes:
    """A drawn photo that is no cat and no dog."""
    return decode.encode(draw("disc", seed), format)


def test_an_empty_library_links_to_the_import(library: Library) -> None:
    app = open_page("activity")
    assert "Your library is empty." in raw_text(app)
    assert app.get("page_link")[0].proto.label == "Import photos"


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
    assert {metric.label: metric.value for metric in app.metric} == {
        "Photos": "2",
        "With tags": "1",
        "Without tags": "1",
        "Reviewed by you": "1",
    }
    assert "&lt;b&gt;:red[disc]" in raw_text(app)
    assert "2 photos tagged by Pets" in page_text(app)


def test_the_chart_of_added_photos_includes_empty_days(two_photos: Library) -> None:
    first, second = two_photos.search(sort="oldest").photos
    times = {
        first.id: datetime(2026, 1, 1, tzinfo=UTC),
        second.id: datetime(2026, 1, 4, tzinfo=UTC),
    }
    set_added(two_photos, times)
    text = raw_text(open_page("activity"))
    assert all(
        f"2026-01-0{day}: {count}" in text for day, count in ((1, 1), (2, 0), (3, 0), (4, 1))
    )
    set_added(two_photos, {first.id: datetime(2025, 6, 1, tzinfo=UTC)})
    text = raw_text(open_page("activity"))
    assert "2025-06: 1" in text
    assert "2025-07: 0" in text
    assert "2026-01: 1" in text


def set_added(library: Library, times: dict[int, datetime]) -> None:
    """Change the times at which photos were added."""
    with library.database.write_transaction() as connection:
        for photo_id, time in times.items():
            row = photos_table.c.id == photo_id
            connection.execute(update(photos_table).where(row).values(added_at=time))


def test_deleted_photos_are_purged_on_request(two_photos: Library) -> None:
    first = two_photos.search(sort="oldest").photos[0]
    two_photos.delete([first.id])
    app = open_page("activity")
    assert "1 photo in trash" in raw_text(app)
    app.button(key="activity-purge").click().run()
    assert not app.exception
    assert two_photos.statistics().deleted == 0
    assert two_photos.count() == 1


def test_a_deletion_is_undone_from_activity(two_photos: Library) -> None:
    first = two_photos.search(sort="oldest").photos[0]
    operation_id = two_photos.delete([first.id])
    app = open_page("activity")
    app.button(key=f"activity-undo-{operation_id}").click().run()
    assert not app.exception
    assert two_photos.count() == 2


def test_older_operations_are_shown_on_request(two_photos: Library) -> None:
    first = two_photos.search(sort="oldest").photos[0]
    for number in range(12):
        two_photos.edit_tags([first.id], add=[f"tag {number}"])
    app = open_page("activity")
    before = len([button for button in app.button if "undo" in str(button.key)])
    app.button(key="activity-more").click().run()
    assert len([button for button in app.button if "undo" in str(button.key)]) > before
