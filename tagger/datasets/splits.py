"""Who trains and who checks: photos that are the same, or nearly, stay on one side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from tagger.datasets.sample import Sample
from tagger.images.hashing import group_near_copies

T = TypeVar("T")
Pair = tuple[Path, Path]  # a photo, and the one that it is a copy of

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
NO_LABEL = -1  # what photos without any label are counted under
DRAW_SEED = 42


def draw(samples: Sequence[T], most: int) -> tuple[T, ...]:
    """No more than `most` of them, in an order of chance; the same each time."""
    order = np.random.default_rng(DRAW_SEED).permutation(len(samples))[:most]
    return tuple(samples[index] for index in order.tolist())


def remove_copies(
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


def remove_leaks(samples: list[Sample]) -> tuple[list[Sample], list[Pair]]:
    """No training photo that is a near copy of one in "val" or "test"; each left out, with that."""
    groups = group_near_copies([sample.perceptual_hash for sample in samples]).tolist()
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


def split_validation(samples: list[Sample], share: float, seed: int) -> list[Sample]:
    """Move about `share` of each label's training photos to "val", near copies together.

    Photos of rare labels are placed first, while there is room for all their labels (Sechidis et
    al., "On the Stratification of Multi-Label Data", 2011).
    """
    rng = np.random.default_rng(seed)
    groups = group_near_copies([sample.perceptual_hash for sample in samples])
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


def subsample(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    """All of them in order, or `most` of them at random."""
    if len(samples) <= most:
        return list(samples)
    rows = np.random.default_rng(seed).choice(len(samples), most, replace=False)
    return [samples[row] for row in sorted(rows.tolist())]


def split_named(name: str) -> str | None:
    """The split that a folder or a cell names: "val" for "val2017", "Valid" or "validation"."""
    return SPLIT_NAMES.get(name.strip().lower().rstrip("0123456789"))


def split_in_filename(stem: str) -> str | None:
    """The split that a file's name tells among other things: "val" for "instances_val2017"."""
    found = (split_named(word) for word in re.split(r"[\W_]+", stem))
    return next((split for split in found if split), None)
