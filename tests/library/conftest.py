"""Rows for the tests of searches, without photos.

With TAGGER_TEST_DATABASE they use that database, which has to be empty, instead of SQLite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert

from tagger.inference import vocabulary
from tagger.library.database import schema
from tagger.text import fold

VOCABULARY = vocabulary.load()
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _wordless(wordless: None) -> None:
    """Only models that a test chooses understand descriptions."""


@dataclass
class PhotoSpec:
    """A photo to insert; `tags` with their scores, None for those given by a person."""

    name: str = "photo.jpg"
    tags: dict[str, float | None] = field(default_factory=dict)
    confirmed: tuple[str, ...] = ()  # tags with a score that a person confirmed
    added: datetime = NOON
    taken: datetime | None = None
    folder: str = "/photos"
    model: str | None = "everyday"
    confidence: float | None = 0.5
    doubt: float | None = 0.5
    unknown: bool = False
    reviewed: bool = False
    rating: int = 0
    caption: str | None = None
    deleted: bool = False
    run: int = 1

    def by_person(self, label: str) -> bool:
        return self.tags[label] is None or label in self.confirmed

    def scores(self) -> list[float]:
        return [1.0 if self.by_person(t) else score or 0.0 for t, score in self.tags.items()]


def insert_photos(connection: Connection, specs: Sequence[PhotoSpec]) -> None:
    """Insert the rows that an import, a model and people would leave; ids count from 1."""
    for number in sorted({photo.run for photo in specs} | {1}):
        insert_operation(connection, number)
    model_ids = {name: i for i, name in enumerate(sorted({p.model for p in specs if p.model}), 1)}
    for name, number in model_ids.items():
        row = {"id": number, "name": name, "sha256": name, "first_used_at": NOON}
        connection.execute(insert(schema.models).values(row))
    names = sorted({tag for photo in specs for tag in photo.tags}, reverse=True)
    label_ids = {name: number for number, name in enumerate(names, 1)}
    for name, number in label_ids.items():
        row = {"id": number, "name": name, "folded": fold(name)}
        connection.execute(insert(schema.labels).values(row))
    rows = [
        {
            "id": number,
            "sha256": str(number),
            "name": photo.name,
            "name_folded": fold(photo.name),
            "path": f"{photo.folder}/{photo.name}",
            "stored": False,
            "size": 1,
            "width": 1,
            "height": 1,
            "added_by": photo.run,
            "added_at": photo.added,
            "taken_at": photo.taken,
            "dated_at": photo.taken or photo.added.replace(tzinfo=None),
            "rating": photo.rating,
            "caption": photo.caption,
            "caption_folded": photo.caption and fold(photo.caption),
            "deleted_by": 1 if photo.deleted else None,
            "unknown": photo.unknown,
            "reviewed": photo.reviewed,
            "confidence": photo.confidence,
            "doubt": photo.doubt,
            "model_id": model_ids[photo.model] if photo.model else None,
            "model_count": 1 if photo.model else 0,
            "tag_count": len(photo.tags),
            "highest": max(photo.scores(), default=None),
            "lowest": min(photo.scores(), default=None),
        }
        for number, photo in enumerate(specs, 1)
    ]
    connection.execute(insert(schema.photos), rows)
    presences = [{"photo_id": number, "run_id": photo.run} for number, photo in enumerate(specs, 1)]
    connection.execute(insert(schema.presences), presences)
    prediction = {"confidence": 0.5, "tags": [], "scores": [], "made_at": NOON}
    predictions = [
        {"photo_id": number, "model_id": model_ids[photo.model], "run_id": photo.run, **prediction}
        for number, photo in enumerate(specs, 1)
        if photo.model
    ]
    if predictions:
        connection.execute(insert(schema.predictions), predictions)
    tags = [
        {
            "photo_id": number,
            "label_id": label_ids[label],
            "score": score,
            "by_person": photo.by_person(label),
            "run_id": photo.run,
            "made_at": NOON,
        }
        for number, photo in enumerate(specs, 1)
        for label, score in photo.tags.items()
    ]
    if tags:
        connection.execute(insert(schema.tags), tags)


def insert_operation(connection: Connection, operation_id: int) -> None:
    row = {"id": operation_id, "kind": "edit", "title": "", "status": "done", "options": {}}
    connection.execute(insert(schema.runs).values(**row, created_at=NOON))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An empty database with the schema."""
    file = tmp_path_factory.mktemp("search") / "catalogue.db"
    engine = create_engine(os.environ.get("TAGGER_TEST_DATABASE") or f"sqlite:///{file}")
    schema.metadata.create_all(engine)
    yield engine
    schema.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection whose changes are rolled back after the test."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()
