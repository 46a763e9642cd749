"""Descriptions in queries: `like:"two dogs in the snow"` becomes a list of photos.

Descriptions and photos are compared in one space, that of a model that understands words: the
active model if it does, else the one that comes with the project. A query without descriptions
whose words are on no photo as tags is itself taken as a description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, func, select

from tagger.errors import DescriptionError, ModelError
from tagger.images.decode import Source
from tagger.inference import model_file
from tagger.inference.decision import Floats
from tagger.inference.embeddings import Embedding
from tagger.inference.registry import BUNDLED_MODEL
from tagger.inference.vocabulary import Vocabulary
from tagger.inference.words import Description, Words
from tagger.library.database.schema import photos
from tagger.library.records import DescriptionSummary
from tagger.library.search import planner
from tagger.library.search.grammar import And, Label, Like, Listed, Not, Or, Query, parse
from tagger.library.search.lexer import Lexer
from tagger.library.vectors import Ids, VectorCache
from tagger.tagger import Tagger

MAX_LIKE = 500  # photos that a description keeps, the best ones
_MARKS = re.compile("[()<>=:≤≥]")  # characters with a meaning in queries


@dataclass(frozen=True, eq=False)
class Space:
    """The space of a model that understands words: `Tagger.space`, and the model's file."""

    sha256: str
    model: Path
    words: Words


@dataclass(frozen=True)
class ResolvedQuery:
    """A query without its descriptions, which became lists of photos.

    `likeness` has the photos kept by descriptions that are not negated, with the sum of how alike
    each is to them, best first.
    """

    tree: Query
    summary: DescriptionSummary | None = None
    likeness: Mapping[int, float] = field(default_factory=dict)


def find_space(active: Path) -> Space | None:
    """The space in use; None if neither the active model nor the bundled one understands words."""
    for path in (active, BUNDLED_MODEL):
        try:
            stat = path.stat()
        except OSError:
            continue
        if (space := _load_space(path.absolute(), stat.st_mtime_ns, stat.st_size)) is not None:
            return space
    return None


def bundled_space() -> Space | None:
    """The space of the bundled model, if it understands words."""
    return find_space(BUNDLED_MODEL)


@lru_cache(maxsize=4)
def _load_space(path: Path, modified: int, size: int) -> Space | None:
    """None for a model without words, and for a broken file."""
    try:
        model = model_file.load(path)
    except ModelError:
        return None
    if model.words is None or model.space is None:
        return None
    return Space(model.space, path, model.words)


def embed(space: Space, photo: Source) -> Embedding:
    """A photo's vector in a space. Raises ImageError, and ModelError if the model is gone."""
    return _load_tagger(space).embed(photo)


@lru_cache(maxsize=1)
def _load_tagger(space: Space) -> Tagger:
    return Tagger.load(space.model)


def resolve(
    connection: Connection,
    query: str,
    vocabulary: Vocabulary,
    space: Space | None,
    cache: VectorCache,
) -> ResolvedQuery:
    """Look up the descriptions of a query.

    Raises QueryError for a query that cannot be parsed, and at the position of a description that
    cannot be answered.
    """
    tree = parse(query)
    likes = list(dict.fromkeys(_find_likes(tree)))
    whole_query = False
    if not likes and space is not None and _is_plain(query, tree):
        whole_query = _is_understood(query, space) and not planner.has_match(
            connection, tree, vocabulary
        )
        if whole_query:
            tree = Like(query)
            likes = [(tree, True)]
    if not likes:
        return ResolvedQuery(tree)
    if space is None:
        message = "no model here understands descriptions; choose or teach one that does"
        raise Lexer(query).error(message, likes[0][0].position)
    descriptions = {like: _describe(query, like, space) for like, _ in likes}
    comparison = _Comparison.run(connection, space, cache, descriptions)
    lists = {
        (like, positive): comparison.list_photos(like, MAX_LIKE if positive else None)
        for like, positive in likes
    }
    positive_likes = [like for like, positive in likes if positive]
    unknown = (word for d in descriptions.values() for word in d.unknown_words)
    summary = DescriptionSummary(
        model=space.model.stem,
        whole_query=whole_query,
        unknown_words=tuple(dict.fromkeys(unknown)),
        left_out=sum(comparison.count(like) - len(lists[like, True]) for like in positive_likes),
        not_compared=comparison.not_compared,
    )
    kept = {like: lists[like, True] for like in positive_likes}
    return ResolvedQuery(_replace(tree, lists), summary, comparison.rank(kept))


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Photos above the floor of each description, best first, without deleted ones.

    `scores` (N,) are of all photos; `rows` are those above the floor.
    """

    photo_ids: Ids
    scores: Mapping[Like, Floats]
    rows: Mapping[Like, Ids]
    not_compared: int

    @classmethod
    def run(
        cls,
        connection: Connection,
        space: Space,
        cache: VectorCache,
        descriptions: Mapping[Like, Description],
    ) -> _Comparison:
        """Compare every photo with each description."""
        loaded = cache.load(connection, space.sha256)
        total = connection.scalar(select(func.count()).select_from(photos)) or 0
        is_deleted = photos.c.deleted_by.is_not(None)
        deleted = np.array(
            connection.scalars(select(photos.c.id).where(is_deleted)).all(), np.int64
        )
        cosines = loaded.cosines(np.stack([d.vector for d in descriptions.values()]))
        scores = {
            like: space.words.likeness(description, row)
            for (like, description), row in zip(descriptions.items(), cosines, strict=True)
        }
        rows = {}
        for like, likeness in scores.items():
            above = np.flatnonzero(likeness >= space.words.floor)
            above = above[~np.isin(loaded.photo_ids[above], deleted)]
            rows[like] = above[np.argsort(-likeness[above], kind="stable")]
        stored = len(loaded.photo_ids) + len(loaded.unreadable) - loaded.count_among(deleted)
        return cls(loaded.photo_ids, scores, rows, max(0, total - len(deleted) - stored))

    def count(self, like: Like) -> int:
        """The number of photos above the floor of a description."""
        return len(self.rows[like])

    def list_photos(self, like: Like, limit: int | None) -> tuple[int, ...]:
        """Photos above the floor of a description, best first."""
        ids: list[int] = self.photo_ids[self.rows[like][:limit]].tolist()
        return tuple(ids)

    def rank(self, kept: Mapping[Like, Sequence[int]]) -> dict[int, float]:
        """The photos of all lists with the sum of their scores, best first."""
        if not kept:
            return {}
        rows = np.unique(
            np.concatenate([self.rows[like][: len(ids)] for like, ids in kept.items()])
        )
        sums = np.sum([self.scores[like][rows] for like in kept], axis=0)
        order = np.argsort(-sums, kind="stable")
        ids, best = self.photo_ids[rows[order]].tolist(), sums[order].tolist()
        return dict(zip(ids, best, strict=True))


def _find_likes(tree: Query, positive: bool = True) -> Iterator[tuple[Like, bool]]:
    """The descriptions of a tree, each with whether it is not negated."""
    match tree:
        case Like():
            yield tree, positive
        case Not(term):
            yield from _find_likes(term, not positive)
        case And(terms) | Or(terms):
            for term in terms:
                yield from _find_likes(term, positive)


def _replace(
    tree: Query, lists: Mapping[tuple[Like, bool], tuple[int, ...]], positive: bool = True
) -> Query:
    """The tree with lists of photos instead of descriptions."""
    match tree:
        case Like():
            return Listed(lists[tree, positive])
        case Not(term):
            return Not(_replace(term, lists, not positive))
        case And(terms):
            return And(tuple(_replace(term, lists, positive) for term in terms))
        case Or(terms):
            return Or(tuple(_replace(term, lists, positive) for term in terms))
        case _:
            return tree


def _is_plain(query: str, tree: Query) -> bool:
    """Whether a query has words alone, which could be those of a description."""
    terms = tree.terms if isinstance(tree, And) else (tree,)
    are_words = all(isinstance(term, Label) and not term.wildcard for term in terms)
    return are_words and not _MARKS.search(query)


def _is_understood(query: str, space: Space) -> bool:
    try:
        space.words.describe(query)
    except DescriptionError:
        return False
    return True


def _describe(query: str, like: Like, space: Space) -> Description:
    try:
        return space.words.describe(like.text)
    except DescriptionError as error:
        raise Lexer(query).error(str(error), like.position) from error
