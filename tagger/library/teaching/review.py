"""Review: the photos that are most worth asking a person about, and which tags.

Worth asking is a tag that a model gave or nearly gave: nothing below LEAST_SCORE. First come photos
with a tag near its threshold, and among these each next one is as unlike as possible those before
it (farthest first), so that a few answers say much. Photos unlike all that a model was trained on
come last, as it is not in doubt about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from tagger.concurrency import chunks
from tagger.errors import ModelError
from tagger.inference import model_file, registry
from tagger.library import derivation
from tagger.library.database.schema import CHUNK, labels, models, photos, predictions, verdicts
from tagger.library.database.schema import tags as tag_table
from tagger.library.labels.names import label_ids, load_rules
from tagger.library.photos import load_photos
from tagger.library.records import Photo
from tagger.library.teaching.doubt import log_odds

LEAST_SCORE = 0.15  # of a tag that is asked about
POOL = 1_500  # photos nearest to a threshold, of those with tags and of those without
_UNFAMILIAR = 100.0  # log-odds, added for photos that come after all others
TIER = 48  # photos that are put in order together: those nearest to a threshold, the next, …


@dataclass(frozen=True)
class ReviewCounts:
    """Photos that are worth asking about: how many are left, and how many were skipped."""

    left: int
    skipped: int


@dataclass(frozen=True)
class Question:
    """The tags to ask about a photo, each with its score in [0, 1]; None: a person's alone."""

    photo: Photo
    scores: Mapping[str, float | None]


def count_open(connection: Connection) -> ReviewCounts:
    """How many photos are left to ask about."""
    is_open = _is_open()
    query = select(func.count()).select_from(photos).where(is_open)
    total = connection.execute(query).scalar_one()
    skipped = connection.execute(query.where(_is_skipped())).scalar_one()
    return ReviewCounts(total - skipped, skipped)


def filter_open(connection: Connection, photo_ids: Sequence[int], skipped: bool) -> list[int]:
    """Those of the photos that are to be asked about still, `skipped` ones included or not."""
    ids: set[int] = set()
    for chunk in chunks(photo_ids, CHUNK):
        query = select(photos.c.id).where(_is_open(), photos.c.id.in_(chunk))
        ids.update(connection.scalars(query if skipped else query.where(~_is_skipped())))
    return [photo_id for photo_id in photo_ids if photo_id in ids]


def order_questions(
    vectors: Mapping[int, NDArray[np.float32]],
    closeness: Mapping[int, float],
) -> list[int]:
    """Photos in the order in which to ask, by their `closeness` to a threshold, the least first.

    `vectors` by id are unit vectors; photos without one come last in their tier.
    """
    ranked = sorted(closeness, key=lambda photo_id: (closeness[photo_id], -photo_id))
    ordered: list[int] = []
    for tier in chunks(ranked, TIER):
        ordered += _farthest_first(tier, vectors)
    return ordered


def measure_closeness(connection: Connection, skipped: bool) -> dict[int, float]:
    """How near to its threshold a photo's nearest tag is, in log-odds, by photo; the pool's."""
    pool = _load_pool(connection, skipped)
    thresholds = _Thresholds(connection)
    closeness: dict[int, float] = {}
    for chunk in chunks(pool, CHUNK):
        predicted = derivation.load_current(connection, predictions, chunk)
        for photo_id in chunk:
            distances = [
                abs(log_odds(score) - log_odds(threshold))
                + (_UNFAMILIAR if row.reason == "unfamiliar" else 0)
                for row in derivation.sort_predictions(predicted[photo_id], thresholds.ranks)
                for score, threshold in thresholds.of(row)
            ]
            if distances:
                closeness[photo_id] = min(distances)
    return closeness


def load_question(connection: Connection, photo_id: int, home: Path) -> Question | None:
    """The tags to ask about a photo, the likeliest first; None if it is gone.

    Those of its first models come first; tags that models may not give are left out.
    """
    photo = next(load_photos(connection, [photo_id], home), None)
    if photo is None:
        return None
    ranks = derivation.rank_models(connection)
    rows = derivation.load_current(connection, predictions, [photo_id])[photo_id]
    predicted = [
        (name, score)
        for row in derivation.sort_predictions(rows, ranks)
        for name, score in row.scores
        if score >= LEAST_SCORE
    ]
    names = _name_labels(connection, [name for name, _ in predicted])
    scores: dict[str, float | None] = {}
    for name, score in predicted:
        if name in names:
            scores.setdefault(names[name], score)
    for tag in photo.tags:
        if tag.score is None or tag.score >= LEAST_SCORE:
            scores.setdefault(tag.label, tag.score)
    return Question(photo, scores)


def _is_open() -> ColumnElement[bool]:
    """Photos that are worth asking about, and were not answered."""
    is_likely = or_(photos.c.highest >= LEAST_SCORE, photos.c.confidence >= LEAST_SCORE)
    return photos.c.deleted_by.is_(None) & ~photos.c.reviewed & is_likely


def _is_skipped() -> ColumnElement[bool]:
    skipped = select(verdicts.c.photo_id).where(
        verdicts.c.present.is_(None), verdicts.c.ended_by.is_(None)
    )
    return photos.c.id.in_(skipped)


def _load_pool(connection: Connection, skipped: bool) -> list[int]:
    """The photos with tags nearest to their thresholds, and the likeliest of those without tags."""
    is_open = _is_open() if skipped else _is_open() & ~_is_skipped()
    # All tags are read, and of photos one index: those that are not open are few, or tags are.
    is_closed = or_(photos.c.deleted_by.is_not(None), photos.c.reviewed)
    closed = select(photos.c.id).where(is_closed if skipped else is_closed | _is_skipped())
    nearest = (
        select(tag_table.c.photo_id)
        .where(tag_table.c.score >= LEAST_SCORE, tag_table.c.photo_id.not_in(closed))
        .order_by(func.abs(tag_table.c.score - func.coalesce(tag_table.c.threshold, 0)))
        .limit(POOL)
    )
    likeliest = (
        select(photos.c.id)
        .where(is_open, photos.c.unknown)
        .order_by(photos.c.confidence.desc(), photos.c.id.desc())
        .limit(POOL)
    )
    ids = [*connection.scalars(nearest), *connection.scalars(likeliest)]
    return list(dict.fromkeys(ids))


class _Thresholds:
    """The thresholds of models' labels: with the tags that they gave, and else in their files."""

    def __init__(self, connection: Connection) -> None:
        self.ranks = derivation.rank_models(connection)
        rows = connection.execute(select(models.c.id, models.c.name, models.c.kind))
        self._names = {row.id: row.name for row in rows if row.kind == derivation.MODEL}

    def of(self, row: Row[Any]) -> Iterable[tuple[float, float]]:
        """Score and threshold of each label of a prediction that is worth asking about."""
        decided = {name: (score, threshold) for name, score, threshold in row.tags}
        yield from (pair for pair in decided.values() if pair[0] >= LEAST_SCORE)
        is_complete = len(decided) >= len(row.scores)
        in_file = {} if is_complete else _load_thresholds(self._names.get(row.model_id, ""))
        for name, score in row.scores:
            if name not in decided and score >= LEAST_SCORE:
                yield score, in_file.get(name, 0.5)


def _load_thresholds(name: str) -> Mapping[str, float]:
    """A model's thresholds by label; none of a model that cannot be loaded."""
    try:
        path = registry.find_model(name)
        stat = path.stat()
        return _read_thresholds(path, stat.st_mtime_ns, stat.st_size)
    except (ModelError, OSError):
        return {}


@lru_cache(maxsize=8)
def _read_thresholds(path: Path, modified: int, size: int) -> Mapping[str, float]:
    model = model_file.load(path)
    return dict(zip(model.labels.names, model.rule.thresholds, strict=True))


def _name_labels(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """The labels that names of models' tags are shown as; none that is hidden or never given."""
    rules = load_rules(connection)
    ids = label_ids(connection, names, add=False)
    resolved = {
        name: rules.resolve(label_id)
        for name, label_id in ids.items()
        if not rules.is_never(label_id) and rules.resolve(label_id) not in rules.hidden
    }
    rows = connection.execute(
        select(labels.c.id, labels.c.name).where(labels.c.id.in_(set(resolved.values())))
    )
    written = {row.id: row.name for row in rows}
    displayed = {name: written[label_id] for name, label_id in resolved.items()}
    return {
        name: displayed.get(name, name) for name in names if name in displayed or name not in ids
    }


def _farthest_first(
    photo_ids: Sequence[int], vectors: Mapping[int, NDArray[np.float32]]
) -> list[int]:
    """The photos in order: the first one, then always the one least like those before it."""
    with_vector = [photo_id for photo_id in photo_ids if photo_id in vectors]
    without = [photo_id for photo_id in photo_ids if photo_id not in vectors]
    if not with_vector:
        return without
    matrix = np.stack([vectors[photo_id] for photo_id in with_vector])
    cosines = matrix @ matrix.T
    chosen = [0]
    nearest = cosines[0].copy()  # the highest cosine with those chosen
    for _ in range(1, len(with_vector)):
        nearest[chosen[-1]] = np.inf
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, cosines[chosen[-1]])
        nearest[chosen] = np.inf
    return [with_vector[row] for row in chosen] + without
