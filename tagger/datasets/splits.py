"""Who trains and who checks: photos that are the same, or nearly, stay on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tagger.images.quality import Quality

T = TypeVar("T")
Pair = tuple[Path, Path]  # a photo, and the one that it is a copy of

SPLITS = ("train", "val", "test")
NO_LABEL = -1  # what photos without any label are counted under
DRAW_SEED = 42
NEAR_BITS = 3  # of 64: perceptual hashes this close are one photo


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
    perceptual: int = 0
    unseen: tuple[int, ...] = ()
    quality: Quality | None = None

    @property
    def label(self) -> int:
        """The one label of a photo that has exactly one."""
        (label,) = self.present
        return label


def cells(samples: Sequence[Sample], count: int) -> NDArray[np.int8]:
    """`(N, C)` for `count` tags: 1 present, 0 absent, -1 where nobody looked."""
    table = np.full((len(samples), count), ABSENT, np.int8)
    for row, sample in enumerate(samples):
        table[row, list(sample.present)] = PRESENT
        table[row, list(sample.unseen)] = UNSEEN
    return table


def together(known: NDArray[np.int8]) -> NDArray[np.int8]:
    """What is known `(C,)` of photos `(N, C)` seen as one: absent is what none of them has."""
    present = (known == PRESENT).any(axis=0)
    absent = (known == ABSENT).all(axis=0)
    return np.where(present, PRESENT, np.where(absent, ABSENT, UNSEEN)).astype(np.int8)


def drawn(samples: Sequence[T], most: int) -> tuple[T, ...]:
    """No more than `most` of them, in an order of chance; the same each time."""
    order = np.random.default_rng(DRAW_SEED).permutation(len(samples))[:most]
    return tuple(samples[index] for index in order.tolist())


def near_groups(hashes: Sequence[int], bits: int = NEAR_BITS) -> NDArray[np.int64]:
    """A group number for each 64-bit hash: those within `bits` of each other share one.

    Hashes that close agree in at least one of `bits + 1` bands, so only those that share a band
    are compared (Norouzi et al. 2012, arXiv:1307.2982).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes, places = np.unique(np.array(hashes, dtype=np.uint64), return_inverse=True)
    pairs = [pair for band in _bands(codes, bits + 1) for pair in _close_pairs(codes, band, bits)]
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(codes), len(codes)))
    groups = connected_components(links, directed=False)[1]
    return np.asarray(groups[places], dtype=np.int64)


def without_copies(
    samples: list[Sample],
) -> tuple[list[Sample], list[list[Path]], list[Pair]]:
    """One of each file, and none of a file whose labels disagree.

    And what was left out: those that disagree, and the others, each with the one that stays. Of
    copies in several splits that is the one in "test" or "val"; it knows what any of them knew.
    """
    by_digest: dict[str, list[Sample]] = {}
    for sample in samples:
        by_digest.setdefault(sample.digest, []).append(sample)
    kept: list[Sample] = []
    conflicting: list[list[Path]] = []
    copies: list[Pair] = []
    for same in by_digest.values():
        first, *rest = sorted(same, key=lambda sample: -SPLITS.index(sample.split))
        present = {label for sample in same for label in sample.present}
        if any(present - {*sample.present, *sample.unseen} for sample in same):
            conflicting.append([sample.path for sample in same])
            continue
        unseen = set(first.unseen).intersection(*(sample.unseen for sample in rest)) - present
        kept.append(replace(first, present=tuple(sorted(present)), unseen=tuple(sorted(unseen))))
        copies.extend((sample.path, first.path) for sample in rest)
    return sorted(kept, key=lambda sample: sample.row), conflicting, copies


def without_leaks(samples: list[Sample]) -> tuple[list[Sample], list[Pair]]:
    """No training photo that is a near copy of one in "val" or "test"; each left out, with that."""
    groups = near_groups([sample.perceptual for sample in samples]).tolist()
    held_out: dict[int, Path] = {}
    for group, sample in zip(groups, samples, strict=True):
        if sample.split != "train":
            held_out.setdefault(group, sample.path)
    kept: list[Sample] = []
    leaks: list[Pair] = []
    for group, sample in zip(groups, samples, strict=True):
        if sample.split == "train" and group in held_out:
            leaks.append((sample.path, held_out[group]))
        else:
            kept.append(sample)
    return kept, leaks


def stratified(samples: list[Sample], share: float, seed: int) -> list[Sample]:
    """Move about `share` of each label's training photos to "val", near copies together.

    Photos of rare labels are placed first, while there is room for all their labels (Sechidis et
    al., "On the Stratification of Multi-Label Data", 2011).
    """
    rng = np.random.default_rng(seed)
    groups = near_groups([sample.perceptual for sample in samples])
    members: dict[int, list[int]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "train":
            members.setdefault(int(groups[index]), []).append(index)
    needs = {
        key: Counter(label for row in rows for label in samples[row].present or (NO_LABEL,))
        for key, rows in members.items()
    }
    wanted = sum(needs.values(), Counter[int]())
    room = {label: max(1, round(count * share)) for label, count in wanted.items()}
    moved: set[int] = set()
    order = rng.permutation(sorted(members)).tolist()
    for key in sorted(order, key=lambda key: min(wanted[label] for label in needs[key])):
        if all(room[label] >= count for label, count in needs[key].items()):
            moved.add(key)
            for label, count in needs[key].items():
                room[label] -= count
    for label in sorted(wanted, key=lambda label: (wanted[label], label)):
        holding = [key for key in members if label in needs[key]]
        if len(holding) > 1 and not moved.intersection(holding):  # all larger than its share
            moved.add(min(holding, key=lambda key: len(members[key])))
    checked = {row for key in moved for row in members[key]}
    return [
        replace(sample, split="val") if index in checked else sample
        for index, sample in enumerate(samples)
    ]


def _bands(codes: NDArray[np.uint64], count: int) -> Iterator[NDArray[np.uint64]]:
    width = 64 // count
    for band in range(count):
        yield (codes >> np.uint64(band * width)) & np.uint64((1 << width) - 1)


def _close_pairs(
    codes: NDArray[np.uint64], band: NDArray[np.uint64], bits: int
) -> Iterator[tuple[int, int]]:
    order = np.argsort(band, kind="stable")
    edges = np.flatnonzero(np.diff(band[order])) + 1
    for bucket in np.split(order, edges):
        for place, index in enumerate(bucket[:-1]):
            rest = bucket[place + 1 :]
            near = rest[np.bitwise_count(codes[rest] ^ codes[index]) <= bits]
            yield from ((int(index), int(other)) for other in near)


def sampled(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    """All of them in order, or `most` of them at random."""
    if len(samples) <= most:
        return list(samples)
    rows = np.random.default_rng(seed).choice(len(samples), most, replace=False)
    return [samples[row] for row in sorted(rows.tolist())]
