"""A labelled collection on disk: found, checked, split.

A folder a label, nested as deep as you like, under `train/`, `val/` and `test/` where those are
there. Photos that are the same or nearly the same end up on one side of every split.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagger import images
from tagger.errors import DatasetError, ImageError
from tagger.files import spelled_out
from tagger.labels import LabelSet
from tagger.parallel import Progress, ordered_map, silent
from tagger.pixels import PixelStore
from tagger.splits import SPLITS, Sample, stratified, without_copies, without_leaks

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
FEW_TO_CHECK = 20  # validation photos of a label, below which its figures prove little
LAYOUT = "make one folder for each label, such as dataset/cat/ and dataset/dog/, and put photos in"


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
    ignored: tuple[str, ...] = ()
    lost_labels: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One sentence for each kind that occurred."""
        several = "are exact copies under different labels"
        found = [
            (len(self.unreadable), "could not be read", "could not be read"),
            (sum(map(len, self.conflicting)), several, several),
            (
                len(self.copies),
                "is an exact copy of another photo of the label",
                "are exact copies of another photo of the label",
            ),
            (
                len(self.leaked),
                "in train/ is a near copy of a photo in val/ or test/",
                "in train/ are near copies of a photo in val/ or test/",
            ),
            (
                len(self.unknown_labels),
                "has a label that train/ lacks",
                "have a label that train/ lacks",
            ),
            (len(self.ignored), "is in no label's folder", "are in no label's folder"),
        ]
        lines = [
            f"{_counted(count, 'photo')} {one if count == 1 else many}: left out"
            for count, one, many in found
            if count
        ]
        lost = [f"no photo of {name} is left to train on: not a label" for name in self.lost_labels]
        return lines + lost


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
    found = survey(root, store, seed, workers, progress)
    check_enough(found)
    return found


def survey(
    root: str | os.PathLike[str],
    store: PixelStore,
    seed: int = 42,
    workers: int | None = None,
    progress: Progress = silent,
) -> Collection:
    """As `load`, whether or not the photos are enough to learn from: see `check_enough`."""
    root = Path(root)
    names, listed = _listed(root, MIN_LABELS)
    ignored = sorted(set(images.walk(root)) - {sample.path for sample in listed})
    samples, unreadable = _decoded(root, listed, store, workers, progress)
    samples, conflicting, copies = without_copies(samples)
    leaked: list[Path] = []
    given = {sample.split for sample in samples}
    if given & {"val", "test"}:
        samples, leaked = without_leaks(samples)
    if "val" not in given:
        samples = stratified(samples, VALIDATION_SHARE, seed)
    trained = {sample.label for sample in samples if sample.split == "train"}
    strays = [sample.path for sample in samples if sample.label not in trained]
    kept = [index for index in range(len(names)) if index in trained]
    samples = [
        replace(sample, label=kept.index(sample.label))
        for sample in samples
        if sample.label in kept
    ]
    problems = Problems(
        unreadable=unreadable,
        conflicting=tuple(_relative(root, same) for same in conflicting),
        copies=_relative(root, copies),
        leaked=_relative(root, leaked),
        unknown_labels=_relative(root, strays),
        ignored=_relative(root, ignored),
        lost_labels=tuple(name for index, name in enumerate(names) if index not in kept),
    )
    if not kept:
        raise DatasetError(_too_few_labels(root, 0, problems))
    labels = LabelSet(tuple(names[index] for index in kept))
    return Collection(root, labels, tuple(samples), problems)


def check_enough(collection: Collection) -> None:
    """DatasetError unless there are photos enough of labels enough."""
    root, names, problems = collection.root, collection.labels.names, collection.problems
    if len(names) < MIN_LABELS:
        raise DatasetError(_too_few_labels(root, len(names), problems))
    trained = Counter(sample.label for sample in collection.split("train"))
    checked = {sample.label for sample in collection.split("val")}
    few = [
        name
        for label, name in enumerate(names)
        if trained[label] < MIN_PHOTOS - 1 or label not in checked
    ]
    if few:
        raise DatasetError(
            f"{root}: too few readable photos of {', '.join(few)}{_told(problems)}; training needs"
            f" at least {MIN_PHOTOS} different ones of each label, some to check with"
        )


def _too_few_labels(root: Path, count: int, problems: Problems) -> str:
    return (
        f"{root}: {_counted(count, 'label')} with readable photos{_told(problems)}; training needs"
        f" at least {MIN_LABELS}: {LAYOUT}"
    )


def _told(problems: Problems) -> str:
    told = "; ".join(problems.lines())
    return f" ({told})" if told else ""


def load_test(
    root: Path,
    labels: LabelSet,
    store: PixelStore,
    workers: int | None = None,
    progress: Progress = silent,
) -> tuple[list[Sample], tuple[tuple[str, str], ...]]:
    """Readable photos in `root`'s folders that are named as labels, all as "test".

    And those that could not be read, each with its reason. Raises DatasetError where none could.
    """
    names, listed = _listed(root, 1)
    known = [
        replace(sample, label=labels.names.index(names[sample.label]), split="test")
        for sample in listed
        if names[sample.label] in labels.names
    ]
    if not known:
        raise DatasetError(f"{root}: no folder in it is named as a label ({_few(labels.names)})")
    samples, unreadable = _decoded(root, known, store, workers, progress)
    if not samples:
        raise DatasetError(f"{root}: none of its {len(known)} photos could be read")
    return samples, unreadable


def too_few_to_check(checked: Mapping[str, int]) -> str | None:
    """A sentence where some labels have few validation photos; `checked` counts them by label."""
    few = [f"{count:,} of {name}" for name, count in checked.items() if count < FEW_TO_CHECK]
    if not few:
        return None
    return (
        f"Validation photos: only {_few(few)}; with so few photos to check with, the figures prove"
        " little"
    )


def _listed(root: Path, least: int) -> tuple[list[str], list[Sample]]:
    """Label names, at least so many, and every photo by its place."""
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
    if names:
        LabelSet(tuple(names))  # a name no model file could hold is refused before any work
    if len(names) < least:
        folders = sum(len(_subfolders(top)) for top, _ in tops)
        raise DatasetError(
            f"{root}/: found {_counted(found, 'photo')} in {_counted(folders, 'folder')},"
            f" {_counted(len(names), 'label')}; needs at least {_counted(least, 'label')}:"
            f" {LAYOUT}; looked for {' '.join(sorted(images.EXTENSIONS))}"
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
    if any(split == "train" and _subfolders(folder) for folder, split in splits):
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
            return sample, None, _reason(error, sample.path)
        digest = hashlib.sha256(data).hexdigest()
        seen = replace(sample, digest=digest, perceptual=images.perceptual_hash(pixels))
        return seen, pixels, ""

    samples: list[Sample] = []
    unreadable: list[tuple[str, str]] = []
    decoded = ordered_map(decode, listed, workers)
    for sample, pixels, error in progress(decoded, len(listed), "Reading photos"):
        if pixels is None:
            unreadable.append((_relative(root, [sample.path])[0], error))
        else:
            samples.append(replace(sample, row=store.append(pixels)))
    return samples, tuple(unreadable)


def _reason(error: ImageError, path: Path) -> str:
    """Why a photo cannot be read, without the name that the error begins with."""
    return str(error).removeprefix("photo: ").removeprefix(f"{spelled_out(os.fsdecode(path))}: ")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _relative(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.relative_to(root).as_posix() for path in paths)
