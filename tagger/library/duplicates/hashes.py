"""Perceptual hashes of the library's photos, as `photos.phash` stores them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, func, select, update

from tagger.images.decode import Pixels
from tagger.images.hashing import perceptual_hash
from tagger.library.database.schema import photos
from tagger.library.vectors import Ids

UNREADABLE = ""  # of a photo without a thumbnail that cannot be read

Hashes = NDArray[np.uint64]  # (N,)


def format_hash(thumbnail: Pixels) -> str:
    """The hash of a thumbnail in 16 hex digits."""
    return f"{perceptual_hash(thumbnail):016x}"


def find_missing(connection: Connection, limit: int, after: int = 0) -> list[int]:
    """Photos without a hash, by id, from behind the photo `after` on."""
    query = (
        select(photos.c.id)
        .where(photos.c.phash.is_(None), photos.c.deleted_by.is_(None), photos.c.id > after)
        .order_by(photos.c.id)
        .limit(limit)
    )
    return list(connection.scalars(query))


def count_missing(connection: Connection) -> int:
    """The number of photos without a hash."""
    is_missing = photos.c.phash.is_(None), photos.c.deleted_by.is_(None)
    return int(connection.execute(select(func.count()).where(*is_missing)).scalar_one())


def save(connection: Connection, rows: list[tuple[int, str, str]]) -> None:
    """Set hashes: (photo id, its digest, hash); not of photos that have another content by now."""
    if rows:
        is_same = photos.c.id == bindparam("photo"), photos.c.sha256 == bindparam("digest")
        connection.execute(
            update(photos).where(*is_same).values(phash=bindparam("hash")),
            [dict(zip(("photo", "digest", "hash"), row, strict=True)) for row in rows],
        )


def load_all(connection: Connection) -> tuple[Ids, Hashes, NDArray[np.bool_]]:
    """The ids `(N,)` of all photos that have a hash, ascending, their hashes, which are deleted."""
    query = (
        select(photos.c.id, photos.c.phash, photos.c.deleted_by.is_not(None))
        .where(photos.c.phash > UNREADABLE)
        .order_by(photos.c.id)
    )
    rows = connection.execute(query).all()
    ids, digits, deleted = zip(*rows, strict=True) if rows else ((), (), ())
    hashes = np.frombuffer(bytes.fromhex("".join(digits)), ">u8").astype(np.uint64)
    return np.array(ids, np.int64), hashes, np.array(deleted, np.bool_)
