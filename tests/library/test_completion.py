"""What a search box offers: tags with their counts, words that find tags, states and fields."""

from __future__ import annotations

from typing import get_args

import pytest

from tagger.inference import vocabulary
from tagger.library.search.completion import (
    Completion,
    complete_grammar,
    complete_tags,
    complete_words,
)
from tagger.library.search.grammar import FIELDS, Flag, Label, State, parse

COUNTS = [("dog", 12), ("golden retriever", 3), ("Woman", 2), ("and", 1), ("unknown", 1)]


@pytest.fixture
def words() -> dict[str, Completion]:
    return {each.words: each for each in complete_words(COUNTS, vocabulary.load())}


def test_tags_are_offered_as_queries_for_them() -> None:
    tags = complete_tags(COUNTS)
    assert [(tag.words, tag.count) for tag in tags] == COUNTS
    assert [parse(tag.text) for tag in tags] == [Label(name) for name, _ in COUNTS]


def test_words_that_find_tags_are_offered_with_them(words: dict[str, Completion]) -> None:
    assert words["animal"].hint == "dog, golden retriever"
    assert words["people"].hint == "Woman"
    assert not {"dog", "golden retriever", "woman", "cat"} & words.keys()
    assert all(isinstance(parse(each.text), Label) for each in words.values())


def test_a_word_names_a_few_of_the_tags_that_it_finds() -> None:
    dogs = ("beagle", "pug", "collie", "poodle", "husky")
    counts = [(name, 1) for name in dogs]
    by_word = {each.words: each.hint for each in complete_words(counts, vocabulary.load())}
    assert by_word["dog"] == "beagle, pug, collie +2"


def test_every_state_and_field_is_offered() -> None:
    offered = complete_grammar()
    whole = [each for each in offered if not each.partial]
    assert {parse(each.text) for each in whole} == {
        Flag(state) for state in get_args(State) if state != "unknown"
    }
    partial = {each.words for each in offered if each.partial}
    assert partial == set(FIELDS)
    assert all(each.hint for each in offered)
