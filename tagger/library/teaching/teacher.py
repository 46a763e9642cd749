"""Teaching: tags that are learnt from a few examples, and photos to ask a person about.

A head is learnt whenever it is needed, from what a person said by then. That takes less than a
second, so that no weights are stored; which heads tag new photos is an entry of the kind "head".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Select, select

from tagger.concurrency import chunks, one_blas_thread
from tagger.errors import DescriptionError, ModelError, OptionError
from tagger.inference.decision import Floats, unit_vectors
from tagger.library import derivation, operations, tags
from tagger.library.database.database import Database
from tagger.library.database.schema import photos
from tagger.library.database.schema import tags as tag_table
from tagger.library.descriptions import Space
from tagger.library.edits import BATCH
from tagger.library.history import entries, titles
from tagger.library.models.in_use import load_labels
from tagger.library.photos import filter_existing, load_photos
from tagger.library.records import Photo
from tagger.library.search.conditions import DELETED
from tagger.library.teaching import review
from tagger.library.teaching.doubt import measure_doubt, measure_margin
from tagger.library.teaching.examples import (
    TagAnswers,
    TaughtTag,
    find_added_tags,
    find_tagged_by_head,
    list_taught,
    load_all_answers,
    load_answers,
    load_answers_of,
    require_examples,
)
from tagger.library.teaching.heads import (
    MIN_EXAMPLES,
    Background,
    Head,
    learn,
    score,
)
from tagger.library.teaching.predictions import ActiveHead, make_prediction, register_head
from tagger.library.teaching.review import Question, ReviewCounts
from tagger.library.vectors import Ids, VectorCache, Vectors, load_some
from tagger.text import count_noun, fold

MAX_BACKGROUND = 20_000  # photos that make up the background
_FRESH = 0.1  # a background is used until the library has grown or shrunk by so much
_CACHED = 2  # backgrounds in memory


@dataclass(frozen=True)
class Suggestions:
    """Photos to ask a person about, the most urgent first, with scores in [0, 1] by id.

    `total` is how many there are; `head` is None where there are too few examples to learn one.
    """

    tag: str
    photos: tuple[Photo, ...]
    total: int
    scores: Mapping[int, float] = field(default_factory=dict)
    head: Head | None = None


class Teacher:
    """Learns tags from examples, suggests photos, and takes the answers."""

    def __init__(
        self,
        database: Database,
        home: Path,
        cache: VectorCache,
        load_space: Callable[[Connection], Space | None],
    ) -> None:
        self._database = database
        self._home = home
        self._cache = cache
        self._load_space = load_space
        self._lock = threading.Lock()
        self._backgrounds: dict[str, tuple[int, Background]] = {}  # by space; with the photo count

    def list_taught(self) -> list[TaughtTag]:
        """The tags that a person gave to photos, or that have a head; most examples first."""
        with self._database.read_transaction() as connection:
            return list_taught(connection, load_labels(connection))

    def answers(self, tag: str) -> TagAnswers:
        """What a person said of a tag. Raises OptionError for a name that no tag can have."""
        with self._database.read_transaction() as connection:
            return load_answers(connection, tag)

    def all_answers(self) -> dict[int, tuple[list[str], list[str]]]:
        """The tags that a person said each photo has, and has not, by the photo's id."""
        with self._database.read_transaction() as connection:
            return load_all_answers(connection)

    def learn(self, tag: str) -> Head:
        """The head of a tag, from all answers about it.

        Raises OptionError where there are fewer than MIN_EXAMPLES, or no space to learn it in.
        """
        with self._database.read_transaction() as connection:
            answers = load_answers(connection, tag)
            require_examples(answers, MIN_EXAMPLES)
            return self._learn(connection, answers)[0]

    def find_candidates(self, tag: str, limit: int) -> list[Photo]:
        """Photos to choose the first examples from: most like the tag's name and its examples.

        None where the name says nothing to the model and there is no example; photos that a person
        answered about are left out. Raises OptionError for a name that no tag can have.
        """
        with self._database.read_transaction() as connection:
            answers = load_answers(connection, tag)
            try:
                space = self._load_usable_space(connection)
            except OptionError:
                return []
            vectors = self._cache.load(connection, space.sha256)
            word = _describe(space, answers.tag)
            examples = vectors.take(list(_rows_by_id(vectors, answers.yes).values()))
            if word is None and not len(examples):
                return []
            parts = [examples.mean(axis=0)] if len(examples) else []
            parts += [] if word is None else [word]
            (cosines,) = vectors.cosines(unit_vectors(np.sum(parts, axis=0)[None]))
            left_out = np.array([*answers.every, *connection.scalars(DELETED)], np.int64)
            rows = np.flatnonzero(~np.isin(vectors.photo_ids, left_out))
            best = rows[np.argsort(-cosines[rows], kind="stable")][:limit]
            return list(load_photos(connection, vectors.photo_ids[best].tolist(), self._home))

    def find_more(self, tag: str, limit: int, above_threshold: bool = True) -> Suggestions:
        """Photos that look like those with a tag, best first, which nobody was asked about yet.

        They do not have the tag. Without `above_threshold`, also those that look less like it than
        the head requires. Raises OptionError as `learn` does.
        """
        with self._database.read_transaction() as connection:
            answers = load_answers(connection, tag)
            require_examples(answers, MIN_EXAMPLES)
            head, vectors = self._learn(connection, answers)
            logits = _score(vectors, head)
            tagged = connection.scalars(_has_tag(answers))
            left_out = np.array([*answers.every, *tagged], np.int64)
            is_open = ~np.isin(vectors.photo_ids, left_out)
            rows = np.flatnonzero(is_open & (logits >= 0) if above_threshold else is_open)
            rows = rows[np.argsort(-logits[rows], kind="stable")]
            return self._suggest(connection, answers.tag, head, vectors, logits, rows, limit)

    def find_offers(self, operation_id: int) -> list[tuple[str, int]]:
        """Tags that an operation gave to photos, each with how many more photos look like them.

        Left out are tags that a model in use gives, and those with too few examples.
        """
        with self._database.read_transaction() as connection:
            added = find_added_tags(connection, operation_id)
            by_models = load_labels(connection) if added else frozenset()
        offers = []
        for tag in added:
            if fold(tag) not in by_models:
                with suppress(OptionError):
                    offers.append((tag, self.find_more(tag, limit=0).total))
        return [(tag, total) for tag, total in offers if total]

    def find_doubtful(self, tag: str, limit: int) -> Suggestions:
        """Photos to which models or heads gave a tag, the most likely mistakes first.

        See `measure_doubt`; a head helps to tell from MIN_EXAMPLES photos on to which a person gave
        the tag, or confirmed it, where there is a space to learn it in. Raises OptionError for a
        name that no tag can have.
        """
        with self._database.read_transaction() as connection:
            answers = load_answers(connection, tag)
            query = (
                select(tag_table.c.photo_id, tag_table.c.score, tag_table.c.threshold)
                .join(photos, photos.c.id == tag_table.c.photo_id)
                .where(
                    tag_table.c.label_id.in_(answers.label_ids),
                    ~tag_table.c.by_person,
                    photos.c.deleted_by.is_(None),
                )
            )
            answered = set(answers.every)
            rows = [row for row in connection.execute(query) if row.photo_id not in answered]
            ids = [row.photo_id for row in rows]
            margins = np.array([measure_margin(row.score, row.threshold) for row in rows])
            head, logits = None, None
            if len(answers.yes) >= MIN_EXAMPLES and ids:
                with suppress(OptionError):  # without a space, or vectors, the scores alone count
                    head, vectors = self._learn(connection, answers)
                    by_id = _rows_by_id(vectors, ids)
                    scored = head.logits(vectors.take(list(by_id.values()))).tolist()
                    by_photo = dict(zip(by_id, scored, strict=True))
                    logits = np.array([by_photo.get(photo_id, np.nan) for photo_id in ids])
            order = np.argsort(-measure_doubt(margins, logits), kind="stable")[:limit]
            loaded = tuple(load_photos(connection, [ids[index] for index in order], self._home))
            scores = {row.photo_id: row.score for row in rows if row.score is not None}
            return Suggestions(answers.tag, loaded, len(ids), scores, head)

    def answer(self, tag: str, right: Sequence[int], wrong: Sequence[int]) -> int:
        """Annotate photos: those with the tag, and those without it; the operation.

        From MIN_EXAMPLES on, a tag that no model in use gives has a head that tags new photos,
        unless a person switched it off. Photos lose the tag that it gave them if they do not look
        like its examples of now. Raises OptionError where there is nothing to answer.
        """
        with self._database.read_transaction() as connection:
            answers = load_answers(connection, tag)
            tag = answers.tag
            present = filter_existing(connection, right)
            absent = [id for id in filter_existing(connection, wrong) if id not in set(present)]
            tagged = set(connection.scalars(_has_tag(answers)))
        if not present and not absent:
            raise OptionError("nothing to save: no such photo is in the library")
        confirmed = len(tagged.intersection(present))
        title = titles.taught(tag, len(present) - confirmed, confirmed, len(absent))
        operation_id = None
        parts = [(batch, True) for batch in chunks(present, BATCH)]
        parts += [(batch, False) for batch in chunks(absent, BATCH)]
        for batch, is_present in parts:
            with self._database.write_transaction() as connection:
                if operation_id is None:
                    total = len(present) + len(absent)
                    operation_id = operations.create(connection, "edit", title, total=total)
                added, removed = ([tag], []) if is_present else ([], [tag])
                existing = filter_existing(connection, batch)
                tags.save_annotations(connection, operation_id, existing, added, removed)
        assert operation_id is not None  # there is at least one batch
        self._follow(operation_id, tag)
        return operation_id

    def switch(self, tag: str, on: bool) -> int:
        """Switch the head of a tag on or off: its tags, and those of new photos; the operation.

        Raises OptionError if nothing changes, or to switch on a tag that has too few examples.
        """
        with self._database.write_transaction() as connection:
            answers = load_answers(connection, tag)
            if on:
                require_examples(answers, MIN_EXAMPLES)
            before = entries.load(connection, "head")
            if on == any(before.get(key) for key in answers.keys):
                raise OptionError(f"{answers.tag} is {'on' if on else 'off'} already")
            title = f"Tag new photos with {answers.tag}: {'on' if on else 'off'}"
            operation_id = operations.create(connection, "edit", title)
            with derivation.entries_changing(connection):
                for key in answers.keys:
                    entries.save(connection, operation_id, "head", key, on)
        derivation.refresh_stale_soon(self._database)
        return operation_id

    def tag_library(self, tag: str) -> int:
        """Let the head of a tag tag every photo that looks like it; the operation.

        What a person said stays. Raises OptionError as `learn` does.
        """
        with self._database.read_transaction() as connection:
            answers = load_answers(connection, tag)
            require_examples(answers, MIN_EXAMPLES)
            head, vectors = self._learn(connection, answers)
            logits = _score(vectors, head)
            is_new = (logits >= 0) & ~np.isin(vectors.photo_ids, np.array(answers.every, np.int64))
            ids = filter_existing(connection, vectors.photo_ids[is_new].tolist())
        if not ids:
            raise OptionError(f"no other photo looks like {answers.tag}")
        by_id = dict(zip(vectors.photo_ids.tolist(), logits.tolist(), strict=True))
        title = f"Tagged {count_noun(len(ids), 'photo')} as {answers.tag}, by your examples"
        operation_id = None
        for batch in chunks(ids, BATCH):
            with self._database.write_transaction() as connection:
                if operation_id is None:
                    operation_id = operations.create(connection, "edit", title, total=len(ids))
                    with derivation.entries_changing(connection):
                        entries.save(connection, operation_id, "head", answers.key, True)
                rows = [(photo_id, make_prediction(head, by_id[photo_id])) for photo_id in batch]
                model_id = register_head(connection, head, answers.key)
                tags.save_predictions(connection, operation_id, model_id, rows)
        derivation.refresh_stale_soon(self._database)
        return operation_id or 0

    def review_queue(self, limit: int, skipped: bool = False) -> list[int]:
        """The photos most worth asking about, in order; with `skipped`, those skipped too."""
        with self._database.read_transaction() as connection:
            closeness = review.measure_closeness(connection, skipped)
            try:
                space = self._load_space(connection)
            except ModelError:
                space = None
            if space is None:
                return review.order_questions({}, closeness)[:limit]
            by_id = load_some(connection, list(closeness), space.sha256)  # not all of the space
            return review.order_questions(by_id, closeness)[:limit]

    def filter_open(self, photo_ids: Sequence[int], skipped: bool = False) -> list[int]:
        """Those of the photos that are to be asked about still."""
        with self._database.read_transaction() as connection:
            return review.filter_open(connection, photo_ids, skipped)

    def count_open(self) -> ReviewCounts:
        """How many photos are left to ask about, and how many were skipped."""
        with self._database.read_transaction() as connection:
            return review.count_open(connection)

    def load_question(self, photo_id: int) -> Question | None:
        """The tags to ask about a photo; None if it is gone."""
        with self._database.read_transaction() as connection:
            return review.load_question(connection, photo_id, self._home)

    def learn_active(self) -> list[ActiveHead]:
        """The heads that tag new photos, learnt from the answers of now.

        Those without enough examples, or without a space, are left out.
        """
        with self._database.read_transaction() as connection:
            switched_on = {
                row.key: row.run_id or 0
                for row in entries.load_history(connection, "head")
                if row.ended_by is None and row.value
            }
            active = []
            for key, operation_id in switched_on.items():
                answers = load_answers_of(connection, key)
                if next(each for each in answers.keys if each in switched_on) != key:
                    continue  # merged into the tag of another head
                try:
                    require_examples(answers, MIN_EXAMPLES)
                    head, _ = self._learn(connection, answers)
                except OptionError:
                    continue
                active.append(ActiveHead(head, key, operation_id))
            return active

    def follow(self, operation_id: int) -> int:
        """Let the heads of the tags that an operation gave to photos follow it, as part of it.

        See `answer`. The operation.
        """
        with self._database.read_transaction() as connection:
            added = find_added_tags(connection, operation_id)
        for tag in added:
            self._follow(operation_id, tag)
        return operation_id

    def _follow(self, operation_id: int, tag: str) -> None:
        """Switch a head on from its first examples, and let it judge anew what it tagged.

        It starts again if the answers change meanwhile: nothing else follows an undo.
        """
        is_done = False
        while not is_done:
            with self._database.read_transaction() as connection:
                answers = load_answers(connection, tag)
                switches = entries.load(connection, "head")
                values = [switches[key] for key in answers.keys if key in switches]
                if len(answers.yes) < MIN_EXAMPLES or (values and not any(values)):
                    return
                if not values and fold(answers.tag) in load_labels(connection):
                    return
                if operations.get(connection, operation_id).undone_by is not None:
                    return
            is_done = bool(values) or self._switch_on(operation_id, answers)
            is_done = is_done and self._withdraw_unlike(operation_id, answers)

    def _switch_on(self, operation_id: int, answers: TagAnswers) -> bool:
        """Switch a head on; False if the answers have changed."""
        with self._database.write_transaction() as connection:
            if load_answers(connection, answers.tag) != answers:
                return False
            with derivation.entries_changing(connection):
                entries.save(connection, operation_id, "head", answers.key, True)
        return True

    def _withdraw_unlike(self, operation_id: int, answers: TagAnswers) -> bool:
        """Withdraw the tags that a head gave to photos that do not look like it any more.

        False, with some of them left, if the answers have changed.
        """
        with self._database.read_transaction() as connection:
            tagged = find_tagged_by_head(connection, answers.keys)
            if not tagged:
                return True
            try:
                head, vectors = self._learn(connection, answers)
            except OptionError:  # the model that understands words is gone
                return True
        for model_id, photo_ids in tagged.items():
            by_id = _rows_by_id(vectors, photo_ids)
            logits = head.logits(vectors.take(list(by_id.values()))).tolist()
            unlike = [id for id, logit in zip(by_id, logits, strict=True) if logit < 0]
            for batch in chunks(unlike, BATCH):
                with self._database.write_transaction() as connection:
                    if load_answers(connection, answers.tag) != answers:
                        return False
                    tags.end_predictions(connection, operation_id, model_id, batch)
        return True

    def _learn(self, connection: Connection, answers: TagAnswers) -> tuple[Head, Vectors]:
        """The head from the photos with a yes and a no, and all vectors.

        Raises OptionError where there is no space, or too few of the examples have a vector.
        """
        space = self._load_usable_space(connection)
        vectors = self._cache.load(connection, space.sha256)
        yes, no = (
            vectors.take(list(_rows_by_id(vectors, ids).values()))
            for ids in (answers.yes, answers.no)
        )
        if len(yes) < 2:
            raise OptionError(
                f"{answers.tag}: its photos are still being prepared; try again in a minute"
            )
        with one_blas_thread():
            background = self._load_background(space, vectors)
            word = _describe(space, answers.tag)
            return learn(answers.tag, space.sha256, background, yes, no, word), vectors

    def _load_usable_space(self, connection: Connection) -> Space:
        try:
            space = self._load_space(connection)
        except ModelError as error:
            raise OptionError(f"a model cannot be used to compare photos: {error}") from error
        if space is None:
            raise OptionError("no model here can compare photos: use one that understands words")
        return space

    def _load_background(self, space: Space, vectors: Vectors) -> Background:
        """The background: photos of the library, and the ordinary ones that the model has."""
        count = len(vectors.photo_ids)
        with self._lock:
            earlier, background = self._backgrounds.get(space.sha256, (0, None))
            if background is None or abs(count - earlier) > _FRESH * earlier:
                rows = np.linspace(0, count - 1, min(count, MAX_BACKGROUND)).astype(int)
                ordinary = space.words.background.astype(np.float32)
                sample = np.concatenate([ordinary, vectors.take(np.unique(rows).tolist())])
                background = Background.of(sample)
                while len(self._backgrounds) >= _CACHED:
                    del self._backgrounds[next(iter(self._backgrounds))]
                self._backgrounds[space.sha256] = count, background
            return background

    def _suggest(
        self,
        connection: Connection,
        tag: str,
        head: Head,
        vectors: Vectors,
        logits: Floats,
        rows: Ids,
        limit: int,
    ) -> Suggestions:
        """The photos in these rows that are not deleted, at most `limit`."""
        deleted = np.array(connection.scalars(DELETED).all(), np.int64)
        rows = rows[~np.isin(vectors.photo_ids[rows], deleted)]
        best = rows[:limit]
        ids: list[int] = vectors.photo_ids[best].tolist()
        scores = dict(zip(ids, map(score, logits[best].tolist()), strict=True))
        loaded = tuple(load_photos(connection, ids, self._home))
        return Suggestions(tag, loaded, len(rows), scores, head)


def _score(vectors: Vectors, head: Head) -> Floats:
    """The logits `(N,)` of all photos."""
    (products,) = vectors.cosines(head.weights[None])
    return np.asarray(products + np.float32(head.bias), np.float32)


def _has_tag(answers: TagAnswers) -> Select[tuple[int]]:
    """The query for the photos that have a tag."""
    return select(tag_table.c.photo_id).where(tag_table.c.label_id.in_(answers.label_ids))


def _rows_by_id(vectors: Vectors, ids: Iterable[int]) -> dict[int, int]:
    """The rows of photos that have a vector, by id."""
    unique = np.array(list(dict.fromkeys(ids)), np.int64)
    rows = np.flatnonzero(np.isin(vectors.photo_ids, unique))
    return dict(zip(vectors.photo_ids[rows].tolist(), rows.tolist(), strict=True))


def _describe(space: Space, tag: str) -> Floats | None:
    """The vector of a tag's name; None where the model knows none of its words."""
    try:
        return space.words.describe(tag).vector
    except DescriptionError:
        return None
