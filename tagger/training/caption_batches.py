"""Captions as token numbers, and the captions that a batch of photos is contrasted with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.inference.words import tokenize

MIN_CAPTIONS = 3  # with a token, before it is learned
MAX_TOKENS = 5_500  # vectors of 256 float16 each, beside the photo side, fill 4 MB
LENGTH = 40  # tokens of a caption that are read
PER_PHOTO = 16  # captions in a batch for each photo, most of them of other photos
MAX_OWN = 5
OWN, OTHER = 1.0, 0.0  # captions of the photo, and of another one that is not in the batch


@dataclass(frozen=True, eq=False)
class CaptionTokens:
    """The captions of N photos as numbers of `tokens`, counted from 1; 0 fills up.

    `rows` (M, LENGTH) are all captions, `owners` (M,) the photo of each, in rising order.
    """

    tokens: tuple[str, ...]
    rows: NDArray[np.int32]
    owners: NDArray[np.int64]

    def of(self, photo: int) -> NDArray[np.int64]:
        """The numbers of a photo's captions."""
        first, last = np.searchsorted(self.owners, (photo, photo + 1))
        return np.arange(first, last)

    def has(self, photo: int) -> bool:
        """Whether a photo has captions."""
        return bool(self.of(photo).size)

    def batch(
        self, photos: Sequence[int | None], rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Captions `(B, PER_PHOTO, LENGTH)` for `photos`, and which are a photo's own.

        None is a photo without captions; it takes part with captions of others alone.
        """
        flags = np.full((len(photos), PER_PHOTO), OTHER, np.float32)
        in_batch = np.isin(self.owners, [photo for photo in photos if photo is not None])
        numbers = rng.choice(np.flatnonzero(~in_batch), len(photos) * PER_PHOTO)
        chosen = numbers.reshape(len(photos), PER_PHOTO)
        for row, photo in enumerate(photos):
            if photo is not None:
                own = self.of(photo)[:MAX_OWN]
                chosen[row, : len(own)] = own
                flags[row, : len(own)] = OWN
        return self.rows[chosen], flags


def tokenize_captions(
    captions: Sequence[Iterable[str]], tokens: tuple[str, ...] | None = None
) -> CaptionTokens:
    """The captions of each photo, by default with the tokens that enough of them have."""
    texts = [(photo, tokenize(text)) for photo, own in enumerate(captions) for text in own]
    if tokens is None:
        counts = Counter(token for _, own in texts for token in set(own))
        tokens = tuple(
            sorted(token for token, n in counts.most_common(MAX_TOKENS) if n >= MIN_CAPTIONS)
        )
    rows = number_tokens(tokens, [own for _, own in texts])
    return CaptionTokens(tokens, rows, np.array([photo for photo, _ in texts], np.int64))


def number_tokens(tokens: Sequence[str], texts: Sequence[Sequence[str]]) -> NDArray[np.int32]:
    """Token numbers `(M, LENGTH)` of tokenized texts; tokens without a number are left out."""
    numbers = {token: number for number, token in enumerate(tokens, start=1)}
    rows = np.zeros((len(texts), LENGTH), np.int32)
    for row, text in enumerate(texts):
        row_numbers = [numbers[token] for token in text if token in numbers][:LENGTH]
        rows[row, : len(row_numbers)] = row_numbers
    return rows
