"""How a query was understood: the tags that each of its words finds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from sqlalchemy import Connection

from tagger.inference.vocabulary import Vocabulary
from tagger.library.search.conditions import find_labels
from tagger.library.search.grammar import label_terms, parse
from tagger.text import fold


@dataclass(frozen=True)
class Interpretation:
    """A word of a query, what it means in the vocabulary, and what it finds in the library."""

    word: str
    meanings: tuple[str, ...]  # tags of the vocabulary; none for a word that it lacks
    tags: tuple[str, ...]  # of photos in the library, the nearest to the word first

    @property
    def is_wider(self) -> bool:
        """Whether the word finds other tags than the one of its name."""
        return any(fold(tag) != fold(self.word) for tag in self.tags)


def explain(connection: Connection, query: str, vocabulary: Vocabulary) -> list[Interpretation]:
    """An interpretation of each word that the vocabulary applies to. Raises QueryError."""
    terms = [term for term in label_terms(parse(query)) if not (term.wildcard or term.exact)]
    words = {fold(term.name): term.name for term in terms}
    names = {word: vocabulary.names(word) for word in words.values()}
    existing = find_labels(connection, chain.from_iterable(names.values()), used=True)
    return [
        Interpretation(
            word,
            vocabulary.lookup(word),
            tuple(dict.fromkeys(existing[name].name for name in each if name in existing)),
        )
        for word, each in names.items()
    ]
