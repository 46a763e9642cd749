"""The trash: photos that were deleted from the library, until it is emptied."""

from __future__ import annotations

from collections.abc import Sequence

from tagger.library import edits, photos
from tagger.library.database.database import Database
from tagger.library.records import Photo
from tagger.library.storage import Storage


class Trash:
    """The deleted photos of a library. An operation's are those that it removed."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def count(self, operation_id: int | None = None) -> int:
        """The number of photos in the trash, or of those that an operation removed."""
        with self._database.read_transaction() as connection:
            return photos.count_deleted(connection, operation_id)

    def find_ids(self, operation_id: int | None = None) -> list[int]:
        """The ids of photos in the trash, those deleted last first."""
        with self._database.read_transaction() as connection:
            return photos.find_deleted(connection, operation_id)

    def load(self, ids: Sequence[int]) -> list[Photo]:
        """Those of the photos that are in the trash, in this order."""
        with self._database.read_transaction() as connection:
            deleted = photos.filter_existing(connection, ids, deleted=True)
            return list(photos.load_photos(connection, deleted, self._storage.home))

    def restore(self, ids: Sequence[int]) -> int:
        """Bring photos back, with their tags and all that was said of them; the operation's id.

        It can be undone. Raises OptionError if none of them is in the trash.
        """
        return edits.restore(self._database, ids)

    def empty(self) -> int:
        """Remove deleted photos and the library's copies of them for good; how many.

        Files outside the library stay. This cannot be undone. Raises OptionError while photos are
        being imported.
        """
        return edits.purge(self._database, self._storage)
