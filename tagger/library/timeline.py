"""All photos that a query finds, in order, with the months they are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, extract, select

from tagger.library.database.schema import photos
from tagger.library.records import Sort

_TIMES = {
    "timeline": photos.c.dated_at,
    "newest": photos.c.added_at,
    "oldest": photos.c.added_at,
}


@dataclass(frozen=True)
class PhotoList:
    """The ids of the photos that a query finds, in order.

    `months` are ("2024-05", number of photos) in the order of the photos; empty for an order that
    is not by time. A month may come up twice, if likeness to a description decides the order.
    """

    ids: Sequence[int]
    months: tuple[tuple[str, int], ...]


def count_months(
    connection: Connection, ids: Sequence[int], sort: Sort
) -> tuple[tuple[str, int], ...]:
    """The months of photos in this order, each with the number of its photos."""
    time = _TIMES.get(sort)
    if time is None or not ids:
        return ()
    month = extract("year", time) * 12 + extract("month", time) - 1
    query = select(photos.c.id, month).where(photos.c.deleted_by.is_(None))
    by_id = {photo_id: int(number) for photo_id, number in connection.execute(query)}
    months = groupby(by_id[photo_id] for photo_id in ids)
    return tuple((_format_month(number), sum(1 for _ in group)) for number, group in months)


def _format_month(number: int) -> str:
    """A month as "2024-05"; `number` counts the months since year 0."""
    year, month = divmod(number, 12)
    return f"{year:04}-{month + 1:02}"
