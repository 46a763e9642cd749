"""Predictions by models that need not exist, for tests of what follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from tagger.library import operations, tags
from tagger.library.database.schema import models
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw_png


def predict(
    library: Library,
    model: str,
    scores_by_photo: Mapping[int, Mapping[str, float]],
    kind: str = "model",
    version: int = 1,
) -> int:
    """Save the tags, with scores, that a model gives photos; the operation."""
    rows = []
    for photo_id, scores in scores_by_photo.items():
        best = sorted(scores, key=scores.__getitem__, reverse=True)
        prediction = {
            "label": best[0] if best else None,
            "confidence": max(scores.values(), default=0.3),
            "reason": None if best else "uncertain",
            "ood_score": 0.1,
            "tags": [[label, scores[label], 0.5] for label in best],
            "scores": [[label, scores[label]] for label in best],
        }
        rows.append((photo_id, prediction))
    with library.database.write_transaction() as connection:
        title = f"Tagged by {model}"
        operation_id = operations.create(connection, "retag", title, total=len(rows))
        model_id = _register(connection, model, kind, version)
        tags.save_predictions(connection, operation_id, model_id, rows)
    return operation_id


def add_photos(library: Library, count: int) -> list[int]:
    """Add drawn photos that no model has looked at; their ids."""
    pets = Tagger.load("pets")
    ids = [library.add_photo(f"{n}.png", draw_png(n), pets).photo.id for n in range(count)]
    with library.database.write_transaction() as connection:
        operation_id = operations.create(connection, "edit", "Without predictions")
        model_id = connection.scalar(select(models.c.id).where(models.c.sha256 == pets.sha256))
        assert model_id is not None
        tags.end_predictions(connection, operation_id, model_id, ids)
    return ids


def _register(connection: Connection, model: str, kind: str, version: int) -> int:
    digest = hashlib.sha256(f"{kind} {model} {version}".encode()).hexdigest()
    existing = connection.scalar(select(models.c.id).where(models.c.sha256 == digest))
    if existing is not None:
        return existing
    row = {"name": model, "kind": kind, "sha256": digest, "first_used_at": datetime.now(UTC)}
    return int(connection.execute(insert(models).values(row).returning(models.c.id)).scalar_one())
