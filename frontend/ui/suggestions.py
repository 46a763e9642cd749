"""Tags to suggest while somebody types the first letters of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypedDict

from frontend.ui.library import count_tags
from tagger.library.library import Library
from tagger.text import fold

MAX_SUGGESTIONS = 8


class Suggestion(TypedDict):
    """A tag, and the number of photos that have it."""

    label: str
    count: int


def suggest_tags(library: Library, prefix: str) -> list[Suggestion]:
    """Tags of which a word begins with `prefix`: the library's by frequency, then other words.

    Without a prefix, the most frequent tags. Raises VocabularyError.
    """
    start = fold(" ".join(prefix.split()))
    counts = dict(count_tags())
    labels = [label for label in counts if has_word(fold(label), start)]
    labels.sort(key=lambda label: not fold(label).startswith(start))
    if start:
        labels += _find_words(library, start)
    suggestions: dict[str, Suggestion] = {}
    for label in labels:
        suggestions.setdefault(fold(label), {"label": label, "count": counts.get(label, 0)})
        if len(suggestions) == MAX_SUGGESTIONS:
            break
    return list(suggestions.values())


def _find_words(library: Library, start: str) -> Iterator[str]:
    """Tags of the vocabulary that begin like this, and those that the word means."""
    vocabulary = library.vocabulary
    yield from (tag for tag in vocabulary.entries if fold(tag).startswith(start))
    yield from vocabulary.lookup(start)
    yield from (tag for tag in vocabulary.entries if has_word(fold(tag), start))


def has_word(text: str, start: str) -> bool:
    """Whether the text, or a word in it, begins with `start`."""
    return text.startswith(start) or any(word.startswith(start) for word in re.split(r"\W+", text))
