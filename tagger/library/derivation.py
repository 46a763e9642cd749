"""Derive the tags of photos, and columns of `photos`, from the histories.

A photo's tags are those of its current predictions, but for models and heads that are off, and a
person's answers, which outlive them. Models come in the order in which they are in use, then those
that are not, the latest prediction first, then heads: where several give the same tag, the first
one's counts.

Every change to a history is followed by `refresh` of the photos in the same transaction. What
concerns many photos marks them as stale instead, and `refresh_stale_soon` derives them in batches.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from tagger.concurrency import chunks
from tagger.errors import LibraryError
from tagger.library.database import version
from tagger.library.database.database import Database
from tagger.library.database.schema import (
    CHUNK,
    fields,
    models,
    photos,
    predictions,
    tags,
    verdicts,
)
from tagger.library.history import entries
from tagger.library.labels.names import LabelRules, label_ids, load_rules, refresh_labels
from tagger.text import fold

MODEL, HEAD = "model", "head"  # kinds of models; a head is a tag that was learnt from examples
_NOT_IN_USE, _HEADS = 1_000, 1_001  # ranks after those of models in use
STALE_BATCH = 1_000  # photos per transaction, which takes about half a second
BACKGROUND_PAUSE = 0.2  # seconds: a writer that waits for SQLite looks ten times a second

Columns = dict[str, Any]  # of a row, by name
Ranks = Mapping[int, int]  # of models by id, the lowest first; those that are off are left out

_in_background: set[Database] = set()  # those with a thread that derives what is stale
_lock = Lock()


@dataclass(frozen=True)
class ModelOrder:
    """The order of the tags that models give. In use are stems of names, in order."""

    in_use: Sequence[str]
    off: frozenset[str]
    heads: Mapping[str, bool]  # by folded tag; those that are not in it are on

    @classmethod
    def load(cls, connection: Connection) -> ModelOrder:
        """The order that the entries say."""
        in_use = entries.load_value(connection, "models", "in_use") or ()
        return cls(
            [Path(name).stem for name in in_use],
            frozenset(entries.load_value(connection, "models", "off") or ()),
            entries.load(connection, "head"),
        )

    def rank(self, name: str, kind: str = MODEL) -> int | None:
        """A model's rank, the lowest first; None if it is off."""
        if kind == HEAD:
            return _HEADS if self.heads.get(fold(name), True) else None
        if name in self.off:
            return None
        return self.in_use.index(name) if name in self.in_use else _NOT_IN_USE


def rank_models(connection: Connection) -> dict[int, int]:
    """The rank of each model in the order of the tags that it gives; none of those that are off."""
    order = ModelOrder.load(connection)
    rows = connection.execute(select(models.c.id, models.c.name, models.c.kind))
    ranks = {row.id: order.rank(row.name, row.kind) for row in rows}
    return {model_id: rank for model_id, rank in ranks.items() if rank is not None}


def sort_predictions(rows: Iterable[Any], ranks: Ranks) -> list[Any]:
    """A photo's predictions in the order of their models; of equal rank, the latest first.

    Those by models that are off are left out.
    """
    listed = (row for row in rows if row.model_id in ranks)
    return sorted(listed, key=lambda row: (ranks[row.model_id], -row.id))


def refresh(connection: Connection, photo_ids: Iterable[int]) -> None:
    """Derive photos' tags, and their columns that depend on them, from the current rows."""
    rules: tuple[Ranks, LabelRules] | None = None
    for chunk in chunks(photo_ids, CHUNK):
        rules = rules or (rank_models(connection), load_rules(connection))
        _refresh_chunk(connection, chunk, *rules)
    if rules is not None:
        version.renew(connection)


def refresh_stale(database: Database, pause: float = 0) -> int:
    """Derive what is marked as stale, in batches, so that others can write too; how many photos.

    `pause` seconds pass between two batches.
    """
    count = 0
    if not _count_stale(database, 1):
        return count
    is_stale = select(photos.c.id).where(photos.c.stale).limit(STALE_BATCH)
    while True:
        with database.write_transaction() as connection:
            batch = connection.scalars(is_stale).all()
            refresh(connection, batch)
        count += len(batch)
        if len(batch) < STALE_BATCH:
            return count
        time.sleep(pause)


def refresh_stale_soon(database: Database) -> None:
    """As `refresh_stale`; of more than a batch, in a thread, so that nobody waits for it.

    A thread that is cut short leaves photos marked as stale, for the next call.
    """
    if _count_stale(database, STALE_BATCH + 1) <= STALE_BATCH:
        refresh_stale(database)
        return
    with _lock:
        if database in _in_background:  # it looks again before it ends
            return
        _in_background.add(database)
    Thread(target=_refresh_in_background, args=(database,), daemon=True).start()


def _refresh_in_background(database: Database) -> None:
    try:
        while True:
            refresh_stale(database, BACKGROUND_PAUSE)
            with _lock:
                if not _count_stale(database, 1):
                    _in_background.discard(database)
                    return
    except LibraryError:  # closed, or busy for too long
        with _lock:
            _in_background.discard(database)


def _count_stale(database: Database, limit: int) -> int:
    """The number of photos that are marked as stale, at most `limit`."""
    is_stale = select(photos.c.id).where(photos.c.stale).limit(limit)
    with database.read_transaction() as connection:
        return len(connection.scalars(is_stale).all())


@contextmanager
def entries_changing(connection: Connection) -> Iterator[None]:
    """Around changes of entries: mark as stale what follows from them otherwise than before."""
    before = rank_models(connection)
    yield
    version.renew(connection)
    refresh_labels(connection)
    after = rank_models(connection)
    tagged: Any = select(predictions.c.photo_id).where(predictions.c.ended_by.is_(None))
    if switched := before.keys() ^ after.keys():
        _mark_stale(connection, tagged.where(predictions.c.model_id.in_(switched)))
    moved = {each for each in before.keys() & after.keys() if before[each] != after[each]}
    if moved:
        several = tagged.group_by(predictions.c.photo_id).having(func.count() > 1)
        is_moved = predictions.c.model_id.in_(moved), predictions.c.photo_id.in_(several)
        _mark_stale(connection, tagged.where(*is_moved))


def _mark_stale(connection: Connection, photo_ids: Any) -> None:
    connection.execute(update(photos).where(photos.c.id.in_(photo_ids)).values(stale=True))


def doubt(prediction: Row[Any] | None) -> float | None:
    """The priority of a photo in the review queue, in [0, 2], highest first.

    Uncertain predictions come first, least confident first; then those with a label, likewise.
    Photos unlike the training photos come last: the model is not in doubt about them.
    """
    if prediction is None:
        return None
    if prediction.reason == "unfamiliar":
        return 0.0 if prediction.ood_score is None else 1 - float(prediction.ood_score)
    return 1 - float(prediction.confidence) + (1 if prediction.label is None else 0)


def _refresh_chunk(
    connection: Connection, photo_ids: list[int], ranks: Ranks, rules: LabelRules
) -> None:
    predicted = load_current(connection, predictions, photo_ids)
    answers = load_current(connection, verdicts, photo_ids)
    written = load_current(connection, fields, photo_ids)
    names = (tag[0] for rows in predicted.values() for row in rows for tag in row.tags)
    ids = label_ids(connection, names)
    new: list[Columns] = []
    columns: list[Columns] = []
    for photo_id in photo_ids:
        rows = sort_predictions(predicted[photo_id], ranks)
        annotations = [row for row in answers[photo_id] if row.present is not None]
        photo_tags = derive_tags(rows, annotations, ids, rules)
        new += [{"photo_id": photo_id, **tag} for tag in photo_tags]
        columns.append(
            {"photo": photo_id}
            | _derive_columns(rows, annotations, photo_tags, rules)
            | {"model_count": len(predicted[photo_id])}
            | _derive_fields(written[photo_id])
        )
    connection.execute(delete(tags).where(tags.c.photo_id.in_(photo_ids)))
    if new:
        connection.execute(insert(tags), new)
    connection.execute(update(photos).where(photos.c.id == bindparam("photo")), columns)


def load_current(
    connection: Connection, table: Any, photo_ids: Sequence[int]
) -> dict[int, list[Row[Any]]]:
    """The current rows of a history by photo, in the order in which they were added."""
    query = select(table).where(table.c.photo_id.in_(photo_ids), table.c.ended_by.is_(None))
    by_photo: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(table.c.id)):
        by_photo[row.photo_id].append(row)
    return by_photo


def derive_tags(
    predicted: Sequence[Any],
    annotations: Sequence[Row[Any]],
    ids: Mapping[str, int],
    rules: LabelRules,
) -> list[Columns]:
    """The models' tags, less those annotated as absent, and those annotated as present.

    `predicted` are rows of predictions, in the order of their models, or what has the same tags and
    origin; `annotations` are rows of verdicts that are answers; `ids` those of the tags' labels.
    """
    by_label: dict[int, Columns] = {}
    never: set[int] = set()
    for prediction in predicted:
        origin = {
            "model_id": prediction.model_id,
            "run_id": prediction.run_id,
            "made_at": prediction.made_at,
        }
        for name, score, threshold in prediction.tags:
            label_id = rules.resolve(ids[name])
            if label_id not in by_label:
                tag = {"score": score, "threshold": threshold, "by_person": False}
                by_label[label_id] = tag | origin
                if rules.is_never(ids[name]):
                    never.add(label_id)
            elif not rules.is_never(ids[name]):
                never.discard(label_id)
    no_model = {"score": None, "threshold": None, "model_id": None}
    for label_id, annotation in _join_answers(annotations, rules).items():
        tag = by_label.pop(label_id, no_model)
        if annotation.present:
            never.discard(label_id)
            by_label[label_id] = tag | {
                "by_person": True,
                "run_id": annotation.run_id,
                "made_at": annotation.made_at,
            }
    return [
        {"label_id": label_id, **tag} for label_id, tag in by_label.items() if label_id not in never
    ]


def _join_answers(annotations: Sequence[Row[Any]], rules: LabelRules) -> dict[int, Row[Any]]:
    """A person's answers by the label that is shown; of several that were merged, a yes counts."""
    answers: dict[int, Row[Any]] = {}
    for annotation in annotations:
        label_id = rules.resolve(annotation.label_id)
        if annotation.present or label_id not in answers or not answers[label_id].present:
            answers[label_id] = annotation
    return answers


def _derive_columns(
    predicted: Sequence[Row[Any]],
    annotations: Sequence[Row[Any]],
    photo_tags: Sequence[Columns],
    rules: LabelRules,
) -> Columns:
    """The derived columns of `photos` that are about tags; the first model is in doubt or sure."""
    reviewed = bool(annotations)
    listed = [tag for tag in photo_tags if tag["label_id"] not in rules.hidden]
    scores = [1.0 if tag["by_person"] or tag["score"] is None else tag["score"] for tag in listed]
    first = predicted[0] if predicted else None
    return {
        "unknown": first is not None and not photo_tags and not reviewed,
        "reviewed": reviewed,
        "confidence": None if first is None else first.confidence,
        "doubt": doubt(first),
        "model_id": None if first is None else first.model_id,
        "tag_count": len(listed),
        "highest": max(scores, default=None),
        "lowest": min(scores, default=None),
        "stale": False,
    }


def _derive_fields(written: Sequence[Row[Any]]) -> Columns:
    values = {row.field: row.value for row in written}
    caption = values.get("caption")
    return {
        "rating": values.get("rating", 0),
        "caption": caption,
        "caption_folded": None if caption is None else fold(caption),
    }
