"""Suggestions for misspelled tags in a query: similar tags that photos have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select

from tagger.library.database.schema import labels, tags
from tagger.library.search.grammar import And, Label, Not, Or, Query, fold, format_query, parse

MAX_SUGGESTIONS = 3  # for each missing tag


@dataclass(frozen=True)
class Suggestion:
    """A tag of a query that no photo has, a similar tag, and the query with that one instead."""

    missing_tag: str
    similar_tag: str
    query: str


def suggest(connection: Connection, query: str) -> list[Suggestion]:
    """Suggestions for each missing tag of a query, most similar first. Raises QueryError."""
    tree = parse(query)
    names = {fold(name): name for name in _label_names(tree)}
    if not names:
        return []
    is_used = exists().where(tags.c.label_id == labels.c.id)
    rows = connection.execute(select(labels.c.folded, labels.c.name).where(is_used))
    existing = {row.folded: row.name for row in rows}
    return [
        Suggestion(name, existing[close], format_query(_replace(tree, folded, existing[close])))
        for folded, name in names.items()
        if folded not in existing
        for close in difflib.get_close_matches(folded, existing, MAX_SUGGESTIONS)
    ]


def _label_names(tree: Query) -> Iterator[str]:
    """The labels without wildcards, from left to right."""
    match tree:
        case Label(name, wildcard=False):
            yield name
        case Not(term):
            yield from _label_names(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from _label_names(term)


def _replace(tree: Query, folded: str, name: str) -> Query:
    """The tree with another label instead of the one that folds to `folded`."""
    match tree:
        case Label(old, wildcard=False) if fold(old) == folded:
            return Label(name)
        case Not(term):
            return Not(_replace(term, folded, name))
        case And(terms):
            return And(tuple(_replace(term, folded, name) for term in terms))
        case Or(terms):
            return Or(tuple(_replace(term, folded, name) for term in terms))
        case _:
            return tree
