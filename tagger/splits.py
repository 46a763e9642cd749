"""Who trains and who checks: photos that are the same, or nearly, stay on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
NEAR_BITS = 3  # of 64: perceptual hashes this close are one photo


@dataclass(frozen=True)
class Sample:
    """A photo with its label; `row` is where its prepared pixels lie in the pixel store."""

    path: Path
    label: int
    split: str
    row: int = -1
    digest: str = ""
    perceptual: int = 0


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
) -> tuple[list[Sample], list[list[Path]], list[Path]]:
    """One of each file, and none of a file that has two labels; what was left out, in that order.

    Of copies in several splits, the one in "test" or "val" stays.
    """
    by_digest: dict[str, list[Sample]] = {}
    for sample in samples:
        by_digest.setdefault(sample.digest, []).append(sample)
    kept: list[Sample] = []
    conflicting: list[list[Path]] = []
    copies: list[Path] = []
    for same in by_digest.values():
        if len({sample.label for sample in same}) > 1:
            conflicting.append([sample.path for sample in same])
            continue
        first, *rest = sorted(same, key=lambda sample: -SPLITS.index(sample.split))
        kept.append(first)
        copies.extend(sample.path for sample in rest)
    return sorted(kept, key=lambda sample: sample.row), conflicting, copies


def without_leaks(samples: list[Sample]) -> tuple[list[Sample], list[Path]]:
    """No training photo that is a near copy of one in "val" or "test"; those left out."""
    groups = near_groups([sample.perceptual for sample in samples]).tolist()
    held_out = {g for g, s in zip(groups, samples, strict=True) if s.split != "train"}
    kept, leaks = [], []
    for group, sample in zip(groups, samples, strict=True):
        if sample.split == "train" and group in held_out:
            leaks.append(sample.path)
        else:
            kept.append(sample)
    return kept, leaks


def stratified(samples: list[Sample], share: float, seed: int) -> list[Sample]:
    """Move about `share` of each label's training photos to "val", near copies together."""
    rng = np.random.default_rng(seed)
    groups = near_groups([sample.perceptual for sample in samples])
    members: dict[int, list[int]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "train":
            members.setdefault(int(groups[index]), []).append(index)
    wanted = Counter(s.label for s in samples if s.split == "train")
    room = {label: max(1, round(count * share)) for label, count in wanted.items()}
    moved: set[int] = set()
    for key in rng.permutation(sorted(members)):
        needs = Counter(samples[index].label for index in members[int(key)])
        if all(room[label] >= count for label, count in needs.items()):
            moved.update(members[int(key)])
            for label, count in needs.items():
                room[label] -= count
    served = {samples[index].label for index in moved}
    for label in set(wanted) - served:  # its groups are all larger than its share: the smallest
        groups_of = [rows for rows in members.values() if samples[rows[0]].label == label]
        if len(groups_of) > 1:
            smallest: list[int] = min(groups_of, key=len)
            moved.update(smallest)
    return [
        replace(sample, split="val") if index in moved else sample
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
