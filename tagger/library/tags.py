"""What models and people said of photos, and the tags that amounts to.

Both only ever add rows and end rows (see `tagger.schema`). Whoever changes either layer calls
`refresh` in the same transaction.
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
from tagger.library.search.grammar import fold
from tagger.tagger import Prediction, Tagger

CHUNK = 500  # photos a statement: databases limit its parameters
MAX_LABEL = 100  # characters
KEPT_SCORES = 5  # of a prediction

Stored = dict[str, Any]


def label_ids(connection: Connection, names: Iterable[str], add: bool = True) -> dict[str, int]:
    """The id of each label by name; those that are new are added, or else left out.

    There is one label however it is spelled: "Cat" is "cat" where that was first.
    """
    folded = {name: fold(name) for name in names}
    found: dict[str, int] = {}
    for some in chunks(sorted(set(folded.values())), CHUNK):
        query = select(labels.c.folded, labels.c.id).where(labels.c.folded.in_(some))
        found.update((row.folded, row.id) for row in connection.execute(query))
    for name, key in folded.items():
        if key not in found and add:
            new = insert(labels).values(name=name, folded=key).returning(labels.c.id)
            found[key] = connection.execute(new).scalar_one()
    return {name: found[key] for name, key in folded.items() if key in found}


def validate_label(text: str) -> str:
    """A label as a person typed it, trimmed. Raises OptionError for one that cannot be."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_LABEL or not name.isprintable():
        raise OptionError(
            f"a tag is 1 to {MAX_LABEL} characters that can be seen; got {text[:MAX_LABEL]!r}"
        )
    return name


def prediction_row(said: Prediction, tagger: Tagger) -> Stored:
    """A prediction as the catalogue stores it."""
    return {
        "label": said.label,
        "confidence": said.confidence,
        "reason": said.reason,
        "ood_score": said.ood_score,
        "tags": [[tag.label, tag.score, tagger.threshold(tag.label)] for tag in said.tags],
        "scores": [[score.label, score.score] for score in said.scores[:KEPT_SCORES]],
    }


def save_predictions(
    connection: Connection, run_id: int, model_id: int, answers: Sequence[tuple[int, Stored]]
) -> None:
    """Let a model's answers, by photo id, take the place of what models said before."""
    if not answers:
        return
    now = datetime.now(UTC)
    _end(connection, run_id, [photo_id for photo_id, _ in answers])
    origin = {"model_id": model_id, "run_id": run_id, "made_at": now}
    connection.execute(
        insert(predictions), [{"photo_id": photo, **said, **origin} for photo, said in answers]
    )
    refresh_tags(connection, [photo_id for photo_id, _ in answers])


def save_annotations(
    connection: Connection,
    run_id: int,
    photo_ids: Sequence[int],
    present: Sequence[str],
    absent: Sequence[str],
) -> None:
    """Let a person's word on labels take the place of what people said of them before."""
    ids = label_ids(connection, [*present, *absent])
    said = {ids[name]: False for name in absent} | {ids[name]: True for name in present}
    end_annotations(connection, run_id, photo_ids, list(said))
    origin = {"run_id": run_id, "made_at": datetime.now(UTC)}
    for some in chunks(photo_ids, CHUNK):
        connection.execute(
            insert(verdicts),
            [
                {"photo_id": photo, "label_id": label, "present": belongs, **origin}
                for photo in some
                for label, belongs in said.items()
            ],
        )
    refresh_tags(connection, photo_ids)


def end_annotations(
    connection: Connection, run_id: int, photo_ids: Sequence[int], label_ids: Sequence[int]
) -> None:
    """Take back what people said of labels; the caller refreshes."""
    for some in chunks(photo_ids, CHUNK):
        connection.execute(
            update(verdicts)
            .where(
                verdicts.c.photo_id.in_(some),
                verdicts.c.label_id.in_(label_ids),
                verdicts.c.ended_by.is_(None),
            )
            .values(ended_by=run_id)
        )


def refresh_tags(connection: Connection, photo_ids: Iterable[int]) -> None:
    """Bring the tags of photos, and what is derived from them, up to date."""
    for some in chunks(photo_ids, CHUNK):
        _refresh(connection, some)


def doubt(said: Row[Any] | None) -> float | None:
    """How soon a person should look at an answer, in [0, 2], higher is sooner.

    First those between labels, the least confident first; then the known, likewise; those unlike
    every training photo last, since there the model is not in doubt.
    """
    if said is None:
        return None
    if said.reason == "unfamiliar":
        return 0.0 if said.ood_score is None else 1 - float(said.ood_score)
    return 1 - float(said.confidence) + (1 if said.label is None else 0)


def _end(connection: Connection, run_id: int, photo_ids: Sequence[int]) -> None:
    for some in chunks(photo_ids, CHUNK):
        connection.execute(
            update(predictions)
            .where(predictions.c.photo_id.in_(some), predictions.c.ended_by.is_(None))
            .values(ended_by=run_id)
        )


def _refresh(connection: Connection, photo_ids: list[int]) -> None:
    said = {
        row.photo_id: row
        for row in connection.execute(
            select(predictions).where(
                predictions.c.photo_id.in_(photo_ids), predictions.c.ended_by.is_(None)
            )
        )
    }
    judged: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(
        select(verdicts).where(verdicts.c.photo_id.in_(photo_ids), verdicts.c.ended_by.is_(None))
    ):
        judged[row.photo_id].append(row)
    ids = label_ids(connection, (tag[0] for row in said.values() for tag in row.tags))
    rows = {photo: _tags(said.get(photo), judged[photo], ids) for photo in photo_ids}
    connection.execute(delete(tags).where(tags.c.photo_id.in_(photo_ids)))
    if new := [{"photo_id": photo, **tag} for photo, found in rows.items() for tag in found]:
        connection.execute(insert(tags), new)
    connection.execute(
        update(photos).where(photos.c.id == bindparam("photo")),
        [_derived(photo, said.get(photo), judged[photo], rows[photo]) for photo in photo_ids],
    )


def _tags(said: Row[Any] | None, judged: Sequence[Row[Any]], ids: dict[str, int]) -> list[Stored]:
    """The model's tags, less those a person took away, and those a person gave."""
    found: dict[int, Stored] = {}
    if said is not None:
        origin = {"model_id": said.model_id, "run_id": said.run_id, "made_at": said.made_at}
        for name, score, threshold in said.tags:
            found[ids[name]] = {"score": score, "threshold": threshold, "by_person": False} | origin
    nothing = {"score": None, "threshold": None, "model_id": None}
    for verdict in judged:
        decided = found.pop(verdict.label_id, nothing)
        if verdict.present:
            origin = {"by_person": True, "run_id": verdict.run_id, "made_at": verdict.made_at}
            found[verdict.label_id] = decided | origin
    return [{"label_id": label, **tag} for label, tag in found.items()]


def _derived(
    photo_id: int, said: Row[Any] | None, judged: Sequence[Row[Any]], tagged: Sequence[Stored]
) -> Stored:
    reviewed = bool(judged)
    scores = [1.0 if t["by_person"] or t["score"] is None else t["score"] for t in tagged]
    return {
        "photo": photo_id,
        "unknown": said is not None and said.label is None and not reviewed,
        "reviewed": reviewed,
        "confidence": None if said is None else said.confidence,
        "doubt": doubt(said),
        "model_id": None if said is None else said.model_id,
        "tag_count": len(tagged),
        "highest": max(scores, default=None),
        "lowest": min(scores, default=None),
    }
