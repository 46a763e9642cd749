"""What a search box offers while somebody types: tags, words that find tags, fields and states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tagger.inference.vocabulary import Vocabulary
from tagger.library.search.grammar import FIELDS, Flag, Label, State, format_query
from tagger.text import fold

MAX_TAGS = 3_000  # the most frequent ones are offered
MAX_NAMED = 3  # tags that a word finds, named beside it


@dataclass(frozen=True)
class Completion:
    """A piece of a query: its text, the words by which it is offered, and a hint beside them.

    `count` is the number of photos with a tag. A `partial` piece, such as `score>=`, still needs a
    value, of which `hint` has an example.
    """

    text: str
    words: str
    hint: str = ""
    count: int | None = None
    partial: bool = False


def complete_tags(counts: Sequence[tuple[str, int]]) -> list[Completion]:
    """The tags of the library, most frequent first, from their `counts` of photos."""
    return [
        Completion(_tag_text(name), name, count=count) for name, count in counts[:MAX_TAGS] if count
    ]


def complete_words(counts: Sequence[tuple[str, int]], vocabulary: Vocabulary) -> list[Completion]:
    """Synonyms of the library's tags and words above them, with the tags that they find.

    Words for frequent tags come first.
    """
    tags: dict[str, list[str]] = defaultdict(list)  # by word
    names = {fold(name) for name, _ in counts}
    for name, _ in counts[:MAX_TAGS]:
        for word in _words_for(name, vocabulary):
            if fold(word) not in names and name not in tags[word]:
                tags[word].append(name)
    return [
        Completion(format_query(Label(word)), word, _list_tags(labels))
        for word, labels in tags.items()
    ]


def complete_grammar() -> list[Completion]:
    """The states that a photo may be in, and the fields, each with what it finds.

    `unknown` is left out: `untagged` finds these photos, and those whose tags were removed.
    """
    states = [Completion(format_query(Flag(name)), name, hint) for name, hint in _STATES.items()]
    fields = []
    for name, example in FIELDS.items():
        start = f"{name}{'>=' if name in ('score', 'confidence', 'added', 'rating') else ':'}"
        hint = f"{_FIELDS[name]}: {example}"
        fields.append(Completion(start, name, hint, partial=True))
    return states + fields


_STATES: dict[State, str] = {
    "untagged": "without tags",
    "tagged": "with tags",
    "reviewed": "reviewed by you",
    "missing": "original missing",
    "favourite": "your favourites",
}
_FIELDS = {
    "tag": "one tag",
    "score": "confidence of a tag",
    "confidence": "of the model’s answer",
    "added": "when it was added",
    "taken": "when it was taken",
    "name": "file name",
    "folder": "folder",
    "model": "tagged by a model",
    "by": "tags from you, or from a model",
    "run": "changed by an operation",
    "id": "one photo",
    "rating": "stars from you",
    "is": "a state of the photo",
    "caption": "what you wrote",
    "like": "description",
}


def _tag_text(name: str) -> str:
    """The query for a tag: its name alone, which finds kinds of it as well."""
    return format_query(Label(name))


def _words_for(name: str, vocabulary: Vocabulary) -> Iterator[str]:
    """The vocabulary's words that find a label, nearest first."""
    meanings = [tag for tag in vocabulary.lookup(name) if fold(name) in vocabulary.spellings(tag)]
    for tag in meanings:
        yield from (tag, *vocabulary.entries[tag].synonyms)
    for tag in meanings:
        for above in vocabulary.ancestors(tag):
            yield from (above, *vocabulary.entries[above].synonyms)


def _list_tags(labels: Sequence[str]) -> str:
    rest = len(labels) - MAX_NAMED
    return ", ".join(labels[:MAX_NAMED]) + (f" +{rest:,}" if rest > 0 else "")
