"""The captions of a collection's photos: as text, and as tokens that training reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from tagger.datasets.captions import Captions
from tagger.datasets.dataset import Dataset
from tagger.datasets.splits import subsample
from tagger.errors import DatasetError
from tagger.inference.words import Words
from tagger.models.heads import MAX_HEAD_PHOTOS
from tagger.training.caption_batches import (
    MIN_CAPTIONS,
    CaptionTokens,
    choose_tokens,
    frequent_words_without,
    tokenize_captions,
)

NAMED_PHOTOS = 20  # of each label, whose names words are learned from
MAX_NAMED_PHOTOS = 20_000


@dataclass(frozen=True)
class CollectionCaptions:
    """Captions by path of the photo; of each training photo, and its labels; and as tokens.

    `described` are the training photos with captions to whose features words are fitted, a random
    sample of MAX_HEAD_PHOTOS if there are more. `left_out` are words that many captions have and no
    token stands for, the most frequent ones first.
    """

    by_photo: Mapping[Path, tuple[str, ...]]
    texts: Sequence[tuple[str, ...]]
    labels: Sequence[tuple[str, ...]]
    described: Sequence[int]
    train: CaptionTokens
    validation: CaptionTokens | None
    left_out: tuple[str, ...] = ()

    def of_described(self) -> CaptionTokens:
        """The captions of the `described` photos alone."""
        return self.train.take(np.array(self.described))

    def with_names(self, seed: int) -> tuple[list[int], list[tuple[str, ...]]]:
        """The `described` training photos, then others without captions; and all their captions.

        The captions of the others are their labels. NAMED_PHOTOS of each label are enough, and
        MAX_NAMED_PHOTOS in all.
        """
        photos, limit = list(self.described), len(self.described) + MAX_NAMED_PHOTOS
        counts: Counter[str] = Counter()
        for photo in np.random.default_rng(seed).permutation(len(self.texts)).tolist():
            labels = self.labels[photo]
            is_needed = len(photos) < limit and any(counts[name] < NAMED_PHOTOS for name in labels)
            if is_needed and not self.texts[photo]:
                counts.update(labels)
                photos.append(photo)
        return photos, [self.texts[photo] or self.labels[photo] for photo in photos]


def tokenize(
    file: Path, loaded: Captions, collection: Dataset, first: Words | None, seed: int
) -> CollectionCaptions:
    """The captions that were loaded from `file`; their tokens follow those of the `first` words.

    Raises DatasetError if no training photo has a caption, or no word is frequent enough.
    """
    of_train, of_val = (
        [loaded.by_photo.get(sample.path, ()) for sample in collection.split(split)]
        for split in ("train", "val")
    )
    with_captions = [photo for photo, own in enumerate(of_train) if own]
    described = subsample(with_captions, MAX_HEAD_PHOTOS, seed)
    every = list(chain.from_iterable(of_train[photo] for photo in described))
    tokens = choose_tokens(every, first.tokens if first else ())
    if not every or not tokens:
        raise DatasetError(
            f"{file}: {len(every):,} captions of training photos; a word counts once"
            f" {MIN_CAPTIONS} captions have it"
        )
    names = collection.labels.names
    return CollectionCaptions(
        loaded.by_photo,
        of_train,
        [tuple(names[n] for n in sample.present) for sample in collection.split("train")],
        described,
        tokenize_captions(of_train, tokens),
        tokenize_captions(of_val, tokens) if any(of_val) else None,
        frequent_words_without(tokens, every),
    )
