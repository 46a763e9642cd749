"""Partial matches: how many photos the parts of a query find, where the whole finds none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tagger.errors import QueryError
from tagger.inference.words import is_stop_word, split_words
from tagger.library.records import PhotoPage
from tagger.library.search.grammar import And, Label, Like, Not, Query, format_query, parse
from tagger.text import fold

MAX_PARTS = 6  # of a query, the first ones


@dataclass(frozen=True)
class PartialMatch:
    """A part of a query, as a query, and the number of photos that it finds."""

    query: str
    count: int
    by_description: bool


def find_partial_matches(query: str, search: Callable[[str], PhotoPage]) -> list[PartialMatch]:
    """The parts of a query that find photos, in its order; none for a query of one part.

    The parts are the terms that all have to apply, or the words of a description. Words that say
    nothing alone are left out, as is what is negated. Raises QueryError for an invalid query.
    """
    matches = []
    for part in list(_parts(parse(query)))[:MAX_PARTS]:
        text = format_query(part)
        try:
            page = search(text)
        except QueryError:  # a description of which the model knows no word
            continue
        if page.total:
            is_described = page.description is not None and page.description.understood
            matches.append(PartialMatch(text, page.total, is_described))
    return matches


def _parts(tree: Query) -> Iterator[Query]:
    match tree:
        case And(terms):
            for term in terms:
                match term:
                    case Not():
                        continue
                    case Label(name, wildcard=False) if is_stop_word(fold(name)):
                        continue
                    case _:
                        yield term
        case Like(text):
            words = [word for word in split_words(text) if not is_stop_word(word)]
            if len(words) > 1:
                yield from map(Label, dict.fromkeys(words))
