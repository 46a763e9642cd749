"""All photos of a query in order, their months, and why each matches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from tagger.errors import QueryError
from tagger.library.database.schema import photos
from tagger.library.library import Library
from tests.conftest import draw_png, import_folder

TIMES = {  # by photo: taken, added
    1: (datetime(2024, 5, 31, 23, 59, 59), datetime(2026, 1, 1, tzinfo=UTC)),
    2: (None, datetime(2024, 5, 1, tzinfo=UTC)),
    3: (datetime(2024, 4, 30), datetime(2026, 1, 2, tzinfo=UTC)),
    4: (None, datetime(2025, 12, 31, 12, tzinfo=UTC)),
    5: (datetime(2024, 5, 1), datetime(2023, 2, 3, tzinfo=UTC)),
}


@pytest.fixture
def dated(library: Library, tmp_path: Path) -> Library:
    """Five photos, numbered from 1, at TIMES."""
    (tmp_path / "photos").mkdir()
    for seed in TIMES:
        (tmp_path / "photos" / f"{seed}.png").write_bytes(draw_png(seed, 64))
    import_folder(library, tmp_path / "photos")
    with library.database.write_transaction() as connection:
        for photo_id, (taken, added) in TIMES.items():
            dated = taken or added.replace(tzinfo=None)
            columns = {"taken_at": taken, "added_at": added, "dated_at": dated}
            connection.execute(update(photos).where(photos.c.id == photo_id).values(**columns))
    return library


def test_the_timeline_is_by_the_time_taken_or_else_added(dated: Library) -> None:
    listed = dated.list_photos()
    assert list(listed.ids) == [4, 1, 5, 2, 3]
    assert listed.months == (("2025-12", 1), ("2024-05", 3), ("2024-04", 1))
    assert [photo.id for photo in dated.search(sort="timeline").photos] == [4, 1, 5, 2, 3]


def test_other_orders_by_time_have_their_own_months(dated: Library) -> None:
    newest = dated.list_photos(sort="newest")
    assert list(newest.ids) == [3, 1, 4, 2, 5]
    assert newest.months == (("2026-01", 2), ("2025-12", 1), ("2024-05", 1), ("2023-02", 1))
    assert dated.list_photos(sort="oldest").months == newest.months[::-1]
    assert dated.list_photos(sort="name").months == ()


def test_a_query_lists_its_photos_alone(dated: Library) -> None:
    dated.edit_tags([1, 2, 5], add=["sea"])
    dated.delete([5])
    listed = dated.list_photos("sea")
    assert (list(listed.ids), listed.months) == ([1, 2], (("2024-05", 2),))
    assert (list(dated.list_photos("moon").ids), dated.list_photos("moon").months) == ([], ())
    with pytest.raises(QueryError):
        dated.list_photos("(")


def test_matches_are_loaded_by_id_with_their_reason(dated: Library) -> None:
    dated.edit_tags([1, 2], add=["sea", "sun"])
    dated.delete([2])
    page = dated.load_matches("sea", [3, 1, 2, 99, 1])
    assert [photo.id for photo in page.photos] == [3, 1]
    assert page.matching_tags == {1: ("sea",)}
