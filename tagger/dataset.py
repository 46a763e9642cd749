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
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagger import formats, images, quality
from tagger.errors import DatasetError, ImageError
from tagger.files import spelled_out
from tagger.labels import Kind, LabelSet
from tagger.listing import LAYOUT, Listing, Remark, counted
from tagger.parallel import Progress, ordered_map, silent
from tagger.pixels import PixelStore
from tagger.splits import SPLITS, Sample, drawn, stratified, without_copies, without_leaks

VALIDATION_SHARE = 0.2
MIN_LABELS = 2
MIN_PHOTOS = 5  # of each label, to train on and to check with
MIN_TO_CHECK = 2  # validation photos, where they may have several tags
FEW_TO_CHECK = 20  # validation photos of a label, below which its figures prove little

Readable = tuple[list[Sample], tuple[tuple[str, str], ...]]  # and the unreadable, with reasons


@dataclass(frozen=True)
class Problems:
    """What was left out of training, and why; paths are relative to the collection.

    `leaked` are training photos whose near copy is in a given `val/` or `test/`; `ignored` are
    photos that nothing labels; `unwanted` are those that the user's list leaves out; `remarks` are
    what reading the labels passed over.
    """

    unreadable: tuple[tuple[str, str], ...] = ()
    conflicting: tuple[tuple[str, ...], ...] = ()
    copies: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    unknown_labels: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    lost_labels: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

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
            f"{counted(count, 'photo')} {one if count == 1 else many}: left out"
            for count, one, many in found
            if count
        ]
        lines += [remark.sentence() for remark in self.remarks]
        if len(self.lost_labels) == 1:
            lines.append(f"too few photos of {self.lost_labels[0]} to train on: not a label")
        elif self.lost_labels:
            told = f"{counted(len(self.lost_labels), 'label')} ({_few(self.lost_labels)})"
            lines.append(f"too few photos of {told} to train on: not labels")
        return lines


@dataclass(frozen=True)
class Collection:
    """Readable, labelled photos, split. `fingerprint` names the photos and labels it holds.

    `written_as` is how its labels are written down, as "CSV".
    """

    root: Path
    labels: LabelSet
    samples: tuple[Sample, ...]
    problems: Problems = field(default_factory=Problems)
    written_as: str = ""

    def told(self) -> str:
        """How the labels were read, and how many there are: "CSV, 58 tags"."""
        noun = "label" if self.labels.kind == "single" else "tag"
        return f"{self.written_as}, {counted(len(self.labels), noun)}"

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
) -> Collection:
    """Read a collection: every photo decoded once, its prepared pixels kept in `store`.

    `leave_out` are photos, relative to `root`, that are passed over. Raises DatasetError, saying
    what was found, where there is nothing to learn from.
    """
    found = survey(root, store, seed, workers, progress, validation_share, leave_out)
    check_enough(found)
    return found


def survey(
    root: str | os.PathLike[str],
    store: PixelStore,
    seed: int = 42,
    workers: int | None = None,
    progress: Progress = silent,
    validation_share: float = VALIDATION_SHARE,
    leave_out: Container[str] = (),
) -> Collection:
    """As `load`, whether or not the photos are enough to learn from: see `check_enough`."""
    root = Path(root)
    listing = formats.read(root, MIN_LABELS)
    listed = {sample.path for sample in listing.samples}
    ignored = sorted(set(images.walk(root)) - listed - listing.told)
    unwanted = {path for path in listed if _relative(root, [path])[0] in leave_out}
    wanted = [sample for sample in listing.samples if sample.path not in unwanted]
    samples, unreadable = _decoded(root, wanted, store, workers, progress)
    samples, conflicting, copies = without_copies(samples)
    leaked: list[Path] = []
    given = {sample.split for sample in samples}
    if given & {"val", "test"}:
        samples, leaked = without_leaks(samples)
    if "val" not in given:
        samples = stratified(samples, validation_share, seed)
    kept = _taught(listing, samples)
    strays: list[Path] = []
    if listing.kind == "single":
        strays = [sample.path for sample in samples if sample.label not in kept]
        samples = [sample for sample in samples if sample.label in kept]
    problems = Problems(
        unreadable=unreadable,
        conflicting=tuple(_relative(root, same) for same in conflicting),
        copies=_relative(root, copies),
        leaked=_relative(root, leaked),
        unknown_labels=_relative(root, strays),
        ignored=_relative(root, ignored),
        unwanted=_relative(root, sorted(unwanted)),
        lost_labels=tuple(n for index, n in enumerate(listing.names) if index not in kept),
        remarks=listing.remarks,
    )
    if not kept:
        raise DatasetError(_too_few_labels(root, 0, problems))
    labels = LabelSet(tuple(listing.names[index] for index in kept), listing.kind)
    renumbered = tuple(_renumbered(sample, kept) for sample in samples)
    return Collection(root, labels, renumbered, problems, listing.written_as)


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


def check_enough(collection: Collection) -> None:
    """DatasetError unless there are photos enough of labels enough."""
    root, names, problems = collection.root, collection.labels.names, collection.problems
    if len(names) < least_labels(collection.labels.kind):
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


def least_labels(kind: Kind) -> int:
    """How many labels there must be to tell apart: a tag may stand alone."""
    return MIN_LABELS if kind == "single" else 1


def _too_few_labels(root: Path, count: int, problems: Problems) -> str:
    return (
        f"{root}: {counted(count, 'label')} with readable photos{_told(problems)}; training needs"
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
    most: int | None = None,
) -> Readable:
    """Readable photos in `root` that have one of the labels, all as "test".

    For a model of tags, those that `root` does not tell of are unseen in its photos. `most`
    looks at no more than so many, drawn at random, of "val" and "test" where there are any.

    And those that could not be read, each with its reason. Raises DatasetError where none could.
    """
    listing = formats.read(root, 1)
    if most is not None:
        held_out = [sample for sample in listing.samples if sample.split != "train"]
        listing = replace(listing, samples=drawn(held_out or listing.samples, most))
    if listing.kind == "multi" and labels.kind == "single":
        raise DatasetError(f"{root}: its photos have several tags; the model tells one label")
    known = [name for name in labels.names if name in listing.names]
    if not known:
        raise DatasetError(f"{root}: no label in it is one of {_few(labels.names)}")
    samples, unreadable = _decoded(root, _as_labelled(listing, labels), store, workers, progress)
    if not samples:
        raise DatasetError(f"{root}: none of its {len(listing.samples)} photos could be read")
    return samples, unreadable


def _as_labelled(listing: Listing, labels: LabelSet) -> list[Sample]:
    """The photos of a listing for a model of other labels: what it does not tell is unseen."""
    places = {
        old: labels.names.index(n) for old, n in enumerate(listing.names) if n in labels.names
    }
    told = set(places.values()) if listing.kind == "multi" else set()
    found = []
    for sample in listing.samples:
        present = tuple(places[label] for label in sample.present if label in places)
        untold = set(range(len(labels))) - told - set(present)
        untold |= {places[label] for label in sample.unseen if label in places}
        if labels.kind == "multi" and len(untold) < len(labels):
            found.append(replace(sample, present=present, unseen=tuple(untold), split="test"))
        elif labels.kind == "single" and present:
            found.append(replace(sample, present=present, split="test"))
    return found


def too_few_to_check(checked: Mapping[str, int]) -> str | None:
    """A sentence where some labels have few validation photos; `checked` counts them by label."""
    few = [f"{count:,} of {name}" for name, count in checked.items() if count < FEW_TO_CHECK]
    if not few:
        return None
    return (
        f"Validation photos: only {_few(few)}; with so few photos to check with, the figures prove"
        " little"
    )


def _decoded(
    root: Path,
    listed: Sequence[Sample],
    store: PixelStore,
    workers: int | None,
    progress: Progress,
) -> Readable:
    def decode(sample: Sample) -> tuple[Sample, images.Pixels | None, str]:
        try:
            data = images.read_bytes(sample.path)
            rgb = images.read(data, shorter_side=store.image_size)
        except ImageError as error:
            return sample, None, _reason(error, sample.path)
        pixels = images.fit(rgb, store.image_size)
        seen = replace(
            sample,
            digest=hashlib.sha256(data).hexdigest(),
            perceptual=images.perceptual_hash(pixels),
            quality=quality.measure(rgb),
        )
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


def _by_label(samples: Iterable[Sample]) -> Counter[int]:
    return Counter(label for sample in samples for label in sample.present)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _relative(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.relative_to(root).as_posix() for path in paths)
