"""Photos' vectors: in the database, and in memory, where they are compared with others.

A space is that of a model: vectors of one space are comparable, and never mixed with others. All
functions that take a `connection` take part in its transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, exists, func, insert, select, update

from tagger.concurrency import chunks, one_blas_thread, ordered_map
from tagger.inference.decision import Floats
from tagger.inference.embeddings import Embedding
from tagger.library.database.schema import CHUNK, photos, settings, spaces, vectors
from tagger.library.photos import filter_existing

MAX_CACHED = 2  # spaces in memory: one that is in use, and one that is being filled
MAX_EXACT = 100_000  # vectors in memory as float32; as int8 beyond
BLOCK = 65_536  # vectors in one array
ROWS_READ = 8_192  # rows read together
MAX_DELETED = 5_000  # rows deleted in one transaction
REMOVALS = "vector_removals"  # the name of a setting: how often vectors were removed
_FEW_BLOCKS = 2  # compared by one thread: starting others takes as long
_TILE = 1_024  # vectors compared together: they stay in the processor's cache

Ids = NDArray[np.int64]
_NO_IDS: Ids = np.empty(0, np.int64)


# In the database


def find_space_id(connection: Connection, sha256: str) -> int | None:
    """The id of a space, if it was ever used."""
    return connection.scalar(select(spaces.c.id).where(spaces.c.sha256 == sha256))


def register_space(connection: Connection, sha256: str) -> int:
    """The id of a space, added if it is new."""
    space_id = find_space_id(connection, sha256)
    if space_id is None:
        row = insert(spaces).values(sha256=sha256).returning(spaces.c.id)
        space_id = connection.execute(row).scalar_one()
    return int(space_id)


def add(connection: Connection, space_id: int, embeddings: Mapping[int, Embedding | None]) -> None:
    """Add vectors by photo; None for a photo that could not be read.

    Left out are photos that have one in this space, as it would be the same, and those that are
    no longer in the library.
    """
    for chunk in chunks(embeddings, CHUNK):
        readable = [photo_id for photo_id in chunk if embeddings[photo_id] is not None]
        retry_unreadable(connection, readable)
        has_row = vectors.c.photo_id.in_(chunk), vectors.c.space_id == space_id
        stored = set(connection.scalars(select(vectors.c.photo_id).where(*has_row)))
        present = connection.scalars(select(photos.c.id).where(photos.c.id.in_(chunk)))
        rows = [
            {
                "space_id": space_id,
                "photo_id": photo_id,
                "vector": None if vector is None else vector.astype(np.float16).tobytes(),
            }
            for photo_id in sorted(set(present) - stored)
            for vector in [embeddings[photo_id]]
        ]
        if rows:
            connection.execute(insert(vectors), rows)


def retry_unreadable(connection: Connection, photo_ids: Sequence[int]) -> None:
    """Forget that these photos could not be read."""
    unreadable = vectors.c.photo_id.in_(photo_ids), vectors.c.vector.is_(None)
    if connection.execute(delete(vectors).where(*unreadable)).rowcount:
        note_removal(connection)


def load(connection: Connection, photo_id: int, sha256: str | None) -> tuple[Embedding, str] | None:
    """A photo's vector and its space: the one named, or else the latest that it has one in."""
    row = connection.execute(
        select(vectors.c.vector, spaces.c.sha256)
        .join(spaces, spaces.c.id == vectors.c.space_id)
        .where(vectors.c.photo_id == photo_id, vectors.c.vector.is_not(None))
        .order_by((spaces.c.sha256 == (sha256 or "")).desc(), vectors.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else (_decode([row.vector])[0], row.sha256)


def load_some(
    connection: Connection, photo_ids: Sequence[int], sha256: str
) -> dict[int, NDArray[np.float32]]:
    """The unit vectors of those of the photos that have one in a space, by id."""
    by_id: dict[int, NDArray[np.float32]] = {}
    space_id = find_space_id(connection, sha256)
    for chunk in chunks(photo_ids, CHUNK):
        query = select(vectors.c.photo_id, vectors.c.vector).where(
            vectors.c.photo_id.in_(chunk),
            vectors.c.space_id == space_id,
            vectors.c.vector.is_not(None),
        )
        if rows := connection.execute(query).all():
            ids, stored = zip(*rows, strict=True)
            by_id |= dict(zip(ids, _decode(stored), strict=True))
    return by_id


def find_missing(
    connection: Connection, space_id: int | None, limit: int, after: int = 0
) -> list[int]:
    """Photos without a vector in a space, by id, from behind the photo `after` on."""
    stored = exists().where(vectors.c.photo_id == photos.c.id, vectors.c.space_id == space_id)
    query = (
        select(photos.c.id)
        .where(photos.c.deleted_by.is_(None), photos.c.id > after, ~stored)
        .order_by(photos.c.id)
        .limit(limit)
    )
    return list(connection.scalars(query))


def count_missing(connection: Connection, space_id: int) -> int:
    """The number of photos without a vector in a space."""
    stored = exists().where(vectors.c.photo_id == photos.c.id, vectors.c.space_id == space_id)
    query = select(func.count()).where(photos.c.deleted_by.is_(None), ~stored)
    return int(connection.execute(query).scalar_one())


def delete_some(
    connection: Connection, kept_spaces: Sequence[str], limit: int = MAX_DELETED
) -> int:
    """Delete up to `limit` vectors of other spaces than these; how many. 0: all of them are gone.

    Such a space loses its name at once. Should it be used again, it is a new one, and no vectors
    are added to those that are being deleted.
    """
    is_unused = spaces.c.sha256.not_in(kept_spaces)
    for space_id in connection.scalars(select(spaces.c.id).where(is_unused)).all():
        unnamed = update(spaces).where(spaces.c.id == space_id).values(sha256=f"unused {space_id}")
        connection.execute(unnamed)
    unused = select(spaces.c.id).where(is_unused)
    first = select(vectors.c.id).where(vectors.c.space_id.in_(unused)).limit(limit)
    deleted = connection.execute(delete(vectors).where(vectors.c.id.in_(first))).rowcount
    if not deleted and connection.execute(delete(spaces).where(is_unused)).rowcount:
        note_removal(connection)  # databases use ids again
    return deleted


def note_removal(connection: Connection) -> None:
    """Note that vectors, photos or spaces were removed: see `VectorCache`."""
    count = _count_removals(connection)
    connection.execute(delete(settings).where(settings.c.name == REMOVALS))
    connection.execute(insert(settings).values(name=REMOVALS, value=count + 1))


def _count_removals(connection: Connection) -> int:
    value = connection.scalar(select(settings.c.value).where(settings.c.name == REMOVALS))
    return int(value or 0)


def _decode(rows: Sequence[bytes]) -> NDArray[np.float32]:
    """Vectors `(N, D)` of stored ones, which have one length."""
    data = np.frombuffer(b"".join(rows), np.float16)
    return data.reshape(len(rows), -1).astype(np.float32)


# In memory


@dataclass
class _Block:
    """Room for up to `BLOCK` vectors. What was written never changes.

    `scales` (N,) make int8 vectors unit vectors again; None for float32 ones.
    """

    photo_ids: Ids
    vectors: NDArray[Any]  # (N, D)
    scales: NDArray[np.float32] | None
    count: int = 0

    @classmethod
    def allocate(cls, dimensions: int, exact: bool) -> _Block:
        dtype = np.float32 if exact else np.int8
        scales = None if exact else np.empty(BLOCK, np.float32)
        return cls(np.empty(BLOCK, np.int64), np.empty((BLOCK, dimensions), dtype), scales)

    def append(self, photo_ids: Ids, unit_vectors: NDArray[np.float32]) -> int:
        """Add as many as there is room for; how many."""
        count = min(len(photo_ids), BLOCK - self.count)
        rows = slice(self.count, self.count + count)
        self.photo_ids[rows] = photo_ids[:count]
        if self.scales is None:
            self.vectors[rows] = unit_vectors[:count]
        else:
            self.vectors[rows], self.scales[rows] = quantize(unit_vectors[:count])
        self.count += count
        return count


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of a space at one moment; `unreadable` photos have none and never will."""

    photo_ids: Ids  # (N,)
    unreadable: Ids
    _blocks: tuple[tuple[_Block, int], ...]  # with the number of vectors

    def count_among(self, photo_ids: Ids) -> int:
        """How many of these photos have a vector, or are known to be unreadable."""
        among = photo_ids[photo_ids < len(self._is_stored)]
        return int(np.count_nonzero(self._is_stored[among]))

    def find_missing(self, last: int) -> Ids:
        """The numbers of photos up to `last` that have no vector, and may have one later."""
        stored = self._is_stored[1 : last + 1]
        missing = np.flatnonzero(~stored) + 1
        return np.concatenate([missing, np.arange(len(stored) + 1, last + 1)])

    def find_rows(self, photo_ids: Ids) -> Ids:
        """The row of each photo's vector; -1 for photos without one."""
        if not len(self.photo_ids):
            return np.full(len(photo_ids), -1, np.int64)
        order = np.argsort(self.photo_ids)
        ascending = self.photo_ids[order]
        positions = np.minimum(np.searchsorted(ascending, photo_ids), len(order) - 1)
        return np.where(ascending[positions] == photo_ids, order[positions], -1)

    def take(self, rows: Sequence[int] | Ids) -> NDArray[np.float32]:
        """The vectors `(R, D)` of these rows of `photo_ids`, in that order; none: `(0, D)`."""
        if not self._blocks:
            return np.empty((0, 1), np.float32)
        taken = np.empty((len(rows), self._blocks[0][0].vectors.shape[1]), np.float32)
        positions = np.asarray(rows, np.int64)
        start = 0
        for block, count in self._blocks:
            own = np.flatnonzero((positions >= start) & (positions < start + count))
            inner = positions[own] - start
            taken[own] = block.vectors[inner]
            if block.scales is not None:
                taken[own] *= block.scales[inner, None]
            start += count
        return taken

    @cached_property
    def _is_stored(self) -> NDArray[np.bool_]:
        """By photo id."""
        stored = np.concatenate([self.photo_ids, self.unreadable])
        by_id = np.zeros(int(stored.max(initial=0)) + 1, np.bool_)
        by_id[stored] = True
        return by_id

    def cosines(self, queries: Floats) -> NDArray[np.float32]:
        """Cosines `(Q, N)` of unit vectors `(Q, D)` with all vectors."""
        queries = np.ascontiguousarray(queries, np.float32)
        if not self._blocks:
            return np.empty((len(queries), 0), np.float32)
        workers = None if len(self._blocks) > _FEW_BLOCKS else 1
        with one_blas_thread():  # NumPy's own threads wait for each other beside other work
            parts = ordered_map(lambda block: _cosines(*block, queries), self._blocks, workers)
            return np.concatenate(list(parts), axis=1)


@dataclass
class _Cached:
    """The vectors of one space in memory. `removals`: their number when it was first read."""

    removals: int
    last_id: int = 0
    blocks: list[_Block] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    count: int = 0
    snapshot: Vectors = field(default_factory=lambda: Vectors(_NO_IDS, _NO_IDS, ()))

    def append(self, photo_ids: Ids, unit_vectors: NDArray[np.float32]) -> None:
        """Add vectors; beyond MAX_EXACT all become int8."""
        exact = self.count + len(photo_ids) <= MAX_EXACT
        if not exact and any(block.scales is None for block in self.blocks):
            blocks, self.blocks, self.count = self.blocks, [], 0
            for block in blocks:
                self._fill(block.photo_ids[: block.count], block.vectors[: block.count], exact)
        self._fill(photo_ids, unit_vectors, exact)

    def _fill(self, photo_ids: Ids, unit_vectors: NDArray[np.float32], exact: bool) -> None:
        start = 0
        while start < len(photo_ids):
            if not self.blocks or self.blocks[-1].count == BLOCK:
                self.blocks.append(_Block.allocate(unit_vectors.shape[1], exact))
            start += self.blocks[-1].append(photo_ids[start:], unit_vectors[start:])
        self.count += len(photo_ids)

    def take_snapshot(self) -> None:
        blocks = tuple((block, block.count) for block in self.blocks)
        ids = [block.photo_ids[:count] for block, count in blocks]
        photo_ids = np.concatenate([_NO_IDS, *ids])
        self.snapshot = Vectors(photo_ids, np.array(self.unreadable, np.int64), blocks)


class VectorCache:
    """The vectors of up to `MAX_CACHED` spaces in memory, for threads to share.

    New ones are read when they are needed; after a removal all are read again. Deleted photos are
    among them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cached: dict[tuple[str, int], _Cached] = {}  # the one used last comes last

    def load(self, connection: Connection, sha256: str) -> Vectors:
        """All vectors of a space, in the order in which they were added."""
        space_id = find_space_id(connection, sha256)
        if space_id is None:
            return Vectors(_NO_IDS, _NO_IDS, ())
        removals, key = _count_removals(connection), (sha256, space_id)
        with self._lock:
            valid = {k: c for k, c in self._cached.items() if c.removals >= removals}
            cached = valid.pop(key, None)
            while len(valid) >= MAX_CACHED:
                del valid[next(iter(valid))]
            self._cached = valid  # frees the memory of the others before more is read
            cached = valid[key] = cached or _Cached(removals)
            is_changed = False
            try:
                rows = _read(connection, space_id, cached.last_id)
                for last_id, photo_ids, unit_vectors, unreadable in rows:
                    is_changed = True
                    cached.append(photo_ids, unit_vectors)
                    cached.unreadable += unreadable
                    cached.last_id = last_id
            finally:
                if is_changed:
                    cached.take_snapshot()
            return cached.snapshot

    def nearest(
        self,
        connection: Connection,
        query: Embedding,
        sha256: str,
        count: int,
        exclude: int | None = None,
    ) -> list[tuple[int, float]]:
        """Photos of a space with cosine similarity in [-1, 1], nearest first, no deleted ones."""
        loaded = self.load(connection, sha256)
        (cosines,) = loaded.cosines(query[None])
        neighbours: list[tuple[int, float]] = []
        limit = count + 1
        while len(neighbours) < count and limit < 2 * (len(cosines) + count):
            rows = nearest_rows(cosines, limit)
            ids = loaded.photo_ids[rows].tolist()
            existing = set(filter_existing(connection, ids))
            neighbours = [
                (photo_id, cosine)
                for photo_id, cosine in zip(ids, cosines[rows].tolist(), strict=True)
                if photo_id in existing and photo_id != exclude
            ]
            limit *= 4  # many of the nearest may be deleted
        return neighbours[:count]


def nearest_rows(cosines: Floats, count: int) -> NDArray[np.intp]:
    """The rows with the highest `cosines (N,)`, at most `count`, highest first."""
    if count >= len(cosines):
        return np.argsort(-cosines, kind="stable")
    best = np.argpartition(-cosines, count)[:count]
    return best[np.argsort(-cosines[best], kind="stable")]


def quantize(unit_vectors: Floats) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`unit_vectors (N, D)` as int8, and the scales `(N,)` that make them unit vectors again."""
    highest = np.maximum(np.abs(unit_vectors).max(axis=1, keepdims=True), 1e-12)
    whole = np.rint(unit_vectors * (127 / highest))
    lengths = np.maximum(np.linalg.norm(whole, axis=1), 1)
    return whole.astype(np.int8), (1 / lengths).astype(np.float32)


def _cosines(block: _Block, count: int, queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines `(Q, N)` with the first `count` vectors of a block."""
    cosines = np.empty((len(queries), count), np.float32)
    converted = np.empty((_TILE, queries.shape[1]), np.float32)
    for start in range(0, count, _TILE):
        rows = slice(start, min(start + _TILE, count))
        tile = block.vectors[rows]
        if block.scales is not None:
            tile = converted[: len(tile)]
            np.copyto(tile, block.vectors[rows])
        for query, row in zip(queries, cosines, strict=True):  # faster than all at once
            np.dot(tile, query, out=row[rows])
    if block.scales is not None:
        cosines *= block.scales[:count]
    return cosines


def _read(
    connection: Connection, space_id: int, after: int
) -> Iterator[tuple[int, Ids, NDArray[np.float32], list[int]]]:
    """Vectors behind the row `after`: the last row's id, photo ids, vectors, unreadable photos."""
    query = (
        select(vectors.c.id, vectors.c.photo_id, vectors.c.vector)
        .where(vectors.c.space_id == space_id, vectors.c.id > after)
        .order_by(vectors.c.id)
    )
    result = connection.execute(query, execution_options={"yield_per": ROWS_READ})
    for rows in result.partitions():
        row_ids, photo_ids, stored = zip(*rows, strict=True)
        unreadable: list[int] = []
        if None in stored:
            unreadable = [row.photo_id for row in rows if row.vector is None]
            readable = [row for row in rows if row.vector is not None]
            photo_ids = tuple(row.photo_id for row in readable)
            stored = tuple(row.vector for row in readable)
        unit_vectors = _decode(stored) if stored else np.empty((0, 1), np.float32)
        yield row_ids[-1], np.array(photo_ids, np.int64), unit_vectors, unreadable
