"""Captions as token numbers, and the captions that a batch of photos is contrasted with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tagger.inference.words import (
    STEM,
    find_stem,
    is_token,
    split_words,
    tokenize,
    word_tokens,
)

MIN_CAPTIONS = 3  # with a token, before it is learned
MAX_TOKENS = 7_000  # vectors of 256 float16 each fill 3.6 MB
LENGTH = 40  # tokens of a caption that are read
PER_PHOTO = 16  # captions in a batch for each photo, most of them of other photos
MAX_OWN = 5
# A caption in a batch is the photo's own, another one's, or one of the same words as an own one,
# which is neither right nor wrong.
OWN, OTHER, SAME_WORDS = 1.0, 0.0, -1.0


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

    def take(self, photos: NDArray[np.int64]) -> CaptionTokens:
        """The captions of these photos alone, in rising order; they are numbered anew."""
        taken = np.isin(self.owners, photos)
        owners = np.searchsorted(photos, self.owners[taken])
        return CaptionTokens(self.tokens, self.rows[taken], owners)

    def batch(
        self, photos: Sequence[int | None], rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Captions `(B, PER_PHOTO, LENGTH)` for `photos`, and what each is to each photo.

        See `relate`. None is a photo without captions; it takes part with captions of others alone.
        """
        in_batch = np.isin(self.owners, [photo for photo in photos if photo is not None])
        outside = np.flatnonzero(~in_batch)
        numbers = rng.choice(outside if outside.size else len(self.owners), len(photos) * PER_PHOTO)
        chosen = numbers.reshape(len(photos), PER_PHOTO)
        for row, photo in enumerate(photos):
            if photo is not None:
                own = self.of(photo)[:MAX_OWN]
                chosen[row, : len(own)] = own
        return self.rows[chosen], self.relate(photos, chosen)

    def relate(
        self, photos: Sequence[int | None], chosen: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """What captions `chosen (B, K)`, by number, are to each of B photos: `(B, B * K)`.

        OWN is a photo's own in its own row, SAME_WORDS another with the words of one of its own.
        """
        texts = self._texts[chosen].ravel()
        relations = np.full((len(photos), chosen.size), OTHER, np.float32)
        for row, photo in enumerate(photos):
            if photo is not None:
                own = self.of(photo)
                relations[row, np.isin(texts, self._texts[own])] = SAME_WORDS
                columns = row * chosen.shape[1] + np.flatnonzero(np.isin(chosen[row], own))
                relations[row, columns] = OWN
        return relations

    @cached_property
    def _texts(self) -> NDArray[np.int64]:
        """A number `(M,)` for each caption; equal ones have the same."""
        return np.asarray(np.unique(self.rows, axis=0, return_inverse=True)[1].reshape(-1))


def tokenize_captions(captions: Sequence[Iterable[str]], tokens: tuple[str, ...]) -> CaptionTokens:
    """The captions of each photo as numbers of `tokens`; others are left out."""
    texts = [(photo, tokenize(text)) for photo, own in enumerate(captions) for text in own]
    rows = number_tokens(tokens, [own for _, own in texts])
    return CaptionTokens(tokens, rows, np.array([photo for photo, _ in texts], np.int64))


def choose_tokens(texts: Iterable[str], first: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The tokens `first`, and those that MIN_CAPTIONS texts have, at most MAX_TOKENS in all.

    A stem is a token if several words have it.
    """
    counts = Counter(token for text in texts for token in set(tokenize(text)))
    frequent = [token for token in _frequent(counts) if is_token(token)]
    forms = Counter(STEM + find_stem(token) for token in {*first, *counts})
    is_known = set(first)
    added = [
        token
        for token in frequent
        if token not in is_known and (not token.startswith(STEM) or forms[token] > 1)
    ]
    return (*first, *sorted(added[: max(0, MAX_TOKENS - len(first))]))


def frequent_words_without(tokens: Sequence[str], texts: Iterable[str]) -> tuple[str, ...]:
    """The words that MIN_CAPTIONS texts have and no token stands for, most frequent ones first."""
    learned = set(tokens)
    counts = Counter(word for text in texts for word in set(split_words(text)))
    return tuple(word for word in _frequent(counts) if not learned.intersection(word_tokens(word)))


def _frequent(counts: Counter[str]) -> list[str]:
    """What is counted MIN_CAPTIONS times, most frequent first; equally frequent ones by name."""
    frequent = [text for text, count in counts.items() if count >= MIN_CAPTIONS]
    return sorted(frequent, key=lambda text: (-counts[text], text))


def number_tokens(tokens: Sequence[str], texts: Sequence[Sequence[str]]) -> NDArray[np.int32]:
    """Token numbers `(M, LENGTH)` of tokenized texts; tokens without a number are left out."""
    numbers = {token: number for number, token in enumerate(tokens, start=1)}
    rows = np.zeros((len(texts), LENGTH), np.int32)
    for row, text in enumerate(texts):
        row_numbers = [numbers[token] for token in text if token in numbers][:LENGTH]
        rows[row, : len(row_numbers)] = row_numbers
    return rows
