"""Which photos of groups of near copies stay in the library; files are never touched."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library import derivation, operations, photos, tags
from tagger.library.database.database import Database
from tagger.library.database.schema import CHUNK, labels, verdicts
from tagger.library.database.schema import photos as photo_table
from tagger.library.history import entries, fields, titles
from tagger.library.history.fields import Field
from tagger.library.labels.names import load_rules

BATCH = 250  # groups in a transaction


@dataclass(frozen=True)
class Choice:
    """What becomes of a group: the photos that are kept, the best first, and those removed."""

    kept: tuple[int, ...]
    removed: tuple[int, ...] = ()


def apply(database: Database, choices: Sequence[Choice]) -> int:
    """Remove photos of groups from the library; the operation's id.

    What a person said of a removed photo is said of the first one that is kept, where that has no
    answer of its own: tags, a rating, a caption. Several that are kept are no group any more. A
    group of which no photo would be left stays as it is. Raises OptionError if there is nothing to
    change.
    """
    operation_id: int | None = None
    with database.read_transaction() as connection:
        choices = _without_deleted(connection, choices)
    if not choices:
        raise OptionError("nothing to change: keep at least one photo, and one that still exists")
    removed = sum(len(choice.removed) for choice in choices)
    title = titles.chose_copies(removed, sum(len(choice.kept) for choice in choices))
    for batch in chunks(choices, BATCH):
        with database.write_transaction() as connection:
            if operation_id is None:
                operation_id = operations.create(connection, "edit", title, total=removed)
            _apply_batch(connection, operation_id, _without_deleted(connection, batch))
    return operation_id or 0


def load_answered(connection: Connection) -> list[list[int]]:
    """The sets of photos that a person kept as different ones."""
    return [value["photos"] for value in entries.load(connection, "different").values()]


def _without_deleted(connection: Connection, choices: Sequence[Choice]) -> list[Choice]:
    """The choices among photos that exist; without those that change nothing, or keep no photo."""
    every = [each for choice in choices for each in (*choice.kept, *choice.removed)]
    existing = set(photos.filter_existing(connection, every))
    remaining = []
    for choice in choices:
        kept, removed = (
            tuple(each for each in ids if each in existing) for ids in (choice.kept, choice.removed)
        )
        if kept and (removed or len(kept) > 1):
            remaining.append(Choice(kept, removed))
    return remaining


def _apply_batch(connection: Connection, operation_id: int, choices: Sequence[Choice]) -> None:
    _carry_answers(connection, operation_id, choices)
    removed = [each for choice in choices for each in choice.removed]
    photos.delete_photos(connection, operation_id, removed)
    for choice in choices:
        if len(choice.kept) > 1:
            ids = sorted(choice.kept)
            key = hashlib.sha256(repr(ids).encode()).hexdigest()
            entries.save(connection, operation_id, "different", key, {"photos": ids})


def _carry_answers(connection: Connection, operation_id: int, choices: Iterable[Choice]) -> None:
    """Give the kept photos what a person said of the removed ones."""
    pairs = [(choice.kept[0], choice.removed) for choice in choices]
    ids = [each for kept, removed in pairs for each in (kept, *removed)]
    answers = _load_answers(connection, ids)
    written = _load_written(connection, ids)
    for kept, removed in pairs:
        votes: dict[str, Counter[bool]] = {}
        for photo_id in removed:
            for name, present in answers.get(photo_id, {}).items():
                votes.setdefault(name, Counter())[present] += 1
        own = answers.get(kept, {})
        agreed = {name: set(each) for name, each in votes.items() if name not in own}
        tags_present = [name for name, each in agreed.items() if each == {True}]
        tags_absent = [name for name, each in agreed.items() if each == {False}]
        if tags_present or tags_absent:
            tags.save_annotations(connection, operation_id, [kept], tags_present, tags_absent)
        for field, empty in (("rating", 0), ("caption", None)):
            values = [written[each][field] for each in removed if written[each][field]]
            if values and written[kept][field] == empty:
                value = max(values) if field == "rating" else values[0]
                _save_field(connection, operation_id, kept, field, value)


def _save_field(
    connection: Connection, operation_id: int, photo_id: int, field: str, value: Any
) -> None:
    name: Field = "rating" if field == "rating" else "caption"
    fields.save(connection, operation_id, [photo_id], name, value)


def _load_answers(connection: Connection, photo_ids: Sequence[int]) -> dict[int, dict[str, bool]]:
    """A person's answers by photo and the name of the tag that is shown."""
    rules = load_rules(connection)
    names = {row.id: row.name for row in connection.execute(select(labels.c.id, labels.c.name))}
    answers: dict[int, dict[str, bool]] = {}
    for chunk in chunks(photo_ids, CHUNK):
        for photo_id, rows in derivation.load_current(connection, verdicts, chunk).items():
            for row in rows:
                if row.present is not None:
                    name = names[rules.resolve(row.label_id)]
                    by_name = answers.setdefault(photo_id, {})
                    by_name[name] = row.present or by_name.get(name, False)
    return answers


def _load_written(
    connection: Connection, photo_ids: Sequence[int]
) -> Mapping[int, Mapping[str, Any]]:
    """Ratings and captions by photo."""
    written: dict[int, Mapping[str, Any]] = {}
    for chunk in chunks(photo_ids, CHUNK):
        columns = photo_table.c.id, photo_table.c.rating, photo_table.c.caption
        for row in connection.execute(select(*columns).where(photo_table.c.id.in_(chunk))):
            written[row.id] = {"rating": row.rating, "caption": row.caption}
    return written
