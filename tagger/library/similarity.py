"""Similar photos: nearest neighbours among the stored embeddings, by cosine similarity."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from tagger.inference.embeddings import Embedding, nearest
from tagger.library.database.schema import embeddings, models, photos
from tagger.library.photos import filter_existing


@dataclass(frozen=True)
class _Vectors:
    """The embeddings of one model; `state` is its id, their number and the highest photo id."""

    state: tuple[int, int, int]
    photo_ids: NDArray[np.int64]  # (N,)
    vectors: NDArray[np.float16]  # (N, D)


class SimilarityIndex:
    """Searches the embeddings of a model, which it caches until the table changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cached: _Vectors | None = None

    def search(
        self,
        connection: Connection,
        query: Embedding,
        model_sha256: str,
        count: int,
        exclude: int | None = None,
    ) -> list[tuple[int, float]]:
        """Photo ids with cosine similarity in [-1, 1], nearest first, without deleted photos.

        Empty if the library has no embeddings by that model.
        """
        model_id = connection.scalar(select(models.c.id).where(models.c.sha256 == model_sha256))
        if model_id is None:
            return []
        cached = self._load(connection, int(model_id))
        neighbours: list[tuple[int, float]] = []
        limit = count + 1
        while len(neighbours) < count and limit < 2 * (len(cached.photo_ids) + count):
            rows = nearest(query, cached.vectors, limit)
            ids = [int(cached.photo_ids[row]) for row, _ in rows]
            existing = set(filter_existing(connection, ids))
            neighbours = [
                (photo_id, similarity)
                for photo_id, (_, similarity) in zip(ids, rows, strict=True)
                if photo_id in existing and photo_id != exclude
            ]
            limit *= 4  # many of the nearest may be deleted
        return neighbours[:count]

    def load_embedding(self, connection: Connection, photo_id: int) -> tuple[Embedding, str] | None:
        """A photo's embedding by the model that tagged it last, and that model's SHA-256."""
        row = connection.execute(
            select(embeddings.c.vector, models.c.sha256)
            .join(photos, photos.c.id == embeddings.c.photo_id)
            .join(models, models.c.id == embeddings.c.model_id)
            .where(embeddings.c.photo_id == photo_id, embeddings.c.model_id == photos.c.model_id)
        ).first()
        if row is None:
            return None
        return np.frombuffer(row.vector, np.float16).astype(np.float32), row.sha256

    def _load(self, connection: Connection, model_id: int) -> _Vectors:
        own = embeddings.c.model_id == model_id
        count, last = connection.execute(
            select(func.count(), func.coalesce(func.max(embeddings.c.photo_id), 0)).where(own)
        ).one()
        state = (model_id, int(count), int(last))
        with self._lock:
            if self._cached is None or self._cached.state != state:
                rows = connection.execute(
                    select(embeddings.c.photo_id, embeddings.c.vector).where(own)
                ).all()
                data = b"".join(row.vector for row in rows)
                self._cached = _Vectors(
                    state,
                    np.array([row.photo_id for row in rows], np.int64),
                    np.frombuffer(data, np.float16).reshape(len(rows), -1),
                )
            return self._cached
