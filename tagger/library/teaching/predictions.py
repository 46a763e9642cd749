"""Predictions of heads: stored like those of models, for the photos that they tag alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection, insert, select

from tagger.concurrency import chunks
from tagger.inference.embeddings import Embedding
from tagger.library import tags
from tagger.library.database.schema import CHUNK, models, photos, predictions
from tagger.library.derivation import HEAD, Columns
from tagger.library.teaching.heads import THRESHOLD, Head, score


@dataclass(frozen=True)
class ActiveHead:
    """A head that tags new photos, the key of its entry, and the operation that switched it on."""

    head: Head
    key: str
    since: int


def register_head(connection: Connection, head: Head, key: str) -> int:
    """The id of a head among the models, added if it is new."""
    existing = connection.scalar(select(models.c.id).where(models.c.sha256 == head.sha256))
    if existing is not None:
        return int(existing)
    row = insert(models).values(
        name=key, kind=HEAD, sha256=head.sha256, first_used_at=datetime.now(UTC)
    )
    return int(connection.execute(row.returning(models.c.id)).scalar_one())


def predict(
    connection: Connection,
    heads: Iterable[ActiveHead],
    embeddings: Mapping[int, Embedding],
) -> dict[int, list[tuple[int, Columns]]]:
    """What heads say of photos, by the heads' ids among the models, as rows of predictions.

    `embeddings` are the photos' vectors by id, in the space of the heads.
    """
    rows: dict[int, list[tuple[int, Columns]]] = {}
    if not embeddings:
        return rows
    ids, vectors = list(embeddings), np.stack(list(embeddings.values()))
    for active in heads:
        logits = active.head.logits(vectors).tolist()
        tagged = [
            (photo_id, make_prediction(active.head, logit))
            for photo_id, logit in zip(ids, logits, strict=True)
            if logit >= 0
        ]
        if tagged:
            rows[register_head(connection, active.head, active.key)] = tagged
    return rows


def tag_later(
    connection: Connection,
    heads: Iterable[ActiveHead],
    embeddings: Mapping[int, Embedding | None],
) -> None:
    """Let heads tag photos that had no vector when they were imported.

    Those that were imported before a head was switched on are left alone, and those that had its
    tag before, whose vectors were made anew. The tags belong to the imports, and are undone with
    them.
    """
    readable = {id: vector for id, vector in embeddings.items() if vector is not None}
    columns = photos.c.id, photos.c.added_by
    is_there = photos.c.id.in_(readable), photos.c.deleted_by.is_(None)
    added_by = {
        row.id: row.added_by for row in connection.execute(select(*columns).where(*is_there))
    }
    for active in heads:
        tagged = _find_ever_tagged(connection, active.key, added_by)
        later = [id for id in added_by if added_by[id] > active.since and id not in tagged]
        by_model = predict(connection, [active], {id: readable[id] for id in later})
        for model_id, rows in by_model.items():
            by_import: dict[int, list[tuple[int, Columns]]] = defaultdict(list)
            for photo_id, row in rows:
                by_import[added_by[photo_id]].append((photo_id, row))
            for operation_id, imported in by_import.items():
                tags.save_predictions(connection, operation_id, model_id, imported)


def _find_ever_tagged(connection: Connection, key: str, photo_ids: Iterable[int]) -> set[int]:
    """The photos to which any version of a head gave its tag, even if they lost it since."""
    is_head = models.c.kind == HEAD, models.c.name == key
    ids: set[int] = set()
    for chunk in chunks(photo_ids, CHUNK):
        query = select(predictions.c.photo_id).join(models, models.c.id == predictions.c.model_id)
        ids.update(connection.scalars(query.where(*is_head, predictions.c.photo_id.in_(chunk))))
    return ids


def make_prediction(head: Head, logit: float) -> Columns:
    """The columns of a head's prediction in the table `predictions`."""
    value = score(logit)
    return {
        "label": head.tag,
        "confidence": value,
        "reason": None,
        "ood_score": None,
        "tags": [[head.tag, value, THRESHOLD]],
        "scores": [[head.tag, value]],
    }
