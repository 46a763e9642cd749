"""How well photos are found by their captions."""

from __future__ import annotations

import numpy as np

from tagger.evaluation.descriptions import DescriptionScores, score_descriptions
from tagger.inference.words import Words

WORDS = Words(
    tokens=("dog", "cat", "snow"),
    vectors=np.eye(3, dtype=np.float16),
    text_bias=np.zeros(3, np.float32),
    projection=np.eye(3, dtype=np.float16),
    photo_bias=np.zeros(3, np.float32),
    background=np.eye(3, dtype=np.float16),
    floor=1.0,
)
PHOTOS = np.eye(3, dtype=np.float32)


def test_shares_of_captions_that_find_their_photo() -> None:
    captions = [("a dog", "the cat"), ("a cat",), ("snow", "a gnu")]
    scores = score_descriptions(WORDS, PHOTOS, captions)
    assert scores == DescriptionScores(
        photos=3, descriptions=5, first_1=3 / 5, first_5=1.0, first_10=1.0
    )


def test_photos_without_captions_are_not_compared() -> None:
    scores = score_descriptions(WORDS, PHOTOS, [("a cat",), (), ("snow",)])
    assert scores is not None
    assert (scores.photos, scores.descriptions, scores.first_1) == (2, 2, 1.0)
    assert score_descriptions(WORDS, PHOTOS, [(), (), ()]) is None
