"""The photos that a query finds, in order, kept in memory until the library changes.

A gallery of 100,000 photos asks for many short windows of one list; each is cut from it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from tagger.library.library import Library
from tagger.library.records import Sort
from tagger.library.timeline import PhotoList

MAX_LISTS = 8  # in memory, of about 4 MB each with 100,000 photos

SORTS: dict[str, str] = {  # titles of `Sort`, without that of descriptions; the default first
    "timeline": "Date taken",
    "newest": "Newest first",
    "oldest": "Oldest first",
    "name": "Name",
    "surest": "Most confident",
    "doubtful": "Least confident",
}


@dataclass(frozen=True)
class VersionedList:
    """The photos of a query at a `version` of the library."""

    version: str
    photos: PhotoList

    @cached_property
    def positions(self) -> dict[int, int]:
        """The index of each photo in the list, by its id."""
        return {photo_id: index for index, photo_id in enumerate(self.photos.ids)}


class PhotoLists:
    """The lists used last. Safe to share between threads; each list is made once."""

    def __init__(self) -> None:
        self._lists: OrderedDict[tuple[str, str, str, Sort], VersionedList] = OrderedDict()
        self._lock = threading.Lock()

    def load(
        self, library: Library, query: str, sort: Sort, version: str | None = None
    ) -> VersionedList:
        """The list of a `version` if it is still in memory, else the current one.

        Raises QueryError.
        """
        with self._lock:
            for candidate in (version, None):
                current = candidate or library.version()
                key = (library.url, current, query, sort)
                if key in self._lists:
                    self._lists.move_to_end(key)
                    return self._lists[key]
            photos = VersionedList(current, library.list_photos(query, sort))
            self._lists[key] = photos
            if len(self._lists) > MAX_LISTS:
                self._lists.popitem(last=False)
            return photos


photo_lists = PhotoLists()


def read_sort(text: str | None) -> Sort:
    """An order by its name in a URL; by default by time."""
    if text in SORTS or text == "likeness":
        return cast(Sort, text)
    return "timeline"
