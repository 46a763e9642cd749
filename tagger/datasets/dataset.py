"""A labelled collection on disk: found, checked, split.

Labels are read by `tagger.formats`. Photos that are the same or nearly the same end up on one
side of every split.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tagger.concurrency import Progress, silent
from tagger.datasets.loading import decode_samples, relative_paths
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.readers import detect
from tagger.datasets.readers.listing import LAYOUT, Listing, Remark
from tagger.datasets.sample import Sample
from tagger.datasets.splits import SPLITS, Pair, remove_copies, remove_leaks, split_validation
from tagger.errors import DatasetError
from tagger.images import decode
from tagger.labels import Kind, LabelSet
from tagger.text import count_noun, list_first

VALIDATION_SHARE = 0.2
MIN_LABELS = 2
MIN_PHOTOS = 5  # of each label, to train on and to check with
MIN_TO_CHECK = 2  # validation photos, where they may have several tags
FEW_TO_CHECK = 20  # validation photos of a label, below which its figures prove little


@dataclass(frozen=True)
class Problems:
    """What was left out of training, and why; paths are relative to the collection.

    `copies` come with the photo that stays, and `leaked`, training photos whose near copy is in a
    given `val/` or `test/`, with that; `ignored` are photos that nothing labels; `unwanted` are
    those that the user's list leaves out, `not_there` what else it names, which is not there;
    `remarks` are what reading the labels passed over.
    """

    unreadable: tuple[tuple[str, str], ...] = ()
    conflicting: tuple[tuple[str, ...], ...] = ()
    copies: tuple[tuple[str, ...], ...] = ()
    leaked: tuple[tuple[str, ...], ...] = ()
    unknown_labels: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    not_there: tuple[str, ...] = ()
    lost_labels: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values, as `metrics.json` and the check before training hold them."""
        return {**asdict(self), "remarks": [remark.to_dict() for remark in self.remarks]}

    def lines(self) -> list[str]:
        """One sentence for each kind that occurred."""
        several = "are exact copies under different labels"
        found = [
            (len(self.unreadable), "could not be read", "could not be read"),
            (sum(map(len, self.conflicting)), several, several),
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
        ]
        lines = [
            f"{count_noun(count, 'photo')} {one if count == 1 else many}: left out"
            for count, one, many in found
            if count
        ]
        if lacking := len(self.not_there):
            are = "is" if lacking == 1 else "are"
            lines.append(f"{count_noun(lacking, 'photo')} on your list {are} not in the collection")
        lines += [remark.sentence() for remark in self.remarks]
        if len(self.lost_labels) == 1:
            lines.append(f"too few photos of {self.lost_labels[0]} to train on: not a label")
        elif self.lost_labels:
            told = f"{count_noun(len(self.lost_labels), 'label')} ({list_first(self.lost_labels)})"
            lines.append(f"too few photos of {told} to train on: not labels")
        return lines


@dataclass(frozen=True)
class Dataset:
    """Readable, labelled photos, split. `fingerprint` names the photos and labels it holds.

    `written_as` is how its labels are written down, as "CSV".
    """

    root: Path
    labels: LabelSet
    samples: tuple[Sample, ...]
    problems: Problems = field(default_factory=Problems)
    label_format: str = ""

    def describe_labels(self) -> str:
        """How the labels were read, and how many there are: "CSV, 58 tags"."""
        noun = "label" if self.labels.kind == "single" else "tag"
        return f"{self.label_format}, {count_noun(len(self.labels), noun)}"

    def split(self, name: str) -> list[Sample]:
        """The samples of "train", "val" or "test", in a fixed order."""
        return [sample for sample in self.samples if sample.split == name]

    def counts(self) -> dict[str, dict[str, int]]:
        """Photos by split and label; one with several labels counts for each."""
        found = Counter(
            (sample.split, label) for sample in self.samples for label in sample.present
        )
        return {
            split: {name: found[split, index] for index, name in enumerate(self.labels.names)}
            for split in self.sizes()
        }

    def sizes(self) -> dict[str, int]:
        """Photos by split."""
        found = Counter(sample.split for sample in self.samples)
        return {split: found[split] for split in SPLITS if found[split]}

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every photo's digest, labels and split."""
        lines = sorted(self._told(sample) for sample in self.samples)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _told(self, sample: Sample) -> str:
        names = self.labels.names
        known = "|".join(names[label] for label in sample.present)
        unseen = "".join(f"?{names[label]}" for label in sample.unseen)
        return f"{sample.digest} {known}{unseen} {sample.split}"


def load(
    root: str | os.PathLike[str],
    store: PixelStore,
    seed: int = 42,
    workers: int | None = None,
    progress: Progress = silent,
    validation_share: float = VALIDATION_SHARE,
    leave_out: Container[str] = (),
) -> Dataset:
    """Read a collection: every photo decoded once, its prepared pixels kept in `store`.

    `leave_out` are photos, relative to `root`, that are passed over. Raises DatasetError, saying
    what was found, where there is nothing to learn from.
    """
    found = load_unchecked(root, store, seed, workers, progress, validation_share, leave_out)
    check_enough(found)
    return found


def load_unchecked(
    root: str | os.PathLike[str],
    store: PixelStore,
    seed: int = 42,
    workers: int | None = None,
    progress: Progress = silent,
    validation_share: float = VALIDATION_SHARE,
    leave_out: Container[str] = (),
) -> Dataset:
    """As `load`, whether or not the photos are enough to learn from: see `check_enough`."""
    root = Path(root)
    listing = detect.read(root, MIN_LABELS)
    listed, there = {sample.path for sample in listing.samples}, set(decode.find_photos(root))
    ignored = sorted(there - listed - listing.remarked)
    unwanted = {path for path in listed if relative_paths(root, [path])[0] in leave_out}
    not_there = set(leave_out).difference(relative_paths(root, there | listed | listing.remarked))
    wanted = [sample for sample in listing.samples if sample.path not in unwanted]
    samples, unreadable = decode_samples(root, wanted, store, workers, progress)
    samples, conflicting, copies = remove_copies(samples)
    leaked: list[Pair] = []
    given = {sample.split for sample in samples}
    if given & {"val", "test"}:
        samples, leaked = remove_leaks(samples)
    if "val" not in given:
        samples = split_validation(samples, validation_share, seed)
    kept = _taught(listing, samples)
    strays: list[Path] = []
    if listing.kind == "single":
        strays = [sample.path for sample in samples if sample.label not in kept]
        samples = [sample for sample in samples if sample.label in kept]
    problems = Problems(
        unreadable=unreadable,
        conflicting=tuple(relative_paths(root, same) for same in conflicting),
        copies=tuple(relative_paths(root, pair) for pair in copies),
        leaked=tuple(relative_paths(root, pair) for pair in leaked),
        unknown_labels=relative_paths(root, strays),
        ignored=relative_paths(root, ignored),
        unwanted=relative_paths(root, sorted(unwanted)),
        not_there=tuple(sorted(not_there)),
        lost_labels=tuple(n for index, n in enumerate(listing.names) if index not in kept),
        remarks=listing.remarks,
    )
    if not kept:
        raise DatasetError(_too_few_labels(root, 0, problems))
    labels = LabelSet(tuple(listing.names[index] for index in kept), listing.kind)
    renumbered = tuple(_renumbered(sample, kept) for sample in samples)
    return Dataset(root, labels, renumbered, problems, listing.label_format)


def _taught(listing: Listing, samples: Sequence[Sample]) -> list[int]:
    """The labels, by number, that there are training photos of: of a tag, enough of them."""
    found = _by_label(sample for sample in samples if sample.split == "train")
    least = 1 if listing.kind == "single" else MIN_PHOTOS - 1
    return [index for index in range(len(listing.names)) if found[index] >= least]


def _renumbered(sample: Sample, kept: Sequence[int]) -> Sample:
    """With only the labels kept, by their place among those."""
    places = {old: new for new, old in enumerate(kept)}
    return replace(
        sample,
        present=tuple(places[label] for label in sample.present if label in places),
        unseen=tuple(places[label] for label in sample.unseen if label in places),
    )


def check_enough(collection: Dataset) -> None:
    """DatasetError unless there are photos enough of labels enough."""
    root, names, problems = collection.root, collection.labels.names, collection.problems
    if len(names) < min_labels(collection.labels.kind):
        raise DatasetError(_too_few_labels(root, len(names), problems))
    trained, checked = (_by_label(collection.split(split)) for split in ("train", "val"))
    if collection.labels.kind == "multi":
        if not checked or len(collection.split("val")) < MIN_TO_CHECK:
            raise DatasetError(
                f"{root}: too few photos to check with{_told(problems)}; training needs at least"
                f" {MIN_TO_CHECK}, one of them with a tag"
            )
        return
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


def min_labels(kind: Kind) -> int:
    """How many labels there must be to tell apart: a tag may stand alone."""
    return MIN_LABELS if kind == "single" else 1


def _too_few_labels(root: Path, count: int, problems: Problems) -> str:
    return (
        f"{root}: {count_noun(count, 'label')} with readable photos{_told(problems)};"
        f" training needs at least {MIN_LABELS}: {LAYOUT}"
    )


def _told(problems: Problems) -> str:
    told = "; ".join(problems.lines())
    return f" ({told})" if told else ""


def too_few_to_check(checked: Mapping[str, int]) -> str | None:
    """A sentence where some labels have few validation photos; `checked` counts them by label."""
    few = [f"{count:,} of {name}" for name, count in checked.items() if count < FEW_TO_CHECK]
    if not few:
        return None
    return (
        f"Validation photos: only {list_first(few)}; with so few photos to check with, the figures"
        " prove little"
    )


def _by_label(samples: Iterable[Sample]) -> Counter[int]:
    return Counter(label for sample in samples for label in sample.present)
