"""Photos that a model, or its newest version, has not tagged, and what it would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from tagger.concurrency import chunks, ordered_map
from tagger.errors import ImageError
from tagger.images import decode, transforms
from tagger.library.database.database import Database
from tagger.library.database.schema import (
    CHUNK,
    files,
    labels,
    models,
    photos,
    predictions,
    runs,
    verdicts,
)
from tagger.library.derivation import (
    MODEL,
    ModelOrder,
    Ranks,
    derive_tags,
    load_current,
    rank_models,
    sort_predictions,
)
from tagger.library.labels.names import LabelRules, label_ids, load_rules
from tagger.library.photos import filter_existing, load_photos
from tagger.library.records import Photo
from tagger.library.storage import read_original
from tagger.library.tags import prediction_row
from tagger.tagger import Tagger
from tagger.text import fold

PREVIEWED = 400  # photos that a preview looks at: about two seconds

ModelTags = Sequence[Sequence[Any]]  # label, score and threshold of each tag that a model gives


@dataclass(frozen=True)
class TagChange:
    """The tags that a photo would get and lose."""

    photo: Photo
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class RetagPreview:
    """What tagging photos again would change, judging by a `sample` of `total` photos.

    `changes` are of the photos of the sample that would change; `unreadable` ones never would.
    """

    sample: int
    changes: tuple[TagChange, ...]
    unreadable: int
    total: int

    @property
    def is_exact(self) -> bool:
        """Whether all photos were looked at."""
        return self.sample == self.total

    def added(self) -> list[tuple[str, int]]:
        """The tags that photos would get, each with how many of all photos, most frequent first.

        Unless the preview is exact, these are estimates by the share of the sample.
        """
        return self._estimate(tag for change in self.changes for tag in change.added)

    def removed(self) -> list[tuple[str, int]]:
        """The tags that photos would lose, likewise."""
        return self._estimate(tag for change in self.changes for tag in change.removed)

    def _estimate(self, tags: Iterable[str]) -> list[tuple[str, int]]:
        scale = self.total / max(1, self.sample)
        return [(tag, round(count * scale)) for tag, count in Counter(tags).most_common()]


class Retagging:
    """Photos of a library that models have yet to tag, or only an earlier version of one tagged.

    Left out are photos that could not be read when a model was to tag them again.
    """

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home

    def count_outdated(self, tagger: Tagger) -> int:
        """The number of photos that another model of the same name tagged."""
        with self._database.read_transaction() as connection:
            query = select(func.count()).where(_is_outdated(connection, tagger))
            return int(connection.execute(query).scalar_one())

    def find_outdated(self, tagger: Tagger) -> list[int]:
        """The ids of these photos, ascending."""
        with self._database.read_transaction() as connection:
            is_outdated = _is_outdated(connection, tagger)
            query = select(photos.c.id).where(is_outdated).order_by(photos.c.id)
            return list(connection.scalars(query))

    def find_untagged(self, tagger: Tagger) -> list[int]:
        """The ids of photos that this version of a model has not tagged, ascending."""
        with self._database.read_transaction() as connection:
            is_untagged = _is_untagged(connection, tagger)
            query = select(photos.c.id).where(is_untagged).order_by(photos.c.id)
            return list(connection.scalars(query))

    def count_untagged(self, tagger: Tagger) -> int:
        """The number of these photos."""
        with self._database.read_transaction() as connection:
            query = select(func.count()).where(_is_untagged(connection, tagger))
            return int(connection.execute(query).scalar_one())

    def preview(
        self,
        taggers: Sequence[Tagger],
        ids: Sequence[int],
        count: int = PREVIEWED,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> RetagPreview:
        """What tagging photos again would change, judging by at most `count` of them; tags none.

        `report` is called after each photo, with how many are done, and of how many.
        """
        with self._database.read_transaction() as connection:
            existing = filter_existing(connection, ids)
            sample = list(load_photos(connection, choose_sample(existing, count), self._home))
        readable = {}
        for done, tags in enumerate(ordered_map(partial(_predict, taggers), sample), 1):
            if tags is not None:
                readable[sample[done - 1].id] = tags
            report(done, len(sample))
        with self._database.read_transaction() as connection:
            changes = find_changes(connection, readable)
        every = [TagChange(photo, *changes[photo.id]) for photo in sample if photo.id in changes]
        return RetagPreview(
            sample=len(sample),
            changes=tuple(change for change in every if change.added or change.removed),
            unreadable=len(sample) - len(readable),
            total=len(existing),
        )


def choose_sample(photo_ids: Sequence[int], count: int) -> list[int]:
    """At most `count` photos, spread evenly."""
    if len(photo_ids) <= count:
        return list(photo_ids)
    return [photo_ids[number * len(photo_ids) // count] for number in range(count)]


def find_changes(
    connection: Connection, predicted: Mapping[int, Mapping[str, ModelTags]]
) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The tags that photos would get and lose, if models gave them tags: by photo and model name.

    A model's tags replace those of its earlier versions; a person's answers count as before.
    """
    changes = {}
    forecast = _Forecast(connection)
    for chunk in chunks(predicted, CHUNK):
        current = load_current(connection, predictions, chunk)
        answers = load_current(connection, verdicts, chunk)
        new = {photo_id: predicted[photo_id] for photo_id in chunk}
        names = _LabelNames(connection, current, new)
        for photo_id, by_model in new.items():
            annotations = [row for row in answers[photo_id] if row.present is not None]
            before, after = (
                forecast.derive(rows, ranks, annotations, names.ids)
                for rows, ranks in (
                    (current[photo_id], forecast.ranks),
                    forecast.replace(current[photo_id], by_model),
                )
            )
            changes[photo_id] = names.of(after - before), names.of(before - after)
    return changes


@dataclass(frozen=True)
class _Unsaved:
    """A prediction that is not saved, as `derive_tags` takes it."""

    model_id: int
    tags: ModelTags
    id: int = 2**62  # the latest
    run_id: int = 0
    made_at: datetime = datetime.min


class _Forecast:
    """Tags as they would follow from predictions that are not saved."""

    def __init__(self, connection: Connection) -> None:
        self.ranks: Ranks = rank_models(connection)
        self.rules: LabelRules = load_rules(connection)
        # Models that tag are not off any more.
        self._order = replace(ModelOrder.load(connection), off=frozenset())
        query = select(models.c.id, models.c.name).where(models.c.kind == MODEL)
        self._names = {row.id: row.name for row in connection.execute(query)}

    def replace(
        self, rows: Sequence[Row[Any]], by_model: Mapping[str, ModelTags]
    ) -> tuple[list[Any], Ranks]:
        """The predictions of a photo with new ones by models' names, and the models' ranks."""
        kept: list[Any] = [row for row in rows if self._names.get(row.model_id) not in by_model]
        ranks = dict(self.ranks)
        for number, (name, model_tags) in enumerate(by_model.items(), 1):
            kept.append(_Unsaved(-number, model_tags))
            ranks[-number] = self._order.rank(name) or 0
        return kept, ranks

    def derive(
        self,
        rows: Sequence[Any],
        ranks: Ranks,
        annotations: Sequence[Row[Any]],
        ids: Mapping[str, int],
    ) -> set[int]:
        """The labels of a photo's tags that are listed."""
        ranked = sort_predictions(rows, ranks)
        derived = derive_tags(ranked, annotations, ids, self.rules)
        return {tag["label_id"] for tag in derived} - self.rules.hidden


class _LabelNames:
    """Ids of labels by name, and names by id, also of labels that the database lacks."""

    def __init__(
        self,
        connection: Connection,
        current: Mapping[int, Sequence[Row[Any]]],
        predicted: Mapping[int, Mapping[str, ModelTags]],
    ) -> None:
        names = {tag[0] for rows in current.values() for row in rows for tag in row.tags}
        new = (tags for by_model in predicted.values() for tags in by_model.values())
        names |= {tag[0] for tags in new for tag in tags}
        ids = label_ids(connection, names, add=False)
        missing = sorted(names - ids.keys())
        numbers = {fold(name): -number for number, name in enumerate(missing, 1)}
        self.ids = ids | {name: numbers[fold(name)] for name in missing}
        rows = connection.execute(select(labels.c.id, labels.c.name))
        self._names = {label_id: name for name, label_id in self.ids.items()}
        self._names |= {row.id: row.name for row in rows}

    def of(self, ids: Iterable[int]) -> tuple[str, ...]:
        """The names of labels, in order."""
        return tuple(sorted(self._names[label_id] for label_id in ids))


def _predict(taggers: Sequence[Tagger], photo: Photo) -> dict[str, ModelTags] | None:
    """The tags that models give a photo, by name; None if it cannot be read."""
    try:
        side = max(tagger.image_size for tagger in taggers)
        rgb = decode.read(read_original(photo), shorter_side=side)
    except (ImageError, OSError):
        return None
    tagged = {}
    for tagger in taggers:
        prediction = tagger.tag(transforms.fit_squares(rgb, tagger.image_size))
        tagged[tagger.name] = prediction_row(prediction, tagger)["tags"]
    return tagged


def _is_untagged(connection: Connection, tagger: Tagger) -> ColumnElement[bool]:
    version = connection.scalar(select(models.c.id).where(models.c.sha256 == tagger.sha256))
    is_present = photos.c.deleted_by.is_(None)
    if version is None:
        return is_present
    is_current = predictions.c.model_id == version, predictions.c.ended_by.is_(None)
    tagged = select(predictions.c.photo_id).where(*is_current)
    is_untagged = is_present & photos.c.id.not_in(tagged)
    jobs = _find_retagging(connection, tagger)
    return is_untagged & photos.c.id.not_in(_failed_in(jobs)) if jobs else is_untagged


def _is_outdated(connection: Connection, tagger: Tagger) -> ColumnElement[bool]:
    versions = select(models.c.id).where(
        models.c.name == tagger.name, models.c.kind == MODEL, models.c.sha256 != tagger.sha256
    )
    ids = connection.scalars(versions).all()  # a short list is faster than a subquery
    is_current = predictions.c.model_id.in_(ids), predictions.c.ended_by.is_(None)
    tagged = select(predictions.c.photo_id).where(*is_current)
    is_outdated = photos.c.deleted_by.is_(None) & photos.c.id.in_(tagged)
    jobs = _find_retagging(connection, tagger) if ids else []
    return is_outdated & photos.c.id.not_in(_failed_in(jobs)) if jobs else is_outdated


def _failed_in(jobs: Sequence[int]) -> Select[tuple[int | None]]:
    """The photos that could not be read in these jobs."""
    failed = files.c.run_id.in_(jobs), files.c.outcome == "failed", files.c.photo_id.is_not(None)
    return select(files.c.photo_id).where(*failed)


def _find_retagging(connection: Connection, tagger: Tagger) -> list[int]:
    """The jobs that tagged photos again with this model."""
    since = connection.scalar(
        select(models.c.first_used_at).where(models.c.sha256 == tagger.sha256)
    )
    if since is None:
        return []
    query = select(runs.c.id, runs.c.options).where(
        runs.c.kind == "retag", runs.c.finished_at >= since
    )
    return [
        row.id
        for row in connection.execute(query)
        if tagger.name in {Path(name).stem for name in _models_of(row.options)}
    ]


def _models_of(options: Mapping[str, Any]) -> Sequence[str]:
    """The models of a job that tags."""
    return options.get("models") or [options["model"]]
