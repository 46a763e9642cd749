"""A labelled photo of a dataset, and matrices of the tags of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from tagger.images.quality import Quality

PRESENT, ABSENT, UNSEEN = 1, 0, -1  # a tag's state in a photo; unseen: nobody looked for it
LIKELY = 0.5  # probability of a doubtful tag, from which on it counts as present


@dataclass(frozen=True)
class Sample:
    """A photo with its labels, by number.

    `present` holds exactly one label where the dataset's kind is "single", and any number of tags
    where it is "multi". Nobody looked for the tags in `unseen`; all others are absent. `doubtful`
    are tags with the probability in (0, 1) that the photo has them, such as the share of people
    who say so: training aims at it, and for evaluation the tag is in `present` from LIKELY on, else
    in `unseen`. Decoding fills in `row`, the position in the pixel store, `digest`,
    `perceptual_hash` and `quality`.
    """

    path: Path
    present: tuple[int, ...]
    split: str
    row: int = -1
    digest: str = ""  # SHA-256 of the file
    perceptual_hash: int = 0
    unseen: tuple[int, ...] = ()
    doubtful: tuple[tuple[int, float], ...] = ()
    quality: Quality | None = None

    @property
    def label(self) -> int:
        """The label of a photo that has exactly one."""
        (label,) = self.present
        return label

    @property
    def undecided(self) -> frozenset[int]:
        """The tags that are neither surely present nor surely absent."""
        return frozenset((*self.unseen, *(tag for tag, _ in self.doubtful)))

    def keep_labels(self, labels: Sequence[int]) -> Sample:
        """The sample with only these labels, each numbered by its position among them."""
        numbers = {old: new for new, old in enumerate(labels)}
        return replace(
            self,
            present=tuple(numbers[label] for label in self.present if label in numbers),
            unseen=tuple(numbers[label] for label in self.unseen if label in numbers),
            doubtful=tuple((numbers[tag], p) for tag, p in self.doubtful if tag in numbers),
        )


def contradict(samples: Sequence[Sample]) -> bool:
    """Whether a label is surely present in one of these photos and surely absent from another."""
    present = {label for sample in samples for label in {*sample.present} - sample.undecided}
    return any(present - {*sample.present, *sample.unseen} for sample in samples)


def merge_copies(samples: Sequence[Sample]) -> Sample:
    """The first of some copies of a photo, with what all of them say of its labels.

    They must not contradict each other. A copy that is certain of a tag counts; where none is, the
    mean of their probabilities does.
    """
    present = {label for sample in samples for label in {*sample.present} - sample.undecided}
    undecided = frozenset.intersection(*(sample.undecided for sample in samples))
    probabilities: dict[int, list[float]] = {}
    for sample in samples:
        for tag, probability in sample.doubtful:
            probabilities.setdefault(tag, []).append(probability)
    doubtful = {tag: fmean(p) for tag, p in sorted(probabilities.items()) if tag in undecided}
    present |= {tag for tag, probability in doubtful.items() if probability >= LIKELY}
    return replace(
        samples[0],
        present=tuple(sorted(present)),
        unseen=tuple(sorted(undecided - present)),
        doubtful=tuple(doubtful.items()),
    )


def tag_matrix(samples: Sequence[Sample], count: int) -> NDArray[np.int8]:
    """The states `(N, C)` of `count` tags: 1 present, 0 absent, -1 unseen."""
    matrix = np.full((len(samples), count), ABSENT, np.int8)
    for row, sample in enumerate(samples):
        matrix[row, list(sample.present)] = PRESENT
        matrix[row, list(sample.unseen)] = UNSEEN
    return matrix


def target_matrix(samples: Sequence[Sample], count: int) -> NDArray[np.float32]:
    """What training aims at `(N, C)`: the probabilities of `count` tags, NaN where unseen."""
    targets = to_targets(tag_matrix(samples, count))
    for row, sample in enumerate(samples):
        for tag, probability in sample.doubtful:
            targets[row, tag] = probability
    return targets


def to_targets(states: NDArray[np.int8]) -> NDArray[np.float32]:
    """The probabilities `(N, C)` of tags in these states, NaN where unseen."""
    targets = states.astype(np.float32)
    targets[states == UNSEEN] = np.nan
    return targets


def merge_tag_rows(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """The targets `(C,)` of photos `(N, C)` put together; a tag is absent if none has it.

    Unseen in one of them, it is unseen, unless it is likely in another.
    """
    highest = np.fmax.reduce(targets, axis=0)
    is_unseen = np.isnan(targets).any(axis=0) & ~(highest >= LIKELY)
    return np.where(is_unseen, np.nan, highest).astype(np.float32)
