"""Suggestions for the words of a query that find nothing: tags that photos have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice

from sqlalchemy import Connection

from tagger.inference.vocabulary import Vocabulary
from tagger.inference.words import is_stop_word
from tagger.library.search.conditions import find_labels, label_names, used_labels
from tagger.library.search.grammar import (
    Label,
    Query,
    format_query,
    label_terms,
    map_terms,
    parse,
)
from tagger.text import count_edits, fold

MAX_SUGGESTIONS = 3  # for each missing tag
_COMPARED = 20  # words that are spelled alike, whose edits are counted
_MAX_EDITS = ((6, 2), (3, 1))  # of a word with so many letters or more


@dataclass(frozen=True)
class Suggestion:
    """A word of a query that finds no photo, another one, and the query with that instead.

    The other is spelled much like it, or with `is_wider` is a tag above it in the vocabulary.
    """

    missing_tag: str
    similar_tag: str
    query: str
    is_wider: bool = False


def suggest(connection: Connection, query: str, vocabulary: Vocabulary) -> list[Suggestion]:
    """Suggestions for each word that finds nothing, most similar first. Raises QueryError.

    For a word of the vocabulary, which is no slip, they are the tags above it; for another one the
    tags and words that are spelled nearly so and find something; for a stop word there are none.
    """
    tree = parse(query)
    terms = {(fold(term.name), term.exact): term for term in label_terms(tree) if not term.wildcard}
    names = {term: label_names(term, vocabulary) for term in terms.values()}
    matching = find_labels(connection, chain.from_iterable(names.values()), used=True)
    missing = [
        term
        for term, each in names.items()
        if matching.keys().isdisjoint(each) and not is_stop_word(fold(term.name))
    ]
    if not missing:
        return []
    existing = used_labels(connection)
    words = {fold(word): word for word in _vocabulary_words(existing, vocabulary)} | existing

    suggestions = []
    for term in missing:
        is_wider = not term.exact and bool(vocabulary.lookup(term.name))
        if is_wider:
            similar_tags = _above(term.name, existing, vocabulary)
        else:
            similar_tags = _close(term.name, existing if term.exact else words)
        for similar in similar_tags:
            corrected = format_query(_replace(tree, term, similar))
            suggestions.append(Suggestion(term.name, similar, corrected, is_wider))
    return suggestions


def _vocabulary_words(existing: Iterable[str], vocabulary: Vocabulary) -> Iterator[str]:
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
    """The words, by folded word, that a name may be a misspelling of, the closest first."""
    alike = difflib.get_close_matches(fold(name), words, _COMPARED)
    near = (words[each] for each in alike if _is_near(_letters(fold(name)), _letters(each)))
    return list(islice(near, MAX_SUGGESTIONS))


def _is_near(name: str, word: str) -> bool:
    """Whether a slip or two make one of the other, the fewer the shorter they are."""
    length = min(len(name), len(word))
    limit = next((edits for letters, edits in _MAX_EDITS if length >= letters), 0)
    return abs(len(name) - len(word)) <= limit and count_edits(name, word) <= limit


def _letters(text: str) -> str:
    """The letters and digits of a text, without spaces and punctuation."""
    return "".join(filter(str.isalnum, text))


def _replace(tree: Query, term: Label, name: str) -> Query:
    """The tree with another name in place of that of the term, in any case."""

    def rename(each: Query, positive: bool) -> Query:
        match each:
            case Label(old, wildcard=False, exact=term.exact) if fold(old) == fold(term.name):
                return replace(each, name=name)
        return each

    return map_terms(tree, rename)
