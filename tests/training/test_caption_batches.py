"""Captions as tokens, and which captions of a batch are a photo's own."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.training.caption_batches import (
    MAX_TOKENS,
    OTHER,
    OWN,
    PER_PHOTO,
    SAME_WORDS,
    CaptionTokens,
    choose_tokens,
    frequent_words_without,
    tokenize_captions,
)

CAPTIONS = [("a red dog", "the dog runs"), ("a red dog",), (), ("two cats",)]


@pytest.fixture
def tokens() -> CaptionTokens:
    return tokenize_captions(CAPTIONS, ("cats", "dog", "red", "runs", "two"))


def test_captions_of_equal_words_are_neither_right_nor_wrong(tokens: CaptionTokens) -> None:
    chosen = np.array([[0, 3], [2, 1]])  # of photo 0: its own and the cats; of 1: its own, and 0's
    relations = tokens.relate([0, 1], chosen)
    assert relations.tolist() == [
        [OWN, OTHER, SAME_WORDS, SAME_WORDS],
        [SAME_WORDS, OTHER, OWN, OTHER],
    ]


def test_a_batch_of_all_photos_with_captions_has_captions_of_others(tokens: CaptionTokens) -> None:
    rows, relations = tokens.batch([0, 1, None, 3], np.random.default_rng(0))
    assert rows.shape[:2] == (4, PER_PHOTO) and relations.shape == (4, 4 * PER_PHOTO)
    texts = [words(row) for row in rows.reshape(4 * PER_PHOTO, -1)]
    owners = np.repeat([0, 1, 2, 3], PER_PHOTO)  # in whose row of the batch a caption is
    for photo, relation in enumerate(relations):
        own = [words(tokens.rows[number]) for number in tokens.of(photo)]
        is_other = np.array([text not in own for text in texts])
        assert is_other.any() and np.array_equal(relation == OTHER, is_other)
        assert (owners[relation == OWN] == photo).all()
        assert (relation == OWN).any() == tokens.has(photo)


def words(row: np.ndarray) -> tuple[int, ...]:
    """The tokens of a caption."""
    return tuple(row[row > 0].tolist())


def test_a_batch_of_the_only_photos_with_captions_still_has_wrong_ones(
    tokens: CaptionTokens,
) -> None:
    _, relations = tokens.batch([0, 3], np.random.default_rng(0))
    assert (relations == OTHER).any(axis=1).all()


def test_captions_of_fewer_photos_are_numbered_anew(tokens: CaptionTokens) -> None:
    taken = tokens.take(np.array([1, 3]))
    assert taken.owners.tolist() == [0, 1]
    assert taken.rows.tolist() == tokens.rows[2:].tolist()


def test_a_word_counts_once_three_captions_have_it_and_a_stem_with_two_forms() -> None:
    texts = ["dogs bark"] * 3 + ["a dog"] * 3 + ["one cat"] * 3 + ["rare"]
    assert choose_tokens(texts) == ("a", "bark", "cat", "dog", "dogs", "one", "~dog")


def test_of_equally_frequent_words_those_first_in_the_alphabet_are_learned() -> None:
    """Whatever order a set of them has in this process."""
    first = tuple(f"word{number}" for number in range(MAX_TOKENS - 2))
    assert choose_tokens(["gnu emu yak"] * 3 + ["yak"], first)[-2:] == ("emu", "yak")


def test_frequent_words_that_cannot_be_learned_are_named() -> None:
    texts = ["кот red"] * 4 + ["red dogs"] * 3 + ["rare"]
    assert frequent_words_without(("red", "~dog"), texts) == ("кот",)
    assert frequent_words_without((), texts) == ("red", "кот", "dogs")


def test_words_that_are_there_already_stay_first() -> None:
    assert choose_tokens(["new dog"] * 3, ("zebra", "dog")) == ("zebra", "dog", "new")
