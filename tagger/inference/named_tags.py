"""The tags that a description names: which labels of a model or a library its words mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tagger.inference.vocabulary import Vocabulary
from tagger.inference.words import is_stop_word, split_words

MAX_WORDS = 6  # in the name of a tag
_OR = "or"
_WITHOUT = "without"  # a stop word, but no photo with a tag is meant by it
_NUMBERS = frozenset(  # that tags do not count: "two dogs" are photos with the tag dog
    (
        *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
        *("several", "many", "few"),
    )
)


@dataclass(frozen=True)
class TagTerm:
    """Names in a description, and the labels that they mean, nearest first; a tag may have any."""

    names: tuple[str, ...]  # as words of the description, several where "or" joins them
    labels: tuple[str, ...]

    @property
    def words(self) -> str:
        """The words of the description."""
        return " or ".join(self.names)


@dataclass(frozen=True)
class NamedTags:
    """The tags that a description names, and the words in it that are no tag.

    The tags say all of it only where `unnamed_words` is empty: see `match`.
    """

    terms: tuple[TagTerm, ...]
    unnamed_words: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether tags say all that the description does."""
        return bool(self.terms) and not self.unnamed_words

    def match(self, tags: Collection[str]) -> tuple[str, ...]:
        """Those of a photo's tags that are described; none unless they are all of the description.

        A photo of a dog is no photo of a dog in the snow.
        """
        if not self.is_complete or not all(
            any(label in tags for label in term.labels) for term in self.terms
        ):
            return ()
        described = {label for term in self.terms for label in term.labels}
        return tuple(tag for tag in tags if tag in described)


def name_tags(text: str, labels: Iterable[str], vocabulary: Vocabulary) -> NamedTags:
    """The tags among `labels`, of a model or a library, that a description in plain words names.

    Words mean synonyms and kinds too, singular or plural, and several words may be one name:
    "swimming pool". Words that "or" joins are alternatives. Stop words and numbers do not count,
    unless there is a label of that name. Raises DescriptionError for a text that is too long.
    """
    words = split_words(text)
    by_name: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        by_name[_normalize(label)].append(label)
    terms: list[TagTerm] = []
    unnamed: dict[str, None] = {}
    start, is_alternative = 0, False
    while start < len(words):
        phrase, end = _find_name(words, start, by_name, vocabulary)
        if phrase == _OR:
            is_alternative = bool(terms)
        elif phrase == _WITHOUT or phrase in by_name or not _is_passed_over(phrase):
            names = dict.fromkeys(map(_normalize, vocabulary.names(phrase)))
            matching = tuple(label for name in names for label in by_name.get(name, ()))
            if not matching:
                unnamed[phrase] = None
            elif is_alternative:
                first = terms.pop()
                either = dict.fromkeys((*first.labels, *matching))
                terms.append(TagTerm((*first.names, phrase), tuple(either)))
            else:
                terms.append(TagTerm((phrase,), matching))
            is_alternative = False
        start = end
    return NamedTags(tuple(dict.fromkeys(terms)), tuple(unnamed))


def _find_name(
    words: list[str], start: int, names: Collection[str], vocabulary: Vocabulary
) -> tuple[str, int]:
    """The longest name from a word on, or that word alone, and where it ends."""
    for end in range(min(len(words), start + MAX_WORDS), start + 1, -1):
        phrase = " ".join(words[start:end])
        if phrase in names or vocabulary.lookup(phrase):
            return phrase, end
    return words[start], start + 1


def _is_passed_over(word: str) -> bool:
    return is_stop_word(word) or word in _NUMBERS or word.isdecimal()


def _normalize(name: str) -> str:
    return " ".join(split_words(name))
