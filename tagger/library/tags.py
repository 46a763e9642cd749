"""Predictions and annotations of photos.

They are histories: rows are added and ended, never changed (see `database.schema`). The table
`tags` is derived from the current rows, in the same transaction (see `tagger.library.derivation`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from tagger.concurrency import chunks
from tagger.library import derivation
from tagger.library.database.schema import CHUNK, labels, models, predictions, verdicts
from tagger.library.database.schema import tags as tag_table
from tagger.library.derivation import Columns
from tagger.library.labels.names import find_aliases, label_ids, load_rules
from tagger.tagger import Prediction, Tagger

KEPT_SCORES = 5  # stored per prediction


def prediction_row(prediction: Prediction, tagger: Tagger) -> Columns:
    """The columns of a prediction in the table `predictions`."""
    decided = [[tag.label, tag.score, tagger.threshold(tag.label)] for tag in prediction.tags]
    return {
        "label": prediction.label,
        "confidence": prediction.confidence,
        "reason": prediction.reason,
        "ood_score": prediction.ood_score,
        "tags": decided,
        "scores": [[score.label, score.score] for score in prediction.scores[:KEPT_SCORES]],
    }


def save_predictions(
    connection: Connection,
    operation_id: int,
    model_id: int,
    rows: Sequence[tuple[int, Columns]],
) -> None:
    """Add a model's predictions of photos: (photo id, columns of `prediction_row`).

    They replace those of earlier versions, which are the models of the same name and kind.
    """
    save_predictions_of_models(connection, operation_id, {model_id: rows})


def save_predictions_of_models(
    connection: Connection,
    operation_id: int,
    rows_by_model: Mapping[int, Sequence[tuple[int, Columns]]],
) -> None:
    """As `save_predictions`, by several models, by their ids."""
    changed: dict[int, None] = {}
    for model_id, rows in rows_by_model.items():
        if not rows:
            continue
        photo_ids = [photo_id for photo_id, _ in rows]
        _end_predictions(connection, operation_id, model_id, photo_ids)
        origin = {"model_id": model_id, "run_id": operation_id, "made_at": datetime.now(UTC)}
        connection.execute(
            insert(predictions), [{"photo_id": photo_id, **row, **origin} for photo_id, row in rows]
        )
        changed |= dict.fromkeys(photo_ids)
    derivation.refresh(connection, changed)


def end_predictions(
    connection: Connection, operation_id: int, model_id: int, photo_ids: Sequence[int]
) -> None:
    """End the predictions of photos by any version of a model, and so its tags."""
    _end_predictions(connection, operation_id, model_id, photo_ids)
    derivation.refresh(connection, photo_ids)


def find_versions(connection: Connection, model_id: int) -> list[int]:
    """The ids of all versions of a model: those of its name and kind."""
    own = select(models.c.name, models.c.kind).where(models.c.id == model_id).subquery()
    is_version = models.c.name == own.c.name, models.c.kind == own.c.kind
    return list(connection.scalars(select(models.c.id).where(*is_version)))


def _end_predictions(
    connection: Connection, operation_id: int, model_id: int, photo_ids: Sequence[int]
) -> None:
    versions = find_versions(connection, model_id)
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(
            update(predictions)
            .where(
                predictions.c.photo_id.in_(chunk),
                predictions.c.model_id.in_(versions),
                predictions.c.ended_by.is_(None),
            )
            .values(ended_by=operation_id)
        )


def save_annotations(
    connection: Connection,
    operation_id: int,
    photo_ids: Sequence[int],
    present: Sequence[str],
    absent: Sequence[str],
    skipped: Sequence[str] = (),
) -> None:
    """Annotate photos with tags that are present or absent, replacing earlier annotations.

    `skipped` tags were asked about and not answered: where there is an answer, it stays.
    """
    _save_answers(connection, operation_id, photo_ids, present, absent, skipped)
    derivation.refresh(connection, photo_ids)


def count_tagged(
    connection: Connection, photo_ids: Sequence[int], names: Sequence[str]
) -> dict[str, int]:
    """How many of the photos have each tag, by a name of it."""
    rules = load_rules(connection)
    ids = label_ids(connection, names, add=False)
    resolved = {name: rules.resolve(label_id) for name, label_id in ids.items()}
    counts: dict[int, int] = defaultdict(int)
    for chunk in chunks(photo_ids, CHUNK):
        query = (
            select(tag_table.c.label_id, func.count())
            .where(tag_table.c.photo_id.in_(chunk), tag_table.c.label_id.in_(resolved.values()))
            .group_by(tag_table.c.label_id)
        )
        for label_id, count in connection.execute(query):
            counts[label_id] += count
    return {name: counts[resolved[name]] if name in resolved else 0 for name in names}


def find_unconfirmed(connection: Connection, photo_ids: Sequence[int]) -> dict[str, list[int]]:
    """The photos with each tag that a model or a head gave and that is not hidden, by name."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for chunk in chunks(photo_ids, CHUNK):
        query = (
            select(labels.c.name, tag_table.c.photo_id)
            .join(labels, labels.c.id == tag_table.c.label_id)
            .where(tag_table.c.photo_id.in_(chunk), ~tag_table.c.by_person, ~labels.c.hidden)
            .order_by(labels.c.folded, tag_table.c.photo_id)
        )
        for name, photo_id in connection.execute(query):
            by_name[name].append(photo_id)
    return dict(by_name)


def confirm(connection: Connection, operation_id: int, photo_ids: Sequence[int]) -> None:
    """Annotate the tags that `find_unconfirmed` finds as present."""
    for name, ids in find_unconfirmed(connection, photo_ids).items():
        _save_answers(connection, operation_id, ids, [name], [])
    derivation.refresh(connection, photo_ids)


def _save_answers(
    connection: Connection,
    operation_id: int,
    photo_ids: Sequence[int],
    present: Sequence[str],
    absent: Sequence[str],
    skipped: Sequence[str] = (),
) -> None:
    rules = load_rules(connection)
    ids = {
        name: rules.resolve(label_id)
        for name, label_id in label_ids(connection, [*present, *absent, *skipped]).items()
    }
    answers: dict[int, bool | None] = {ids[name]: None for name in skipped}
    answers |= {ids[name]: False for name in absent}
    answers |= {ids[name]: True for name in present}
    answered = [label_id for label_id, answer in answers.items() if answer is not None]
    _end_answers(connection, operation_id, photo_ids, answered)
    origin = {"run_id": operation_id, "made_at": datetime.now(UTC)}
    for chunk in chunks(photo_ids, CHUNK):
        existing = _find_answered(connection, chunk, set(answers) - set(answered))
        rows = [
            {"photo_id": photo_id, "label_id": label_id, "present": answer, **origin}
            for photo_id in chunk
            for label_id, answer in answers.items()
            if (photo_id, label_id) not in existing
        ]
        if rows:
            connection.execute(insert(verdicts), rows)


def end_annotations(
    connection: Connection, operation_id: int, photo_ids: Sequence[int], names: Sequence[str]
) -> None:
    """End the current annotations of tags, by name."""
    rules = load_rules(connection)
    ids = label_ids(connection, names, add=False).values()
    _end_answers(connection, operation_id, photo_ids, [rules.resolve(each) for each in ids])
    derivation.refresh(connection, photo_ids)


def _end_answers(
    connection: Connection, operation_id: int, photo_ids: Sequence[int], ids: Sequence[int]
) -> None:
    """End the current annotations of labels, and of those that are shown as them."""
    every = [*ids, *find_aliases(connection, ids)]
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(
            update(verdicts)
            .where(
                verdicts.c.photo_id.in_(chunk),
                verdicts.c.label_id.in_(every),
                verdicts.c.ended_by.is_(None),
            )
            .values(ended_by=operation_id)
        )


def _find_answered(
    connection: Connection, photo_ids: Sequence[int], ids: set[int]
) -> set[tuple[int, int]]:
    """The photos that have an annotation of these labels, each with the label that is shown."""
    targets = {label_id: label_id for label_id in ids} | find_aliases(connection, ids)
    query = select(verdicts.c.photo_id, verdicts.c.label_id).where(
        verdicts.c.photo_id.in_(photo_ids),
        verdicts.c.label_id.in_(targets),
        verdicts.c.ended_by.is_(None),
    )
    return {(row.photo_id, targets[row.label_id]) for row in connection.execute(query)}
