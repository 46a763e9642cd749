"""The near copies of a library: groups of them, and what a person makes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from tagger.library import photos
from tagger.library.database import version
from tagger.library.database.database import Database
from tagger.library.duplicates import choices, hashes
from tagger.library.duplicates.choices import Choice
from tagger.library.duplicates.comparisons import Comparisons
from tagger.library.duplicates.groups import (
    DuplicateGroup,
    Group,
    group_pairs,
    load_candidates,
)

FILE = "duplicates.npz"  # in the library's folder


@dataclass(frozen=True)
class DuplicateList:
    """All groups, the latest photos first; `compared` photos were, `uncompared` ones not yet."""

    groups: tuple[Group, ...]
    compared: int
    uncompared: int

    @property
    def removable(self) -> int:
        """The number of photos beside the best of each group."""
        return sum(len(group.ids) - 1 for group in self.groups)


class Duplicates:
    """The near copies in a library. They are found by a job, see `tagger.jobs.duplicates`."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home
        self.file = home / FILE
        self._listed: tuple[object, DuplicateList] | None = None  # and the state that it is of

    def list_groups(self) -> DuplicateList:
        """The groups of what was compared so far, without what a person called different.

        They are kept in memory until something changes.
        """
        with self._database.read_transaction() as connection:
            answered = choices.load_answered(connection)
            state = (self._read_stamp(), version.load(connection), answered)
            if self._listed is not None and self._listed[0] == state:
                return self._listed[1]
            listed = self._list_groups(connection, answered)
        self._listed = (state, listed)
        return listed

    def _read_stamp(self) -> tuple[int, int] | None:
        """Time and size of the file of comparisons; None if there is none."""
        try:
            stat = self.file.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size

    def _list_groups(
        self, connection: Connection, answered: Sequence[Sequence[int]]
    ) -> DuplicateList:
        comparisons = Comparisons.load(self.file)
        ids, values, deleted = hashes.load_all(connection)
        uncompared = hashes.count_missing(connection)
        is_compared = comparisons.find_compared(ids, values)
        present = ids[is_compared & ~deleted]
        is_pair = np.isin(comparisons.pairs, present).all(axis=1)
        pairs = [(int(first), int(second)) for first, second in comparisons.pairs[is_pair]]
        sharpness = dict(
            zip(comparisons.sharp_ids.tolist(), comparisons.sharpness.tolist(), strict=True)
        )
        members = sorted({each for pair in pairs for each in pair})
        candidates = load_candidates(connection, members, sharpness)
        uncompared += int(np.count_nonzero(~is_compared & ~deleted))
        groups = group_pairs(pairs, candidates, answered)
        return DuplicateList(tuple(groups), len(present), uncompared)

    def load(self, groups: Sequence[Group]) -> list[DuplicateGroup]:
        """Groups with their photos; photos that are gone since are left out."""
        comparisons = Comparisons.load(self.file)
        sharpness = dict(
            zip(comparisons.sharp_ids.tolist(), comparisons.sharpness.tolist(), strict=True)
        )
        ids = [photo_id for group in groups for photo_id in group.ids]
        with self._database.read_transaction() as connection:
            existing = photos.filter_existing(connection, ids)
            loaded = {
                photo.id: photo for photo in photos.load_photos(connection, existing, self._home)
            }
        return [
            DuplicateGroup(
                tuple(loaded[each] for each in group.ids if each in loaded),
                group.merits,
                tuple(sharpness.get(each) for each in group.ids if each in loaded),
            )
            for group in groups
        ]

    def choose(self, chosen: Sequence[Choice]) -> int:
        """Keep and remove photos of groups, not their files; the operation, which can be undone.

        Several that are kept of a group are different ones from then on. What a person said of a
        removed photo goes to the first that is kept. Raises OptionError if nothing would change.
        """
        return choices.apply(self._database, chosen)
