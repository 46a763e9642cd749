"""Lists of photos that pages keep in memory."""

from __future__ import annotations

from frontend.ui.photo_lists import PhotoLists
from tagger.library import derivation
from tagger.library.database.schema import photos
from tagger.library.library import Library
from tests.library.predictions import add_photos, predict


def test_a_list_is_kept_until_tags_change(library: Library) -> None:
    """Also where they change after the operation has ended."""
    lists, ids = PhotoLists(), add_photos(library, 3)
    predict(library, "pets", {id: {"dog": 0.9} for id in ids[:2]})
    with library.database.write_transaction() as connection:
        connection.execute(photos.update().values(stale=True, tag_count=0))
    before = lists.load(library, "untagged", "oldest")
    assert before.photos.ids == ids and lists.load(library, "untagged", "oldest") is before
    derivation.refresh_stale(library.database)
    after = lists.load(library, "untagged", "oldest")
    assert after.photos.ids == ids[2:]
    assert lists.load(library, "untagged", "oldest", before.version) is before
