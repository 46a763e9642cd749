"""A labelled collection on disk: found, checked, split.

A folder a label, nested as deep as you like, under `train/`, `val/` and `test/` where those are
there. Photos that are the same or nearly the same end up on one side of every split.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger import images
from tagger.errors import DatasetError, ImageError
from tagger.labels import LabelSet
from tagger.parallel import Progress, ordered_map, silent
from tagger.pixels import PixelStore

SPLITS = ("train", "val", "test")
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
VALIDATION_SHARE = 0.2
MIN_LABELS = 2
MIN_PHOTOS = 5  # of each label, to train on and to check with
NEAR_BITS = 3  # of 64: perceptual hashes this close are one photo
LAYOUT = "make one folder for each label, such as dataset/cat/ and dataset/dog/, and put photos in"


@dataclass(frozen=True)
class Sample:
    """A photo with its label; `row` is where its prepared pixels lie in the pixel store."""

    path: Path
    label: int
    split: str
    row: int = -1
    digest: str = ""
    perceptual: int = 0


@dataclass(frozen=True)
class Problems:
    """What was left out of training, and why; paths are relative to the collection.

    `leaked` are training photos whose near copy is in a given `val/` or `test/`.
    """

    unreadable: tuple[tuple[str, str], ...] = ()
    conflicting: tuple[tuple[str, ...], ...] = ()
    copies: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    unknown_labels: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One sentence for each kind that occurred."""
        found = [
            (len(self.unreadable), "could not be read"),
            (sum(map(len, self.conflicting)), "are exact copies under different labels"),
            (len(self.copies), "are exact copies of another photo of the label"),
            (len(self.leaked), "in train/ are near copies of a photo in val/ or test/"),
            (len(self.unknown_labels), "have a label that train/ lacks"),
        ]
        return [f"{count} photos {why}: left out" for count, why in found if count]


@dataclass(frozen=True)
class Collection:
    """Readable, labelled photos, split. `fingerprint` names the photos and labels it holds."""

    root: Path
    labels: LabelSet
    samples: tuple[Sample, ...]
    problems: Problems = field(default_factory=Problems)

    def split(self, name: str) -> list[Sample]:
        """The samples of "train", "val" or "test", in a fixed order."""
        return [sample for sample in self.samples if sample.split == name]

    def counts(self) -> dict[str, dict[str, int]]:
        """Photos by split and label."""
        found = Counter((sample.split, sample.label) for sample in self.samples)
        return {
            split: {name: found[split, index] for index, name in enumerate(self.labels.names)}
            for split in SPLITS
            if any(key[0] == split for key in found)
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every photo's digest, label and split."""
        lines = sorted(
            f"{sample.digest} {self.labels.names[sample.label]} {sample.split}"
            for sample in self.samples
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def load(
    root: str | os.PathLike[str],
    store: PixelStore,
    seed: int = 42,
    workers: int | None = None,
    progress: Progress = silent,
) -> Collection:
    """Read a collection: every photo decoded once, its prepared pixels kept in `store`.

    Raises DatasetError, saying what was found, where there is nothing to learn from.
    """
    root = Path(root)
    names, listed = _listed(root)
    samples, unreadable = _decoded(root, listed, store, workers, progress)
    samples, conflicting, copies = _without_copies(root, samples)
    groups = near_groups([sample.perceptual for sample in samples])
    leaked: tuple[str, ...] = ()
    given = {sample.split for sample in samples}
    if given & {"val", "test"}:
        samples, leaked = _without_leaks(root, samples, groups)
        groups = near_groups([sample.perceptual for sample in samples])
    if "val" not in given:
        samples = _stratified(samples, groups, VALIDATION_SHARE, seed)
    trained = {sample.label for sample in samples if sample.split == "train"}
    strays = tuple(_relative(root, s.path) for s in samples if s.label not in trained)
    kept = [index for index in range(len(names)) if index in trained]
    samples = [
        replace(sample, label=kept.index(sample.label))
        for sample in samples
        if sample.label in kept
    ]
    problems = Problems(unreadable, conflicting, copies, leaked, strays)
    _check_enough(root, names, samples, problems)
    labels = LabelSet(tuple(names[index] for index in kept))
    return Collection(root, labels, tuple(samples), problems)


def load_test(
    root: Path,
    labels: LabelSet,
    store: PixelStore,
    workers: int | None = None,
    progress: Progress = silent,
) -> list[Sample]:
    """Readable photos in `root`'s folders that are named as labels, all as "test"."""
    names, listed = _listed(root)
    known = [
        replace(sample, label=labels.names.index(names[sample.label]), split="test")
        for sample in listed
        if names[sample.label] in labels.names
    ]
    if not known:
        raise DatasetError(f"{root}: no folder in it is named as a label ({_few(labels.names)})")
    return _decoded(root, known, store, workers, progress)[0]


def near_groups(hashes: Sequence[int], bits: int = NEAR_BITS) -> NDArray[np.int64]:
    """A group number for each 64-bit hash: those within `bits` of each other share one.

    Hashes that close must agree in one of `bits + 1` bands (Norouzi et al. 2012,
    arXiv:1307.2982), so only those that share a band are compared.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes = np.array(hashes, dtype=np.uint64)
    pairs = [pair for band in _bands(codes, bits + 1) for pair in _close_pairs(codes, band, bits)]
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(codes), len(codes)))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


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


def _listed(root: Path) -> tuple[list[str], list[Sample]]:
    """Label names, and every photo by its place."""
    if not root.exists():
        raise DatasetError(f"{root}: no such folder; {LAYOUT}")
    if not root.is_dir():
        raise DatasetError(f"{root}: not a folder; {LAYOUT}")
    tops = _split_folders(root)
    by_label: dict[str, list[tuple[str, Path]]] = {}
    for top, split in tops:
        for folder in sorted(_subfolders(top)):
            photos = [(split, path) for path in images.walk(folder)]
            if photos:
                by_label.setdefault(folder.name, []).extend(photos)
    names = sorted(by_label)
    found = sum(map(len, by_label.values()))
    if len(names) < MIN_LABELS:
        folders = sum(len(_subfolders(top)) for top, _ in tops)
        raise DatasetError(
            f"{root}/: found {found} photos in {folders} folders, {len(names)} labels; training"
            f" needs at least {MIN_LABELS} labels: {LAYOUT}; looked for"
            f" {' '.join(sorted(images.EXTENSIONS))}"
        )
    samples = [
        Sample(path, index, split)
        for index, name in enumerate(names)
        for split, path in by_label[name]
    ]
    return names, samples


def _split_folders(root: Path) -> list[tuple[Path, str]]:
    """Folders that hold label folders, with their split."""
    folders = _subfolders(root)
    splits = [(f, _SPLIT_NAMES[f.name.lower()]) for f in folders if f.name.lower() in _SPLIT_NAMES]
    if any(split == "train" for _, split in splits):
        return splits
    if len(folders) == 1 and _subfolders(folders[0]):  # an archive's single outer folder
        return _split_folders(folders[0])
    return [(root, "train")]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _decoded(
    root: Path,
    listed: list[Sample],
    store: PixelStore,
    workers: int | None,
    progress: Progress,
) -> tuple[list[Sample], tuple[tuple[str, str], ...]]:
    def decode(sample: Sample) -> tuple[Sample, images.Pixels | None, str]:
        try:
            data = images.read_bytes(sample.path)
            pixels = images.prepare(data, store.image_size)
        except ImageError as error:
            return sample, None, str(error)
        digest = hashlib.sha256(data).hexdigest()
        seen = replace(sample, digest=digest, perceptual=images.perceptual_hash(pixels))
        return seen, pixels, ""

    samples: list[Sample] = []
    unreadable: list[tuple[str, str]] = []
    decoded = ordered_map(decode, listed, workers)
    for sample, pixels, error in progress(decoded, len(listed), "Reading photos"):
        if pixels is None:
            unreadable.append((_relative(root, sample.path), error))
        else:
            samples.append(replace(sample, row=store.append(pixels)))
    return samples, tuple(unreadable)


def _without_copies(
    root: Path, samples: list[Sample]
) -> tuple[list[Sample], tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """One of each file; none of a file that has two labels. Copies in val/ and test/ win."""
    by_digest: dict[str, list[Sample]] = {}
    for sample in samples:
        by_digest.setdefault(sample.digest, []).append(sample)
    kept: list[Sample] = []
    conflicting: list[tuple[str, ...]] = []
    copies: list[str] = []
    for same in by_digest.values():
        if len({sample.label for sample in same}) > 1:
            conflicting.append(tuple(_relative(root, sample.path) for sample in same))
            continue
        first, *rest = sorted(same, key=lambda s: -SPLITS.index(s.split))
        kept.append(first)
        copies.extend(_relative(root, sample.path) for sample in rest)
    return sorted(kept, key=lambda s: s.row), tuple(conflicting), tuple(copies)


def _without_leaks(
    root: Path, samples: list[Sample], groups: NDArray[np.int64]
) -> tuple[list[Sample], tuple[str, ...]]:
    held_out = {g for g, s in zip(groups, samples, strict=True) if s.split != "train"}
    leaks = [
        sample
        for group, sample in zip(groups, samples, strict=True)
        if sample.split == "train" and group in held_out
    ]
    rows = {sample.row for sample in leaks}
    return [s for s in samples if s.row not in rows], tuple(_relative(root, s.path) for s in leaks)


def _stratified(
    samples: list[Sample], groups: NDArray[np.int64], share: float, seed: int
) -> list[Sample]:
    """Move about `share` of each label's training photos, whole groups at a time, to "val"."""
    rng = np.random.default_rng(seed)
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
    return [
        replace(sample, split="val") if index in moved else sample
        for index, sample in enumerate(samples)
    ]


def _check_enough(root: Path, names: list[str], samples: list[Sample], problems: Problems) -> None:
    trained = Counter(s.label for s in samples if s.split == "train")
    checked = {s.label for s in samples if s.split == "val"}
    told = "; ".join(problems.lines())
    told = f" ({told})" if told else ""
    if len(trained) < MIN_LABELS:
        raise DatasetError(
            f"{root}: {len(trained)} labels with readable photos{told}; training needs at least"
            f" {MIN_LABELS}: {LAYOUT}"
        )
    few = [names[label] for label, count in trained.items() if count < MIN_PHOTOS - 1]
    few += [names[label] for label in trained if label not in checked]
    if few:
        raise DatasetError(
            f"{root}: too few readable photos of {', '.join(sorted(set(few)))}{told}; training"
            f" needs at least {MIN_PHOTOS} different ones of each label, some to check with"
        )


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
