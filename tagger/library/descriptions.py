"""Descriptions in queries: `like:"two dogs in the snow"` becomes a list of photos.

Descriptions and photos are compared in one space, that of a model that understands words: the
first in use that does, else the one that comes with the project. Where a search asks for it, the
words of a query that finds nothing are read as plain words: `dog in the snow` as the tags that they
name, or else as a description.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from tagger.errors import DescriptionError, ModelError, QueryError
from tagger.images.decode import Source
from tagger.inference import model_file
from tagger.inference.decision import Floats
from tagger.inference.embeddings import Embedding
from tagger.inference.named_tags import NamedTags, TagTerm, name_tags
from tagger.inference.registry import BUNDLED_MODEL
from tagger.inference.vocabulary import Vocabulary
from tagger.inference.words import Description, Words, is_stop_word
from tagger.library.database.schema import photos
from tagger.library.records import DescriptionSummary, Sort
from tagger.library.search import conditions, planner
from tagger.library.search.grammar import (
    And,
    Label,
    Like,
    Listed,
    Not,
    Or,
    Query,
    format_query,
    map_terms,
    parse,
    parse_description,
    parse_words,
    single_terms,
)
from tagger.library.search.lexer import MAX_LENGTH, Lexer
from tagger.library.vectors import Ids, VectorCache, Vectors
from tagger.tagger import Tagger
from tagger.text import fold

MAX_LIKE = 500  # photos that a query with descriptions keeps of those that look like them, the best
MAX_LOOKED_UP = 2_000  # numbers without a vector: beyond, all photos are counted


@dataclass(frozen=True, eq=False)
class Space:
    """The space of a model that understands words: `Tagger.space`, and the model's file."""

    sha256: str
    model: Path
    words: Words


@dataclass(frozen=True)
class ResolvedQuery:
    """A query without its descriptions, which became lists of photos.

    `likeness` has the photos kept for descriptions that are not negated, with how alike each is,
    best first: of several descriptions, to the most alike of those in an `OR`, and to the least
    alike of those that all apply. `tag_query` is the text of the tree where the query's words were
    read as the tags that they name.
    """

    tree: Query
    summary: DescriptionSummary | None = None
    likeness: Mapping[int, float] = field(default_factory=dict)
    tag_query: str | None = None


def find_page(
    connection: Connection,
    resolved: ResolvedQuery,
    words: Vocabulary,
    sort: Sort | None,
    offset: int,
    limit: int,
) -> tuple[list[int], int]:
    """As `planner.find_page`; without a sort, by likeness if there are descriptions."""
    tree = resolved.tree
    if resolved.likeness and sort in (None, "likeness"):
        ranked = list(resolved.likeness)
        return planner.find_ranked_page(connection, tree, words, ranked, offset, limit)
    return planner.find_page(connection, tree, words, sort or "newest", offset, limit)


_Lists = Mapping[tuple[Like, bool], tuple[int, ...]]  # False: of a negated description
LoadSpace = Callable[[], Space | None]  # raises ModelError


def load_space(models: Iterable[Path]) -> Space | None:
    """The space of the first model that knows words, the bundled one last; None if none does.

    Raises ModelError for a model file that is broken.
    """
    for path in (*models, BUNDLED_MODEL):
        try:
            stat = path.stat()
        except OSError:
            continue
        if (space := _load_space(path.absolute(), stat.st_mtime_ns, stat.st_size)) is not None:
            return space
    return None


@lru_cache(maxsize=4)
def _load_space(path: Path, modified: int, size: int) -> Space | None:
    """None for a model without words. Raises ModelError, without folders: HTTP clients see it."""
    try:
        model = model_file.load(path)
    except ModelError as error:
        raise type(error)(str(error).replace(f"{path.parent}{os.sep}", "")) from error
    if model.words is None or model.space is None:
        return None
    return Space(model.space, path, model.words)


def embed(space: Space, photo: Source) -> tuple[Embedding, str]:
    """A photo's vector, and its space: another one if the model's file was replaced meanwhile.

    Raises ImageError, and ModelError if the model is gone.
    """
    tagger = _load_tagger(space)
    return tagger.embed(photo), tagger.space


@lru_cache(maxsize=1)
def _load_tagger(space: Space) -> Tagger:
    return Tagger.load(space.model)


def resolve(
    connection: Connection, query: str, vocabulary: Vocabulary, load: LoadSpace, cache: VectorCache
) -> ResolvedQuery:
    """Look up the descriptions of a query; `load` loads the space, where there are any.

    Raises QueryError for a query that cannot be parsed, and at the position of a description that
    cannot be answered.
    """
    tree = parse(query)
    first = next(_find_likes(tree), None)
    if first is None:
        return ResolvedQuery(tree)
    space = _require_space(query, first[0].position, load)
    return _look_up(connection, query, tree, vocabulary, space, cache)


def read_words(
    connection: Connection,
    query: str,
    matches: int,
    vocabulary: Vocabulary,
    load: LoadSpace,
    cache: VectorCache,
) -> ResolvedQuery | None:
    """A query whose words are read as plain words; None where it is to be read as it stands.

    It found `matches` photos as it stands. Plain words are the tags that they name, see
    `named_tags`, if a photo has them all: `tag_query` then says so. Else they are a description, if
    a model knows any: the summary then has the query with `like:` as `fallback`; or says that no
    word is understood.
    """
    tree = parse(query)
    has_stop_word = any(map(_is_stop_word, _wanted_labels(tree)))  # in "a dog or cat" as well
    if any(_find_likes(tree)) or (matches and not has_stop_word):
        return None
    reading = _TagReading.of(connection, query, vocabulary)
    named = reading.tree
    if named is not None and named != tree and planner.has_match(connection, named, vocabulary):
        return ResolvedQuery(named, tag_query=format_query(named))
    described = None if matches else parse_description(query)
    if described is None:
        return None
    fallback = format_query(described)
    space = _load_usable(load)
    if space is None or len(fallback) > MAX_LENGTH:
        return None
    missing = reading.missing_tags
    unknown = _find_unknown_words(described, space)
    if unknown is not None:
        summary = DescriptionSummary(
            model=space.model.stem,
            unknown_words=unknown,
            left_out=0,
            not_compared=0,
            missing_tags=missing,
            understood=False,
        )
        return ResolvedQuery(tree, summary) if unknown else None
    resolved = _look_up(connection, fallback, described, vocabulary, space, cache)
    answered = resolved.summary
    if answered is not None:
        answered = replace(answered, fallback=fallback, missing_tags=missing)
    return replace(resolved, summary=answered)


def _require_space(query: str, position: int, load: LoadSpace) -> Space:
    """The space. Raises QueryError where there is none, or its model is broken."""
    try:
        space = load()
    except ModelError as error:
        message = f"the model that understands descriptions cannot be used: {error}"
        raise Lexer(query).error(message, position) from error
    if space is None:
        message = "no model here understands descriptions; choose or train one that does"
        raise Lexer(query).error(message, position)
    return space


def _load_usable(load: LoadSpace) -> Space | None:
    """The space; without one, or with a broken model, the tags alone answer."""
    try:
        return load()
    except ModelError:
        return None


def _find_unknown_words(described: Query, space: Space) -> tuple[str, ...] | None:
    """The words of the only description, if its model knows none of them, else None."""
    try:
        for like, _ in _find_likes(described):
            space.words.describe(like.text)
    except DescriptionError as error:
        return error.unknown_words
    return None


@dataclass(frozen=True)
class _TagReading:
    """A query whose plain words are the tags that they name.

    `tree` is None where they do not name all of what is wanted. `missing_tags` are the tags of the
    vocabulary that they name and that no photo has, nor a kind of them.
    """

    tree: Query | None
    missing_tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: Connection, query: str, vocabulary: Vocabulary) -> _TagReading:
        """The reading of a query without descriptions."""
        tree = parse_words(query)
        if tree is None:
            return cls(None)
        used = conditions.used_labels(connection).values()
        groups: list[NamedTags] = []

        def read(term: Query) -> Query:
            match term:
                case Like(text):
                    named = name_tags(text, used, vocabulary)
                    groups.append(named)
                    terms = tuple(_to_labels(each, vocabulary) for each in named.terms)
                    return terms[0] if len(terms) == 1 else And(terms)
                case And((Like() as words, *rest)):
                    first = read(words)
                    return And((*(first.terms if isinstance(first, And) else (first,)), *rest))
                case Or(terms):
                    return Or(tuple(map(read, terms)))
                case _:
                    return term

        named_tree = read(tree)
        unnamed = (word for group in groups for word in group.unnamed_words)
        missing = tuple(dict.fromkeys(t for word in unnamed for t in vocabulary.lookup(word)[:1]))
        try:
            is_complete = all(group.is_complete for group in groups)
            return cls(parse(format_query(named_tree)) if is_complete else None, missing)
        except QueryError:  # too long
            return cls(None, missing)


def _to_labels(term: TagTerm, vocabulary: Vocabulary) -> Query:
    """The query for a term's names, and for its labels that are spelled otherwise in a query."""
    labels = {fold(label): label for label in term.labels}
    by_name = {name: labels.keys() & set(vocabulary.names(name)) for name in term.names}
    names = [Label(name) for name, matching in by_name.items() if matching]
    unmatched = labels.keys() - set().union(*by_name.values())
    exact = [Label(labels[key], exact=True) for key in labels if key in unmatched]
    terms = (*names, *exact)
    return terms[0] if len(terms) == 1 else Or(terms)


def _is_stop_word(label: Label) -> bool:
    """Whether a word of a query says nothing alone."""
    return not (label.wildcard or label.exact) and is_stop_word(fold(label.name))


def _wanted_labels(tree: Query) -> Iterator[Label]:
    """The labels of a tree that are not negated, from left to right."""
    return (term for term, positive in single_terms(tree) if positive and isinstance(term, Label))


def _look_up(
    connection: Connection,
    query: str,
    tree: Query,
    vocabulary: Vocabulary,
    space: Space,
    cache: VectorCache,
) -> ResolvedQuery:
    """Compare photos with the descriptions of a tree, and keep the best of those that match."""
    likes = list(dict.fromkeys(_find_likes(tree)))
    descriptions = {like: _describe(query, like, space) for like, _ in likes}
    comparison = _Comparison.run(connection, space, cache, descriptions)
    rows, scores = comparison.rank(tree)
    ranked = comparison.photo_ids[rows]
    if _is_of_descriptions(tree) and _needs_description(tree):  # all that match are ranked
        is_match = comparison.matches(tree, rows)
        ranked, scores = ranked[is_match], scores[is_match]
        left_out = max(0, len(ranked) - MAX_LIKE)
        resolved: Query = Listed(tuple(ranked[:MAX_LIKE].tolist()))
    else:
        lists = {(like, positive): comparison.list_photos(like) for like, positive in likes}
        resolved, left_out = _replace(tree, lists), 0
        if len(ranked) > MAX_LIKE:
            matching = np.array(planner.find_ids(connection, resolved, vocabulary), np.int64)
            is_match = np.isin(ranked, matching)
            ranked, scores = ranked[is_match], scores[is_match]
            resolved = _replace(tree, _shorten(lists, set(ranked[:MAX_LIKE].tolist())))
            if len(ranked) > MAX_LIKE and _needs_description(tree):
                left_out = len(ranked) - MAX_LIKE
            elif len(ranked) > MAX_LIKE:  # some of the others match without a description
                left_out = len(matching) - planner.count_photos(connection, resolved, vocabulary)
    unknown = (word for d in descriptions.values() for word in d.unknown_words)
    summary = DescriptionSummary(
        model=space.model.stem,
        unknown_words=tuple(dict.fromkeys(unknown)),
        left_out=left_out,
        not_compared=comparison.not_compared,
    )
    best = zip(ranked[:MAX_LIKE].tolist(), scores[:MAX_LIKE].tolist(), strict=True)
    return ResolvedQuery(resolved, summary, dict(best))


def _is_of_descriptions(tree: Query) -> bool:
    """Whether there is nothing but descriptions in a tree."""
    return all(isinstance(term, Like) for term, _ in single_terms(tree))


def _needs_description(tree: Query) -> bool:
    """Whether a photo matches only if it looks like a description that is not negated."""
    match tree:
        case Like():
            return True
        case And(terms):
            return any(map(_needs_description, terms))
        case Or(terms):
            return all(map(_needs_description, terms))
        case _:
            return False


def _shorten(lists: _Lists, kept: Collection[int]) -> _Lists:
    """The lists with the kept photos alone; those of negated descriptions as they are."""
    return {
        (like, positive): tuple(id for id in ids if id in kept) if positive else ids
        for (like, positive), ids in lists.items()
    }


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Photos above the floor of each description, best first, without deleted ones.

    `scores` (N,) are of all photos, NaN below the floor; `rows` are those above it.
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
        deleted = np.array(connection.scalars(conditions.DELETED).all(), np.int64)
        cosines = loaded.cosines(np.stack([d.vector for d in descriptions.values()]))
        scores = {
            like: space.words.likeness(description.vector, row)
            for (like, description), row in zip(descriptions.items(), cosines, strict=True)
        }
        rows = {}
        for like, likeness in scores.items():
            likeness[likeness < space.words.floor] = np.nan
            above = np.flatnonzero(~np.isnan(likeness))
            above = above[~np.isin(loaded.photo_ids[above], deleted)]
            rows[like] = above[np.argsort(-likeness[above], kind="stable")]
        return cls(loaded.photo_ids, scores, rows, _count_not_compared(connection, loaded, deleted))

    def list_photos(self, like: Like) -> tuple[int, ...]:
        """Photos above the floor of a description, best first."""
        ids: list[int] = self.photo_ids[self.rows[like]].tolist()
        return tuple(ids)

    def rank(self, tree: Query) -> tuple[Ids, Floats]:
        """Rows above the floor of any description not negated, and their scores, best first."""
        likes = [like for like, positive in _find_likes(tree) if positive]
        if not likes:
            return np.empty(0, np.int64), np.empty(0)
        rows = np.unique(np.concatenate([self.rows[like] for like in likes]))
        scores = _combine(tree, {like: self.scores[like][rows] for like in likes})
        order = np.argsort(-scores, kind="stable")
        return rows[order], scores[order]

    def matches(self, tree: Query, rows: Ids) -> NDArray[np.bool_]:
        """Which of these rows (N,) match a tree of descriptions alone."""
        match tree:
            case Like():
                return ~np.isnan(self.scores[tree][rows])
            case Not(term):
                return ~self.matches(term, rows)
            case And(terms) | Or(terms):
                combine = np.logical_and if isinstance(tree, And) else np.logical_or
                is_match = [self.matches(term, rows) for term in terms]
                return np.asarray(combine.reduce(is_match), np.bool_)
            case _:
                raise TypeError(f"{tree} is no description")


def _count_not_compared(connection: Connection, loaded: Vectors, deleted: Ids) -> int:
    """The number of photos that have no vector yet; `deleted` are no photos any more.

    Mostly few numbers of photos are without one, and only these are looked up: counting all photos
    of a large library takes as long as comparing them.
    """
    last = connection.scalar(select(func.max(photos.c.id))) or 0
    ids = loaded.find_missing(last)
    is_present = photos.c.deleted_by.is_(None)
    if len(ids) <= MAX_LOOKED_UP:
        is_missing = conditions.listed_condition(photos.c.id, ids.tolist())
        query = select(func.count()).select_from(photos).where(is_present, is_missing)
        return connection.execute(query).scalar_one() if len(ids) else 0
    total = connection.scalar(select(func.count()).select_from(photos).where(is_present)) or 0
    stored = len(loaded.photo_ids) + len(loaded.unreadable) - loaded.count_among(deleted)
    return max(0, total - stored)


def _combine(tree: Query, scores: Mapping[Like, Floats], positive: bool = True) -> Floats:
    """The scores (N,) of a tree with descriptions, NaN where none of them applies.

    The best of those in an `Or`, the least of those in an `And`, without negated ones.
    """
    match tree:
        case Like() if positive:
            return scores[tree]
        case Not(term):
            return _combine(term, scores, not positive)
        case And(terms) | Or(terms):
            pick = np.fmin if isinstance(tree, And) == positive else np.fmax
            combined: Floats = pick.reduce([_combine(term, scores, positive) for term in terms])
            return combined
        case _:
            return np.full(len(next(iter(scores.values()))), np.nan)


def _find_likes(tree: Query) -> Iterator[tuple[Like, bool]]:
    """The descriptions of a tree, each with whether it is not negated."""
    return ((term, positive) for term, positive in single_terms(tree) if isinstance(term, Like))


def _replace(tree: Query, lists: _Lists) -> Query:
    """The tree with lists of photos instead of descriptions."""

    def replace_term(term: Query, positive: bool) -> Query:
        return Listed(lists[term, positive]) if isinstance(term, Like) else term

    return map_terms(tree, replace_term)


def _describe(query: str, like: Like, space: Space) -> Description:
    try:
        return space.words.describe(like.text)
    except DescriptionError as error:
        raise Lexer(query).error(str(error), like.position) from error
