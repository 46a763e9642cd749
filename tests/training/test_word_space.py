"""The floor of likeness where few photos have captions."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tagger.training.caption_batches import CaptionTokens, choose_tokens, tokenize_captions
from tagger.training.word_space import (
    DEFAULT_FLOOR,
    MIN_CROSS_FITTED,
    fit_floor,
    fit_words,
    make_words,
)

pytestmark = pytest.mark.training

SHAPES, COLOURS = ("disc", "square", "stripes"), ("red", "green", "blue", "yellow")
KINDS = list(product(COLOURS, SHAPES)) * 4  # of 48 photos
SEED = 0


def draw_features(seed: int) -> np.ndarray:
    """Features `(48, 64)` of photos of KINDS: directions of a colour and a shape, and noise."""
    names = (*COLOURS, *SHAPES)
    directions = dict(zip(names, np.random.default_rng(5).normal(0, 1, (7, 64)), strict=True))
    noise = np.random.default_rng(seed).normal(0, 0.7, (len(KINDS), 64))
    photos = [directions[colour] + directions[shape] for colour, shape in KINDS]
    return np.maximum(np.array(photos) + noise, 0).astype(np.float32)


def describe_kinds() -> CaptionTokens:
    texts = [(f"a {colour} {shape}", f"{shape} in {colour}") for colour, shape in KINDS]
    return tokenize_captions(texts, choose_tokens([text for own in texts for text in own]))


def test_photos_of_few_captions_are_listed_and_others_are_not() -> None:
    """Of new photos. The default floor lists fewer than half of the right ones."""
    features, captions = draw_features(1), describe_kinds()
    floor, photos = fit_floor(features, captions, features, SEED)
    assert photos == len(KINDS) and floor < DEFAULT_FLOOR
    space = fit_words(features, captions, len(KINDS), SEED)
    none = replace(captions, rows=captions.rows[:0], owners=captions.owners[:0])
    words = make_words(space, captions.tokens, features, none, SEED)
    vectors = words.embed_photos(draw_features(2))
    listed = {True: [], False: []}
    for text in [*(f"{colour} {shape}" for colour, shape in KINDS[:12]), *COLOURS]:
        description = words.describe(text)
        likeness = words.likeness(description.vector, vectors @ description.vector)
        for kind, own in zip(KINDS, likeness, strict=True):
            listed[set(text.split()) <= set(kind)].append(own >= floor)
    assert np.mean(listed[True]) >= 0.7 and np.mean(listed[False]) <= 0.1


def test_too_few_captions_set_no_floor() -> None:
    features, captions = draw_features(1), describe_kinds()
    few = captions.take(np.arange(MIN_CROSS_FITTED - 1))
    assert fit_floor(features, few, features, SEED) == (DEFAULT_FLOOR, 0)
