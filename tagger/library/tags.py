"""Predictions and annotations of photos, and the tags that follow from them.

Predictions and annotations are a history: rows are added and ended, never changed (see
`database.schema`). The table `tags` is derived from the current rows; every change to them must be
followed by `refresh_tags` in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from tagger.concurrency import chunks
from tagger.errors import OptionError
from tagger.library.database.schema import labels, photos, predictions, tags, verdicts
from tagger.tagger import Prediction, Tagger
from tagger.text import fold, is_visible

CHUNK = 500  # photos per statement: databases limit the number of parameters
MAX_LABEL = 100  # characters
KEPT_SCORES = 5  # stored per prediction

Columns = dict[str, Any]  # of a row, by name


def label_ids(connection: Connection, names: Iterable[str], add: bool = True) -> dict[str, int]:
    """Label ids by name; new labels are added, or left out if not `add`.

    Labels are case-insensitive: "Cat" is the label "cat" if that one exists.
    """
    folded = {name: fold(name) for name in names}
    ids: dict[str, int] = {}
    for chunk in chunks(sorted(set(folded.values())), CHUNK):
        query = select(labels.c.folded, labels.c.id).where(labels.c.folded.in_(chunk))
        ids.update((row.folded, row.id) for row in connection.execute(query))
    for name, key in folded.items():
        if key not in ids and add:
            new = insert(labels).values(name=name, folded=key).returning(labels.c.id)
            ids[key] = connection.execute(new).scalar_one()
    return {name: ids[key] for name, key in folded.items() if key in ids}


def validate_label(text: str) -> str:
    """A label typed by a person, without extra spaces. Raises OptionError if it is not valid."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_LABEL or not is_visible(name):
        raise OptionError(
            f"a tag is 1 to {MAX_LABEL} characters that can be seen; got {text[:MAX_LABEL]!r}"
        )
    return name


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
    """Replace the current predictions of photos: (photo id, columns of `prediction_row`)."""
    if not rows:
        return
    photo_ids = [photo_id for photo_id, _ in rows]
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(
            update(predictions)
            .where(predictions.c.photo_id.in_(chunk), predictions.c.ended_by.is_(None))
            .values(ended_by=operation_id)
        )
    origin = {"model_id": model_id, "run_id": operation_id, "made_at": datetime.now(UTC)}
    connection.execute(
        insert(predictions), [{"photo_id": photo_id, **row, **origin} for photo_id, row in rows]
    )
    refresh_tags(connection, photo_ids)


def save_annotations(
    connection: Connection,
    operation_id: int,
    photo_ids: Sequence[int],
    present: Sequence[str],
    absent: Sequence[str],
) -> None:
    """Annotate photos with tags that are present or absent, replacing earlier annotations."""
    ids = label_ids(connection, [*present, *absent])
    answers = {ids[name]: False for name in absent} | {ids[name]: True for name in present}
    end_annotations(connection, operation_id, photo_ids, list(answers))
    origin = {"run_id": operation_id, "made_at": datetime.now(UTC)}
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(
            insert(verdicts),
            [
                {"photo_id": photo_id, "label_id": label_id, "present": is_present, **origin}
                for photo_id in chunk
                for label_id, is_present in answers.items()
            ],
        )
    refresh_tags(connection, photo_ids)


def end_annotations(
    connection: Connection, operation_id: int, photo_ids: Sequence[int], label_ids: Sequence[int]
) -> None:
    """End the current annotations of labels; the caller refreshes the tags."""
    for chunk in chunks(photo_ids, CHUNK):
        connection.execute(
            update(verdicts)
            .where(
                verdicts.c.photo_id.in_(chunk),
                verdicts.c.label_id.in_(label_ids),
                verdicts.c.ended_by.is_(None),
            )
            .values(ended_by=operation_id)
        )


def refresh_tags(connection: Connection, photo_ids: Iterable[int]) -> None:
    """Derive photos' tags, and their columns that depend on them, from the current rows."""
    for chunk in chunks(photo_ids, CHUNK):
        _refresh_chunk(connection, chunk)


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


def _refresh_chunk(connection: Connection, photo_ids: list[int]) -> None:
    predicted = {
        row.photo_id: row
        for row in connection.execute(
            select(predictions).where(
                predictions.c.photo_id.in_(photo_ids), predictions.c.ended_by.is_(None)
            )
        )
    }
    annotations: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(
        select(verdicts).where(verdicts.c.photo_id.in_(photo_ids), verdicts.c.ended_by.is_(None))
    ):
        annotations[row.photo_id].append(row)
    ids = label_ids(connection, (tag[0] for row in predicted.values() for tag in row.tags))
    rows = {
        photo_id: _derive_tags(predicted.get(photo_id), annotations[photo_id], ids)
        for photo_id in photo_ids
    }
    connection.execute(delete(tags).where(tags.c.photo_id.in_(photo_ids)))
    if new := [{"photo_id": photo_id, **tag} for photo_id, row in rows.items() for tag in row]:
        connection.execute(insert(tags), new)
    connection.execute(
        update(photos).where(photos.c.id == bindparam("photo")),
        [
            {"photo": photo_id}
            | _derive_columns(predicted.get(photo_id), annotations[photo_id], rows[photo_id])
            for photo_id in photo_ids
        ],
    )


def _derive_tags(
    prediction: Row[Any] | None, annotations: Sequence[Row[Any]], ids: dict[str, int]
) -> list[Columns]:
    """The model's tags, less those annotated as absent, and those annotated as present."""
    by_label: dict[int, Columns] = {}
    if prediction is not None:
        origin = {
            "model_id": prediction.model_id,
            "run_id": prediction.run_id,
            "made_at": prediction.made_at,
        }
        for name, score, threshold in prediction.tags:
            tag = {"score": score, "threshold": threshold, "by_person": False}
            by_label[ids[name]] = tag | origin
    no_model = {"score": None, "threshold": None, "model_id": None}
    for annotation in annotations:
        tag = by_label.pop(annotation.label_id, no_model)
        if annotation.present:
            by_label[annotation.label_id] = tag | {
                "by_person": True,
                "run_id": annotation.run_id,
                "made_at": annotation.made_at,
            }
    return [{"label_id": label_id, **tag} for label_id, tag in by_label.items()]


def _derive_columns(
    prediction: Row[Any] | None, annotations: Sequence[Row[Any]], rows: Sequence[Columns]
) -> Columns:
    """The derived columns of `photos`."""
    reviewed = bool(annotations)
    scores = [1.0 if tag["by_person"] or tag["score"] is None else tag["score"] for tag in rows]
    return {
        "unknown": prediction is not None and prediction.label is None and not reviewed,
        "reviewed": reviewed,
        "confidence": None if prediction is None else prediction.confidence,
        "doubt": doubt(prediction),
        "model_id": None if prediction is None else prediction.model_id,
        "tag_count": len(rows),
        "highest": max(scores, default=None),
        "lowest": min(scores, default=None),
    }
