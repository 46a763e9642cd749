"""Train/validation/test split; copies and near copies of a photo stay together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from tagger.datasets.sample import Sample, contradict, merge_copies
from tagger.images.hashing import group_near_copies

T = TypeVar("T")
Copy = tuple[Path, Path]  # a photo, and the photo that it is a copy of

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {  # words in names of folders, files and cells, in lower case
    **dict.fromkeys(("train", "training", "trainval", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "vld", "dev"), "val"),
    **dict.fromkeys(("eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "tst"), "test"),
}
DRAW_SEED = 42

_NO_LABEL = -1  # stands for the label of photos without any, so that they are split as well

# What else the name of a split may hold: "training_set", "seg_train", "ValImages", "test_224x224".
_AFFIX = (
    "(?:sets?|data|images?|imgs?|photos?|pictures?|pics?|files?|folders?|samples?|seg|splits?|jpe?g"
    "|png|raw|full|final|resized|cropped|my|the|v|x|px)"
)
_SPLIT = f"(?P<split>{'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})"
_SPLIT_WORD = re.compile(f"{_AFFIX}{{0,2}}{_SPLIT}{_AFFIX}{{0,2}}")
_AFFIX_WORD = re.compile(f"{_AFFIX}{{1,3}}")
_WORD = re.compile(r"[^\W\d_]+")


def split_named(name: str) -> str | None:
    """The split that a folder or cell is named for: "val" for "val2017", "Valid", "dev_set"."""
    split, rest = _split_and_rest(name)
    return None if rest else split


def split_folders(names: Iterable[str]) -> dict[str, str]:
    """Those of the folders in a folder that are named for splits, each with its split.

    Beside one of another split, a name may hold further words: "pets_train" beside "pets_test".
    """
    by_rest: dict[str, dict[str, str]] = {}
    for name in names:
        split, rest = _split_and_rest(name)
        if split:
            by_rest.setdefault(rest, {})[name] = split
    plain = by_rest.pop("", {})
    return plain | {
        name: split
        for splits in by_rest.values()
        if len({*splits.values()}) > 1
        for name, split in splits.items()
    }


def split_in_words(name: str) -> str | None:
    """The split that is among the words of a name, whatever the others: "test" for "test_stg1"."""
    return _split_and_rest(name)[0]


def split_in_filename(stem: str) -> str | None:
    """The split that is a word of a file name: "val" for "instances_val2017"."""
    splits = (split_named(word) for word in re.split(r"[\W_]+", stem))
    return next((split for split in splits if split), None)


@lru_cache(maxsize=4096)
def _split_and_rest(name: str) -> tuple[str | None, str]:
    """The split among the words of a name, and its words that are neither that nor an affix."""
    split, rest = None, []
    for word in _WORD.findall(name.lower()):
        match = _SPLIT_WORD.fullmatch(word)
        if match and split is None:
            split = SPLIT_NAMES[match["split"]]
        elif not _AFFIX_WORD.fullmatch(word):
            rest.append(word)
    return split, " ".join(rest)


def draw(items: Sequence[T], limit: int) -> tuple[T, ...]:
    """At most `limit` items in random order, the same on every call."""
    order = np.random.default_rng(DRAW_SEED).permutation(len(items))[:limit]
    return tuple(items[index] for index in order.tolist())


def subsample(samples: Sequence[T], limit: int, seed: int) -> list[T]:
    """At most `limit` random samples, in their order."""
    if len(samples) <= limit:
        return list(samples)
    rows = np.random.default_rng(seed).choice(len(samples), limit, replace=False)
    return [samples[row] for row in sorted(rows.tolist())]


def remove_copies(samples: list[Sample]) -> tuple[list[Sample], list[list[Path]], list[Copy]]:
    """Keep one sample of each file, and none of files whose labels contradict each other.

    Returns the samples kept, the groups of contradicting copies, and each removed copy with its
    kept sample. A copy in "test" or "val" is preferred; it gets the labels of all its copies, see
    `merge_copies`.
    """
    by_digest: dict[str, list[Sample]] = {}
    for sample in samples:
        by_digest.setdefault(sample.digest, []).append(sample)
    kept: list[Sample] = []
    conflicting: list[list[Path]] = []
    copies: list[Copy] = []
    for same in by_digest.values():
        first, *rest = sorted(same, key=lambda sample: -SPLITS.index(sample.split))
        if contradict(same):
            conflicting.append([sample.path for sample in same])
            continue
        kept.append(merge_copies([first, *rest]))
        copies.extend((sample.path, first.path) for sample in rest)
    return sorted(kept, key=lambda sample: sample.row), conflicting, copies


def remove_leaks(samples: list[Sample]) -> tuple[list[Sample], list[Copy]]:
    """Remove training photos that are near copies of one in "val" or "test".

    Returns the samples kept, and the photos removed, each with its near copy.
    """
    groups = group_near_copies([sample.perceptual_hash for sample in samples]).tolist()
    held_out: dict[int, Path] = {}
    for group, sample in zip(groups, samples, strict=True):
        if sample.split != "train":
            held_out.setdefault(group, sample.path)
    kept: list[Sample] = []
    leaks: list[Copy] = []
    for group, sample in zip(groups, samples, strict=True):
        if sample.split == "train" and group in held_out:
            leaks.append((sample.path, held_out[group]))
        else:
            kept.append(sample)
    return kept, leaks


def split_validation(samples: list[Sample], share: float, seed: int) -> list[Sample]:
    """Move about `share` of each label's training photos to "val", near copies together.

    Photos of rare labels are moved first, as long as none of their labels exceeds its share
    (Sechidis et al., "On the Stratification of Multi-Label Data", 2011).
    """
    rng = np.random.default_rng(seed)
    groups = group_near_copies([sample.perceptual_hash for sample in samples])
    members: dict[int, list[int]] = {}
    for index, sample in enumerate(samples):
        if sample.split == "train":
            members.setdefault(int(groups[index]), []).append(index)
    label_counts = {
        group: Counter(label for row in rows for label in samples[row].present or (_NO_LABEL,))
        for group, rows in members.items()
    }
    totals = sum(label_counts.values(), Counter[int]())
    room = {label: max(1, round(count * share)) for label, count in totals.items()}
    moved: set[int] = set()
    order = rng.permutation(sorted(members)).tolist()
    for group in sorted(
        order, key=lambda group: min(totals[label] for label in label_counts[group])
    ):
        if all(room[label] >= count for label, count in label_counts[group].items()):
            moved.add(group)
            for label, count in label_counts[group].items():
                room[label] -= count
    for label in sorted(totals, key=lambda label: (totals[label], label)):
        holding = [group for group in members if label in label_counts[group]]
        if len(holding) > 1 and not moved.intersection(holding):  # each exceeds the label's share
            moved.add(min(holding, key=lambda group: len(members[group])))
    validation = {row for group in moved for row in members[group]}
    return [
        replace(sample, split="val") if index in validation else sample
        for index, sample in enumerate(samples)
    ]
