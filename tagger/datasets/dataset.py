"""A labelled dataset on disk: its photos decoded, checked and split."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tagger.concurrency import Progress, silent
from tagger.datasets.loading import decode_samples, relative_path
from tagger.datasets.none_of_these import add_photos, drop_copies
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.readers import detect
from tagger.datasets.readers.listing import LAYOUT, Listing, Remark
from tagger.datasets.sample import Sample
from tagger.datasets.splits import SPLITS, Copy, remove_copies, remove_leaks, split_validation
from tagger.errors import DatasetError
from tagger.files import Skipped
from tagger.labels import LabelSet
from tagger.text import LISTED, count_noun, list_first

VALIDATION_SHARE = 0.2
MIN_LABELS = 2  # of single labels; one tag is enough
MIN_PHOTOS = 5  # of each label, for training and validation together
MIN_VALIDATION_PHOTOS = 2  # where photos may have several tags
MAX_LISTED = 20  # labels in a line about a split
FEW_VALIDATION_PHOTOS = 20  # of a label: with fewer, its figures prove little


@dataclass(frozen=True)
class Problems:
    """Photos and labels left out of training; paths are relative to the dataset."""

    unreadable: tuple[tuple[str, str], ...] = ()  # photo and reason
    conflicting: tuple[tuple[str, ...], ...] = ()  # exact copies whose labels contradict each other
    copies: tuple[tuple[str, ...], ...] = ()  # exact copy, and the photo that is kept
    leaked: tuple[tuple[str, ...], ...] = ()  # training photo, and its near copy in val/ or test/
    unknown_labels: tuple[str, ...] = ()  # photos of a label without training photos
    ignored: tuple[str, ...] = ()  # photos without labels
    unwanted: tuple[str, ...] = ()  # photos on the user's list of what to leave out
    not_there: tuple[str, ...] = ()  # entries of that list that are not in the dataset
    lost_labels: tuple[str, ...] = ()  # labels with too few training photos
    case_variants: tuple[tuple[str, ...], ...] = ()  # labels that differ in case alone
    remarks: tuple[Remark, ...] = ()  # what the reader of the labels left out
    skipped: Skipped = field(default_factory=Skipped)  # what the walk did not enter

    @property
    def unread(self) -> tuple[tuple[str, str], ...]:
        """The folders that could not be opened, and the unreadable photos, each with the reason."""
        return (*self.skipped.unopened, *self.unreadable)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, as in `metrics.json` and the result of the check before training."""
        remarks = [remark.to_dict() for remark in self.remarks]
        values: dict[str, Any] = asdict(self)
        return {**values.pop("skipped"), **values, "remarks": remarks}

    def lines(self, with_case: bool = True) -> list[str]:
        """A sentence for each kind of problem; `with_case` also labels that differ in case."""
        same = "are exact copies under different labels"  # there are always several
        lines = [
            f"{count_noun(count, 'photo')} {singular if count == 1 else plural}: left out"
            for count, singular, plural in (
                (len(self.unreadable), "could not be read", "could not be read"),
                (sum(map(len, self.conflicting)), same, same),
                (
                    len(self.copies),
                    "is an exact copy of another photo",
                    "are exact copies of another photo",
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
                (len(self.ignored), "has no label", "have no label"),
                (len(self.unwanted), "is on your list", "are on your list"),
            )
            if count
        ]
        lines = self.skipped.sentences() + lines
        if missing := len(self.not_there):
            verb = "is" if missing == 1 else "are"
            photos = count_noun(missing, "photo")
            lines.append(f"{photos} on your list {verb} not in the collection")
        lines += [remark.sentence() for remark in self.remarks]
        lines += self._case_lines() if with_case else []
        if len(self.lost_labels) == 1:
            lines.append(f"too few photos of {self.lost_labels[0]} to train on: not a label")
        elif self.lost_labels:
            names = f"{count_noun(len(self.lost_labels), 'label')} ({list_first(self.lost_labels)})"
            lines.append(f"too few photos of {names} to train on: not labels")
        return lines

    def _case_lines(self) -> list[str]:
        lines = [
            f"{', '.join(most)} and {last}: one label? --merge-case makes them one"
            for *most, last in self.case_variants[:LISTED]
        ]
        if more := len(self.case_variants[LISTED:]):
            lines.append(f"{count_noun(more, 'more label')} in several cases: one each?")
        return lines


@dataclass(frozen=True)
class Dataset:
    """Readable, labelled photos, split.

    `label_format` names the format of the labels: "CSV". `label_counts` are the photos by label in
    the whole collection, with those that are left out.
    """

    root: Path
    labels: LabelSet
    samples: tuple[Sample, ...]
    problems: Problems = field(default_factory=Problems)
    label_format: str = ""
    label_counts: Mapping[str, int] = field(default_factory=dict)

    def describe_labels(self) -> str:
        """The format and the number of the labels: "CSV, 58 tags"."""
        noun = "label" if self.labels.kind == "single" else "tag"
        return f"{self.label_format}, {count_noun(len(self.labels), noun)}"

    def split(self, name: str) -> list[Sample]:
        """The samples of "train", "val" or "test", in a fixed order."""
        return [sample for sample in self.samples if sample.split == name]

    def counts(self) -> dict[str, dict[str, int]]:
        """Photos by split and label; a photo with several labels counts for each."""
        counts = Counter(
            (sample.split, label) for sample in self.samples for label in sample.present
        )
        return {
            split: {name: counts[split, index] for index, name in enumerate(self.labels.names)}
            for split in self.sizes()
        }

    def copies(self) -> dict[Path, Path]:
        """The exact copies that are left out, each with the photo that is kept."""
        return {self.root / copy: self.root / kept for copy, kept in self.problems.copies}

    def split_lines(self) -> list[str]:
        """A line for each split with photos: "train: 48 photos (24 cat, 24 dog)"."""
        sizes = self.sizes()
        return [
            f"{split}: {count_noun(sizes[split], 'photo')}"
            f" ({list_first([f'{count:,} {name}' for name, count in counts.items()], MAX_LISTED)})"
            for split, counts in self.counts().items()
        ]

    def sizes(self) -> dict[str, int]:
        """Photos by split."""
        counts = Counter(sample.split for sample in self.samples)
        return {split: counts[split] for split in SPLITS if counts[split]}

    def keep_labels(self, numbers: Sequence[int]) -> Dataset:
        """The same photos with only these tags."""
        names = tuple(self.labels.names[number] for number in numbers)
        return replace(
            self,
            labels=LabelSet(names, self.labels.kind),
            samples=tuple(sample.keep_labels(numbers) for sample in self.samples),
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the digest, labels and split of every photo."""
        names = self.labels.names
        lines = []
        for sample in self.samples:
            present = "|".join(names[label] for label in sample.present)
            unseen = "".join(f"?{names[label]}" for label in sample.unseen)
            doubtful = "".join(f"~{names[tag]}={p}" for tag, p in sample.doubtful)
            lines.append(f"{sample.digest} {present}{unseen}{doubtful} {sample.split}")
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def load(
    root: str | os.PathLike[str],
    store: PixelStore,
    seed: int = 42,
    workers: int | None = None,
    progress: Progress = silent,
    validation_share: float = VALIDATION_SHARE,
    leave_out: Collection[str] = (),
    require_enough: bool = True,
    merge_case: bool = False,
    none_of_these: Path | None = None,
) -> Dataset:
    """Read a dataset: each photo is decoded once, its prepared pixels are kept in `store`.

    `leave_out` are paths of photos, relative to `root`, to leave out. With `merge_case`, labels
    that differ in case alone are one. `none_of_these` is a folder of photos that have none of the
    labels, which are tags then. Raises DatasetError where there are no labels to learn, and
    with `require_enough` also where `check_enough` does.
    """
    root = Path(root)
    listing = detect.read(root, MIN_LABELS if none_of_these is None else 1, merge_case)
    if none_of_these is not None:
        listing = add_photos(listing, none_of_these)
    problems = _listed_problems(root, listing, leave_out)
    remaining = [s for s in listing.samples if relative_path(root, s.path) not in leave_out]
    samples, unreadable = decode_samples(root, remaining, store, workers, progress)
    if none_of_these is not None:
        samples = drop_copies(samples, none_of_these)
    samples, conflicting, copies = remove_copies(samples)
    leaked: list[Copy] = []
    splits = {sample.split for sample in samples}
    if splits & {"val", "test"}:
        samples, leaked = remove_leaks(samples)
    if "val" not in splits:
        samples = split_validation(samples, validation_share, seed)
    labels = _trainable_labels(listing, samples)
    strays: list[Path] = []
    if listing.kind == "single":
        strays = [sample.path for sample in samples if sample.label not in labels]
        samples = [sample for sample in samples if sample.label in labels]
    problems = replace(
        problems,
        unreadable=unreadable,
        conflicting=tuple(_relative(root, paths) for paths in conflicting),
        copies=tuple(_relative(root, pair) for pair in copies),
        leaked=tuple(_relative(root, pair) for pair in leaked),
        unknown_labels=_relative(root, strays),
        lost_labels=tuple(n for index, n in enumerate(listing.names) if index not in labels),
    )
    if not labels:
        raise DatasetError(_too_few_labels(root, 0, problems))
    label_set = LabelSet(tuple(listing.names[index] for index in labels), listing.kind)
    renumbered = tuple(sample.keep_labels(labels) for sample in samples)
    counts = _count_by_label(listing.samples)
    by_label = {name: counts[index] for index, name in enumerate(listing.names)}
    dataset = Dataset(root, label_set, renumbered, problems, listing.label_format, by_label)
    if require_enough:
        check_enough(dataset)
    return dataset


def _listed_problems(root: Path, listing: Listing, leave_out: Collection[str]) -> Problems:
    """What is known before a photo is decoded."""
    listed = {sample.path for sample in listing.samples}
    unlisted = set(listing.photos) - listed - listing.left_out
    names = set(_relative(root, (*listing.photos, *listed, *listing.left_out)))
    return Problems(
        ignored=_relative(root, sorted(unlisted)),
        unwanted=tuple(sorted(set(leave_out).intersection(_relative(root, listed)))),
        not_there=tuple(sorted(set(leave_out) - names)),
        case_variants=listing.case_variants(),
        remarks=listing.remarks,
        skipped=listing.skipped,
    )


def _relative(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(relative_path(root, path) for path in paths)


def _trainable_labels(listing: Listing, samples: Sequence[Sample]) -> list[int]:
    """The numbers of the labels with training photos; of tags, with enough of them."""
    counts = _count_by_label(sample for sample in samples if sample.split == "train")
    minimum = 1 if listing.kind == "single" else MIN_PHOTOS - 1
    return [index for index in range(len(listing.names)) if counts[index] >= minimum]


def check_enough(dataset: Dataset) -> None:
    """Raise DatasetError unless there are enough labels with enough photos to train on."""
    root, names, problems = dataset.root, dataset.labels.names, dataset.problems
    if len(names) < (MIN_LABELS if dataset.labels.kind == "single" else 1):
        raise DatasetError(_too_few_labels(root, len(names), problems))
    training, validation = (_count_by_label(dataset.split(split)) for split in ("train", "val"))
    if dataset.labels.kind == "multi":
        if not validation or len(dataset.split("val")) < MIN_VALIDATION_PHOTOS:
            raise DatasetError(
                f"{root}: too few photos to check with{_in_brackets(problems)}; training needs at"
                f" least {MIN_VALIDATION_PHOTOS}, one of them with a tag"
            )
        return
    few = [
        name
        for label, name in enumerate(names)
        if training[label] < MIN_PHOTOS - 1 or label not in validation
    ]
    if few:
        raise DatasetError(
            f"{root}: too few readable photos of {', '.join(few)}{_in_brackets(problems)}; training"
            f" needs at least {MIN_PHOTOS} different ones of each label, some to check with"
        )


def too_few_to_check(counts: Mapping[str, int]) -> str | None:
    """A warning if some labels have few validation photos; `counts` are these by label."""
    few = [f"{n:,} of {name}" for name, n in counts.items() if n < FEW_VALIDATION_PHOTOS]
    if not few:
        return None
    return f"Validation photos: only {list_first(few)}; too few photos for reliable figures"


def _too_few_labels(root: Path, count: int, problems: Problems) -> str:
    return (
        f"{root}: {count_noun(count, 'label')} with readable photos{_in_brackets(problems)};"
        f" training needs at least {MIN_LABELS}: {LAYOUT}"
    )


def _in_brackets(problems: Problems) -> str:
    lines = "; ".join(problems.lines())
    return f" ({lines})" if lines else ""


def _count_by_label(samples: Iterable[Sample]) -> Counter[int]:
    return Counter(label for sample in samples for label in sample.present)
