"""Suggestions for the words of a query that find nothing: tags that photos have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice

from sqlalchemy import Connection, exists, select

from tagger.inference.vocabulary import Vocabulary
from tagger.library.database.schema import labels, tags
from tagger.library.search.conditions import find_labels, label_names
from tagger.library.search.grammar import (
    And,
    Label,
    Not,
    Or,
    Query,
    format_query,
    label_terms,
    parse,
)
from tagger.text import fold

MAX_SUGGESTIONS = 3  # for each missing tag


@dataclass(frozen=True)
class Suggestion:
    """A word of a query that finds no photo, a similar one, and the query with that instead."""

    missing_tag: str
    similar_tag: str
    query: str


def suggest(connection: Connection, query: str, vocabulary: Vocabulary) -> list[Suggestion]:
    """Suggestions for each word that finds nothing, most similar first. Raises QueryError.

    For a word of the vocabulary they are the tags above it, for another one the tags and words
    that are spelled much like it and find something.
    """
    tree = parse(query)
    terms = {(fold(term.name), term.exact): term for term in label_terms(tree) if not term.wildcard}
    names = {term: label_names(term, vocabulary) for term in terms.values()}
    matching = find_labels(connection, chain.from_iterable(names.values()), used=True)
    missing = [term for term, each in names.items() if matching.keys().isdisjoint(each)]
    if not missing:
        return []
    used = exists().where(tags.c.label_id == labels.c.id)
    rows = connection.execute(select(labels.c.folded, labels.c.name).where(used))
    existing = {row.folded: row.name for row in rows}
    words = {fold(word): word for word in _words(existing, vocabulary)} | existing

    def find_similar(term: Label) -> list[str]:
        if term.exact:
            return _close(term.name, existing)
        return _above(term.name, existing, vocabulary) or _close(term.name, words)

    return [
        Suggestion(term.name, similar, format_query(_replace(tree, term, similar)))
        for term in missing
        for similar in find_similar(term)
    ]


def _words(existing: Iterable[str], vocabulary: Vocabulary) -> Iterator[str]:
    """The vocabulary's words for the folded labels, and for what is above them."""
    direct = {
        tag
        for name in existing
        for tag in vocabulary.lookup(name)
        if name in vocabulary.spellings(tag)
    }
    for tag in direct.union(*map(vocabulary.ancestors, direct)):
        yield from (tag, *vocabulary.entries[tag].synonyms)


def _above(word: str, existing: Mapping[str, str], vocabulary: Vocabulary) -> list[str]:
    """The nearest tags above a word of the vocabulary that photos have."""
    above = dict.fromkeys(
        tag for meaning in vocabulary.lookup(word) for tag in vocabulary.ancestors(meaning)
    )
    used = (tag for tag in above if not existing.keys().isdisjoint(vocabulary.spellings(tag)))
    return list(islice(used, MAX_SUGGESTIONS))


def _close(name: str, words: Mapping[str, str]) -> list[str]:
    """The words, by folded word, that are spelled much like a name, the closest first."""
    return [words[each] for each in difflib.get_close_matches(fold(name), words, MAX_SUGGESTIONS)]


def _replace(tree: Query, term: Label, name: str) -> Query:
    """The tree with another name in place of that of the term, in any case."""
    match tree:
        case Label(old, wildcard=False, exact=term.exact) if fold(old) == fold(term.name):
            return replace(tree, name=name)
        case Not(inner):
            return Not(_replace(inner, term, name))
        case And(terms):
            return And(tuple(_replace(each, term, name) for each in terms))
        case Or(terms):
            return Or(tuple(_replace(each, term, name) for each in terms))
        case _:
            return tree
