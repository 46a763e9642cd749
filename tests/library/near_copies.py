"""Near copies that no comparison has to find, for tests of what follows from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import select

from tagger.library.database.schema import photos
from tagger.library.duplicates import hashes
from tagger.library.duplicates.comparisons import Comparisons
from tagger.library.library import Library


def mark_as_copies(library: Library, *groups: Sequence[int]) -> None:
    """Store what a comparison would find."""
    with library.database.write_transaction() as connection:
        rows = connection.execute(select(photos.c.id, photos.c.sha256)).all()
        hashes.save(connection, [(row.id, row.sha256, f"{row.id:016x}") for row in rows])
    ids = np.array(sorted(row.id for row in rows))
    pairs = [[a, b] for group in groups for a in group for b in group if a < b]
    stored = Comparisons().add(
        ids, ids.astype(np.uint64), np.ones(len(ids), np.bool_), np.array(pairs).reshape(-1, 2)
    )
    stored.save(library.duplicates.file)
