"""The state of a library as a person sees it, and the rules that its histories keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from sqlalchemy import Connection, select, text

from tagger.library import derivation, operations
from tagger.library import photos as photo_store
from tagger.library.database.schema import (
    contents,
    entries,
    fields,
    labels,
    models,
    photos,
    predictions,
    presences,
    tags,
    verdicts,
)
from tagger.library.history import entries as entry_store
from tagger.library.history.entries import Kind
from tagger.library.labels.names import refresh_labels
from tagger.library.library import Library

_KEYS = (
    (str(presences), "photo_id"),
    (str(contents), "photo_id"),
    (f"{predictions} JOIN {models} ON models.id = model_id", "photo_id, models.name, models.kind"),
    (str(verdicts), "photo_id, label_id"),
    (str(fields), "photo_id, field"),
    (str(entries), "kind, key"),
)
_DERIVED = (
    (tags, ("photo_id", "label_id", "by_person", "run_id", "score")),
    (photos, ("id", "unknown", "reviewed", "tag_count", "rating", "stale", "caption")),
    (photos, ("id", "model_id", "model_count", "confidence", "highest", "lowest", "doubt")),
    (labels, ("id", "name", "shown_as", "hidden", "never")),
)


def find_stale_after(library: Library, key: str, value: dict[str, Any]) -> list[int]:
    """The photos to derive again after an edit of a tag, which is rolled back."""
    with library.database.write_transaction() as connection, connection.begin_nested() as nested:
        operation_id = operations.create(connection, "edit", "")
        with derivation.entries_changing(connection):
            entry_store.save(connection, operation_id, "tag", key, value)
        is_stale = select(photos.c.id).where(photos.c.stale).order_by(photos.c.id)
        stale = list(connection.scalars(is_stale))
        nested.rollback()
    return stale


def check_histories(library: Library) -> None:
    """Each key has at most one current row, and what is derived is up to date."""
    with library.database.write_transaction() as connection:
        for table, key in _KEYS:
            repeats = f"""SELECT count(*) FROM (SELECT 1 FROM {table} WHERE ended_by IS NULL
                GROUP BY {key} HAVING count(*) > 1) AS repeats"""
            assert connection.scalar(text(repeats)) == 0, table
        before = _load_derived(connection)
        derivation.refresh(connection, connection.scalars(select(photos.c.id)).all())
        photo_store.refresh_deleted(connection, connection.scalars(select(photos.c.id)).all())
        refresh_labels(connection)
        for after, earlier in zip(_load_derived(connection), before, strict=True):
            assert after == earlier


def _load_derived(connection: Connection) -> list[list[object]]:
    derived: list[list[object]] = [
        sorted(map(tuple, connection.execute(select(table.c[*columns]))), key=str)
        for table, columns in _DERIVED
    ]
    deleted = photos.c.deleted_by.is_not(None)
    return [*derived, sorted(connection.scalars(select(photos.c.id).where(deleted)))]


def load_answers(library: Library) -> dict[str, object]:
    """All that a person said of photos that are in the library, and of the library."""
    with library.database.read_transaction() as connection:
        return _load_answers(connection)


def _load_answers(connection: Connection) -> dict[str, object]:
    is_there = photos.c.deleted_by.is_(None)
    answered = (
        select(verdicts.c.photo_id, labels.c.folded, verdicts.c.present)
        .join(photos, photos.c.id == verdicts.c.photo_id)
        .join(labels, labels.c.id == verdicts.c.label_id)
        .where(is_there, verdicts.c.ended_by.is_(None))
    )
    written = (
        select(fields.c.photo_id, fields.c.field, fields.c.value)
        .join(photos, photos.c.id == fields.c.photo_id)
        .where(is_there, fields.c.ended_by.is_(None))
    )
    kinds: tuple[Kind, ...] = get_args(Kind)
    return {
        "annotations": sorted(map(tuple, connection.execute(answered)), key=str),
        "fields": sorted(map(tuple, connection.execute(written)), key=str),
        **{kind: entry_store.load(connection, kind) for kind in kinds},
    }


def load_state(library: Library) -> dict[str, object]:
    """All that a person can see, but for where files are, which an undo does not change."""
    state: dict[str, Any] = {
        "in use": library.models_in_use(),
        "labels": library.label_counts(),
        "tags": library.tags.list_all(),
    }
    with library.database.read_transaction() as connection:
        state |= _load_answers(connection)
        is_there = photos.c.deleted_by.is_(None)
        ids = connection.scalars(select(photos.c.id).where(is_there).order_by(photos.c.id)).all()
        state["photos"] = [
            replace(photo, path=Path(), missing=False, stored=False)
            for photo in photo_store.load_photos(connection, ids, library.home)
        ]
        predicted = (
            select(predictions, models.c.name, models.c.sha256)
            .join(photos, photos.c.id == predictions.c.photo_id)
            .join(models, models.c.id == predictions.c.model_id)
            .where(is_there, predictions.c.ended_by.is_(None))
            .order_by(predictions.c.id)
        )
        state["predictions"] = connection.execute(predicted).all()
    return state
