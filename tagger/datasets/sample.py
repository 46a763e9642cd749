"""A labelled photo of a dataset, and the table of tags of many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.images.quality import Quality

PRESENT, ABSENT, UNSEEN = 1, 0, -1  # what is known of a tag in a photo; unseen: nobody looked


@dataclass(frozen=True)
class Sample:
    """A photo with its labels, by number.

    `present` holds one label where the collection's kind is "single", any number where it is
    "multi"; `unseen` are the tags that nobody looked for, and all others are absent. `row` is
    where the prepared pixels lie in the pixel store.
    """

    path: Path
    present: tuple[int, ...]
    split: str
    row: int = -1
    digest: str = ""
    perceptual_hash: int = 0
    unseen: tuple[int, ...] = ()
    quality: Quality | None = None

    @property
    def label(self) -> int:
        """The one label of a photo that has exactly one."""
        (label,) = self.present
        return label


def tag_matrix(samples: Sequence[Sample], count: int) -> NDArray[np.int8]:
    """`(N, C)` for `count` tags: 1 present, 0 absent, -1 where nobody looked."""
    table = np.full((len(samples), count), ABSENT, np.int8)
    for row, sample in enumerate(samples):
        table[row, list(sample.present)] = PRESENT
        table[row, list(sample.unseen)] = UNSEEN
    return table


def merge_tag_rows(known: NDArray[np.int8]) -> NDArray[np.int8]:
    """What is known `(C,)` of photos `(N, C)` seen as one: absent is what none of them has."""
    present = (known == PRESENT).any(axis=0)
    absent = (known == ABSENT).all(axis=0)
    return np.where(present, PRESENT, np.where(absent, ABSENT, UNSEEN)).astype(np.int8)
