"""Which photos of the library look most like one."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from tagger.inference.embeddings import DIMENSIONS, Embedding, nearest
from tagger.library.database.schema import embeddings, models, photos
from tagger.library.photos import filter_existing


@dataclass(frozen=True)
class _Vectors:
    """The embeddings of one model, as read when the table was in a certain `state`."""

    state: tuple[int, int, int]
    photo_ids: NDArray[np.int64]  # (N,)
    vectors: NDArray[np.float16]  # (N, DIMENSIONS)


class SimilarityIndex:
    """Looks through the embeddings of a model, held in memory until there are others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: _Vectors | None = None

    def find(
        self,
        connection: Connection,
        query: Embedding,
        model_sha256: str,
        count: int,
        without: int | None = None,
    ) -> list[tuple[int, float]]:
        """Photo ids with their cosine similarity, nearest first, deleted photos passed over.

        Empty where that model has tagged nothing.
        """
        model_id = connection.scalar(select(models.c.id).where(models.c.sha256 == model_sha256))
        if model_id is None:
            return []
        held = self._vectors(connection, int(model_id))
        found: list[tuple[int, float]] = []
        sought = count + 1
        while len(found) < count and sought < 2 * (len(held.photo_ids) + count):
            rows = nearest(query, held.vectors, sought)
            ids = [int(held.photo_ids[row]) for row, _ in rows]
            here = set(filter_existing(connection, ids))
            found = [
                (photo, similarity)
                for photo, (_, similarity) in zip(ids, rows, strict=True)
                if photo in here and photo != without
            ]
            sought *= 4  # many of the nearest may be deleted
        return found[:count]

    def of(self, connection: Connection, photo_id: int) -> tuple[Embedding, str] | None:
        """A photo's embedding by the model that tagged it last, and the model's SHA-256."""
        row = connection.execute(
            select(embeddings.c.vector, models.c.sha256)
            .join(photos, photos.c.id == embeddings.c.photo_id)
            .join(models, models.c.id == embeddings.c.model_id)
            .where(embeddings.c.photo_id == photo_id, embeddings.c.model_id == photos.c.model_id)
        ).first()
        return None if row is None else (np.frombuffer(row.vector, np.float16), row.sha256)

    def _vectors(self, connection: Connection, model_id: int) -> _Vectors:
        mine = embeddings.c.model_id == model_id
        count, last = connection.execute(
            select(func.count(), func.coalesce(func.max(embeddings.c.photo_id), 0)).where(mine)
        ).one()
        state = (model_id, int(count), int(last))
        with self._lock:
            if self._held is None or self._held.state != state:
                rows = connection.execute(
                    select(embeddings.c.photo_id, embeddings.c.vector).where(mine)
                ).all()
                joined = b"".join(row.vector for row in rows)
                self._held = _Vectors(
                    state,
                    np.array([row.photo_id for row in rows], np.int64),
                    np.frombuffer(joined, np.float16).reshape(len(rows), DIMENSIONS),
                )
            return self._held
