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
from tagger.errors import DatasetError
from tagger.inference.words import Words
from tagger.training.caption_batches import (
    MIN_CAPTIONS,
    CaptionTokens,
    choose_tokens,
    tokenize_captions,
)

NAMED_PHOTOS = 20  # of each label, whose names words are learned from


@dataclass(frozen=True)
class CollectionCaptions:
    """Captions by path of the photo; of each training photo, and its labels; and as tokens."""

    by_photo: Mapping[Path, tuple[str, ...]]
    texts: Sequence[tuple[str, ...]]
    labels: Sequence[tuple[str, ...]]
    train: CaptionTokens
    validation: CaptionTokens | None

    def with_names(self, seed: int) -> tuple[list[int], list[tuple[str, ...]], int]:
        """Training photos, their captions, and the number of photos that have captions.

        Photos without any follow these, with their labels as captions. Of them, NAMED_PHOTOS of
        each label are enough.
        """
        photos = [photo for photo, own in enumerate(self.texts) if own]
        described = len(photos)
        counts: Counter[str] = Counter()
        for photo in np.random.default_rng(seed).permutation(len(self.texts)).tolist():
            labels = self.labels[photo]
            if not self.texts[photo] and any(counts[name] < NAMED_PHOTOS for name in labels):
                counts.update(labels)
                photos.append(photo)
        return photos, [self.texts[photo] or self.labels[photo] for photo in photos], described


def tokenize(
    file: Path, loaded: Captions, collection: Dataset, first: Words | None
) -> CollectionCaptions:
    """The captions that were loaded from `file`; their tokens follow those of the `first` words.

    Raises DatasetError if no training photo has a caption, or no word is frequent enough.
    """
    of_train, of_val = (
        [loaded.by_photo.get(sample.path, ()) for sample in collection.split(split)]
        for split in ("train", "val")
    )
    every = list(chain.from_iterable(of_train))
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
        tokenize_captions(of_train, tokens),
        tokenize_captions(of_val, tokens) if any(of_val) else None,
    )
