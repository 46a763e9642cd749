"""How well photos are found by what people wrote about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.errors import DescriptionError
from tagger.inference.words import Words

MAX_COMPARED = 2_000  # photos


@dataclass(frozen=True)
class DescriptionScores:
    """The shares of descriptions whose photo is the first, among the first 5 and 10 of all."""

    photos: int
    descriptions: int
    first_1: float
    first_5: float
    first_10: float


def score_descriptions(
    words: Words, photos: NDArray[np.float32], captions: Sequence[Sequence[str]], seed: int = 0
) -> DescriptionScores | None:
    """Scores of the `captions` of each of `photos (N, D)`, unit vectors; None without captions.

    Photos without a caption are left out. At most MAX_COMPARED are compared, a random sample.
    """
    described = np.flatnonzero([len(own) > 0 for own in captions])
    described = np.random.default_rng(seed).permutation(described)[:MAX_COMPARED]
    vectors = photos[described]
    ranks = [
        _rank(words, vectors, row, caption)
        for row, photo in enumerate(described.tolist())
        for caption in captions[photo]
    ]
    if not ranks:
        return None
    shares = [float(np.mean(np.array(ranks) <= first)) for first in (1, 5, 10)]
    return DescriptionScores(len(described), len(ranks), *shares)


def _rank(words: Words, vectors: NDArray[np.float32], photo: int, caption: str) -> int:
    """The place of a photo among all; the last for a caption of which no word is known."""
    try:
        cosines = vectors @ words.describe(caption).vector
    except DescriptionError:
        return len(vectors)
    return int((cosines > cosines[photo]).sum()) + 1
