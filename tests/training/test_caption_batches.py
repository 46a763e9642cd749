"""Captions as tokens, and which captions of a batch are a photo's own."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.training.caption_batches import (
    OTHER,
    OWN,
    PER_PHOTO,
    SAME_WORDS,
    CaptionTokens,
    choose_tokens,
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
    assert rows.shape[:2] == (4, PER_PHOTO)
    assert [int((row == OWN).sum()) > 0 for row in relations] == [True, True, False, True]


def test_a_word_counts_once_three_captions_have_it_and_a_stem_with_two_forms() -> None:
    texts = ["dogs bark"] * 3 + ["a dog"] * 3 + ["one cat"] * 3 + ["rare"]
    assert choose_tokens(texts) == ("a", "bark", "cat", "dog", "dogs", "one", "~dog")


def test_words_that_are_there_already_stay_first() -> None:
    assert choose_tokens(["new dog"] * 3, ("zebra", "dog")) == ("zebra", "dog", "new")
