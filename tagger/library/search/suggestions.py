"""What was probably meant, where a search asks for a tag that no photo has."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select

from tagger.library.database.schema import labels, tags
from tagger.library.search.grammar import And, Label, Not, Or, Query, fold, format_query, parse

MOST = 3  # for each tag asked for


@dataclass(frozen=True)
class Suggestion:
    """A tag that was `asked` for and no photo has, one that may be `meant`, the `query` with it."""

    missing_tag: str
    similar_tag: str
    query: str


def suggest(connection: Connection, query: str) -> list[Suggestion]:
    """The likeliest first, for each tag asked for in turn. Raises QueryError."""
    tree = parse(query)
    asked = {fold(name): name for name in _names(tree)}
    if not asked:
        return []
    borne = exists().where(tags.c.label_id == labels.c.id)
    rows = connection.execute(select(labels.c.folded, labels.c.name).where(borne))
    known = {row.folded: row.name for row in rows}
    return [
        Suggestion(name, known[close], format_query(_with(tree, folded, known[close])))
        for folded, name in asked.items()
        if folded not in known
        for close in difflib.get_close_matches(folded, known, MOST)
    ]


def _names(tree: Query) -> Iterator[str]:
    """The tags asked for by their whole names, from left to right."""
    match tree:
        case Label(name, wildcard=False):
            yield name
        case Not(term):
            yield from _names(term)
        case And(terms) | Or(terms):
            for term in terms:
                yield from _names(term)


def _with(tree: Query, folded: str, meant: str) -> Query:
    """A tree that asks for another tag instead of one."""
    match tree:
        case Label(name, wildcard=False) if fold(name) == folded:
            return Label(meant)
        case Not(term):
            return Not(_with(term, folded, meant))
        case And(terms):
            return And(tuple(_with(term, folded, meant) for term in terms))
        case Or(terms):
            return Or(tuple(_with(term, folded, meant) for term in terms))
        case _:
            return tree
