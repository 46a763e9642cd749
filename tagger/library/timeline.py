"""All photos that a query finds, in order, with the months they are from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, String, cast, func, select

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
    month = func.substr(cast(time, String), 1, 7)  # "2024-05"
    present = photos.c.deleted_by.is_(None)
    total = connection.scalar(select(func.count()).select_from(photos).where(present))
    if len(ids) == total:  # the order is by time, so that each month comes once
        order = month if sort == "oldest" else month.desc()
        query = select(month, func.count()).where(present).group_by(month).order_by(order)
        return tuple((text, count) for text, count in connection.execute(query).all())
    rows = connection.execute(select(photos.c.id, month.label("month")).where(present)).all()
    by_id = {row.id: row.month for row in rows}
    months = groupby(by_id[photo_id] for photo_id in ids)
    return tuple((text, sum(1 for _ in group)) for text, group in months)
