"""Findings about a collection: copies, near copies, poor photos and wrong labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.audit.label_errors import LabelScores, score_labels, score_tags
from tagger.datasets.dataset import Dataset
from tagger.datasets.loading import relative_path
from tagger.datasets.sample import Sample, contradict, tag_matrix
from tagger.errors import DatasetError
from tagger.files import write_atomically
from tagger.images import quality
from tagger.images.hashing import group_near_copies
from tagger.text import count_noun, escape_controls

FEW_PHOTOS = 20  # training photos of a label, below which it is reported as rare
RANKED_SHARE = 0.1  # of the judged labels, the least likely
MAX_RANKED = 2_000  # photos in that list at most
MAX_LISTED = 5  # photos of a kind listed in text
MAX_PICTURES = 24  # photos of a kind shown as pictures
PHOTO, KIND, DETAILS = "photo", "problem", "details"  # columns of the leave-out list

# Kinds of findings in reporting order, with their words in singular and plural.
KINDS = {
    "unopened": ("folder cannot be opened", "folders cannot be opened"),
    "unreadable": ("photo cannot be read", "photos cannot be read"),
    "conflict": (
        "photo is an exact copy of one with another label",
        "photos are exact copies of one with another label",
    ),
    "copy": ("photo is an exact copy of another", "photos are exact copies of another"),
    "leak": (
        "training photo is a near copy of a validation photo",
        "training photos are near copies of validation photos",
    ),
    "label": ("label is probably wrong", "labels are probably wrong"),
    "near_conflict": (
        "photo is a near copy of one with another label",
        "photos are near copies of one with another label",
    ),
    "near_copy": ("photo is a near copy of another", "photos are near copies of another"),
    quality.DARK: ("photo is very dark", "photos are very dark"),
    quality.BLURRED: ("photo is blurred, or empty", "photos are blurred, or empty"),
    quality.TINY: ("photo is tiny", "photos are tiny"),
}
# Left out while reading the photos.
FOUND_BY_READING = ("unopened", "unreadable", "conflict", "copy", "leak")
# Not on the leave-out list: a person must decide which of two near copies has the wrong label, and
# near copies with the same label do no harm, since they stay on one side of every split.
# A folder is no photo to list.
NEVER_LEFT_OUT = ("near_conflict", "near_copy", "unopened")


@dataclass(frozen=True)
class Finding:
    """A problem of one photo, whose path is relative to the collection.

    `score` in [0, 1], for the kind "label" only, is how likely the label is to be right.
    """

    kind: str
    photo: str
    details: str = ""
    score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"kind": self.kind, "photo": self.photo, "told": self.details, "score": self.score}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Finding:
        """The finding with the values of `to_dict`. Raises KeyError, TypeError or ValueError."""
        kind, score = values["kind"], values["score"]
        if kind not in KINDS:
            raise ValueError(f"no kind of finding: {kind}")
        score = None if score is None else float(score)
        return cls(kind, str(values["photo"]), str(values["told"]), score)


@dataclass(frozen=True)
class Findings:
    """All findings about a collection with `photos` readable photos.

    `items` are in the order of KINDS. Labels of `judged` photos were judged; `ranked` are the
    RANKED_SHARE of those labels that are least likely to be right, at most MAX_RANKED, the least
    likely first, whether or not they are probably wrong. `rare` are labels with fewer than
    FEW_PHOTOS training photos, with their numbers.
    """

    root: Path
    photos: int
    judged: int
    items: tuple[Finding, ...]
    ranked: tuple[Finding, ...]
    rare: tuple[tuple[str, int], ...]

    def of_kind(self, kind: str) -> list[Finding]:
        """The findings of one of the KINDS."""
        return [finding for finding in self.items if finding.kind == kind]

    def summaries(self) -> dict[str, str]:
        """By kind, a sentence such as "3 photos are very dark"; without FOUND_BY_READING."""
        kinds = [kind for kind in KINDS if kind not in FOUND_BY_READING and self.of_kind(kind)]
        return {kind: self._summary(kind) for kind in kinds}

    def notes(self) -> list[str]:
        """Sentences about rare labels and about how many photos' labels were judged."""
        notes = []
        if self.rare:
            few = [f"{count:,} of {escape_controls(name)}" for name, count in self.rare]
            more = ", ..." if len(few) > MAX_LISTED else ""
            notes.append(f"few training photos: {', '.join(few[:MAX_LISTED])}{more}")
        if not self.judged:
            notes.append("labels were not checked")
        elif self.judged < self.photos:
            photos = count_noun(self.photos, "photo")
            notes.append(f"labels of {self.judged:,} of {photos} were checked")
        return notes

    def text(self) -> str:
        """The findings for a terminal: the number of each kind, and the first few of it."""
        lines = [f"{self.root}: {count_noun(self.photos, 'photo')} can be used"]
        for kind in KINDS:
            findings = self.of_kind(kind)
            if not findings:
                continue
            lines.append(self._summary(kind))
            listed = findings[:MAX_LISTED]
            rows = [(escape_controls(f.photo), escape_controls(f.details)) for f in listed]
            width = max(len(photo) for photo, _ in rows)
            lines += [f"    {photo.ljust(width)}  {details}".rstrip() for photo, details in rows]
            if len(findings) > MAX_LISTED:
                lines.append(f"    and {len(findings) - MAX_LISTED:,} more")
        return "\n".join(lines + self.notes())

    def _summary(self, kind: str) -> str:
        count = len(self.of_kind(kind))
        return f"{count:,} {KINDS[kind][0 if count == 1 else 1]}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them."""
        return {
            "root": str(self.root),
            "photos": self.photos,
            "judged": self.judged,
            "found": [finding.to_dict() for finding in self.items],
            "ranked": [finding.to_dict() for finding in self.ranked],
            "rare": self.rare,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Findings:
        """Findings from the values of `to_dict`. Raises KeyError, TypeError or ValueError."""
        items, ranked = (tuple(map(Finding.from_dict, values[key])) for key in ("found", "ranked"))
        rare = tuple((str(name), int(count)) for name, count in values["rare"])
        photos, judged = int(values["photos"]), int(values["judged"])
        return cls(Path(values["root"]), photos, judged, items, ranked, rare)

    def write_list(self, path: Path) -> int:
        """Write the leave-out list, a CSV with a row a photo; returns the number of photos.

        `read_list` reads it. Photos themselves are not touched.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([PHOTO, KIND, DETAILS])
        by_photo: dict[str, list[Finding]] = {}
        for finding in self.items:
            if finding.kind not in NEVER_LEFT_OUT:
                by_photo.setdefault(finding.photo, []).append(finding)
        for photo, findings in by_photo.items():
            kinds = dict.fromkeys(KINDS[finding.kind][0] for finding in findings)
            details = [finding.details for finding in findings if finding.details]
            # "./" keeps a spreadsheet from running a photo's name as a formula.
            writer.writerow([f"./{photo}", "; ".join(kinds), "; ".join(details)])
        # File names need not be valid UTF-8.
        write_atomically(path, out.getvalue().encode("utf-8", "surrogateescape"))
        return len(by_photo)


def read_list(path: Path) -> frozenset[str]:
    """The photos in a leave-out list, relative to their collection.

    Raises DatasetError for a file that is not such a list.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            names, rows = reader.fieldnames or (), list(reader)
    except (OSError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as a list of photos ({error})") from None
    if PHOTO not in names or not all(_is_file_name(row[PHOTO]) for row in rows):
        raise DatasetError(
            f"{path}: needs a column {PHOTO!r} with a photo in every row; train.py --check --fix"
            " writes such a list"
        )
    return frozenset(Path(row[PHOTO]).as_posix() for row in rows)


def _is_file_name(cell: str | None) -> bool:
    return bool(cell) and "\0" not in str(cell)


def collect_findings(
    collection: Dataset,
    image_size: int,
    features: tuple[Sequence[Sample], NDArray[np.float32]] | None = None,
    seed: int = 42,
) -> Findings:
    """All findings about a collection, for a network that takes `image_size` pixels a side.

    `features` are samples and their features `(N, D)`; without them labels are not judged.
    """
    items = [
        *_find_problems(collection),
        *_find_near_copies(collection),
        *_find_poor_photos(collection, image_size),
    ]
    ranked: list[Finding] = []
    judged = 0
    if features is not None and len(features[0]):
        samples, scores = features[0], _score(collection, *features, seed)
        scored = scores.scored()
        judged = int(scored.any(axis=1).sum())
        limit = min(MAX_RANKED, int(np.ceil(scored.sum() * RANKED_SHARE)))
        ranked, wrong = (
            [_label_finding(collection, samples[row], row, label, scores) for row, label in cells]
            for cells in (scores.ranked(scored, limit), scores.ranked(scores.wrong))
        )
        items += wrong
    order = list(KINDS)
    items.sort(key=lambda finding: order.index(finding.kind))
    train_counts = collection.counts().get("train", {})
    rare = tuple((name, count) for name, count in train_counts.items() if count < FEW_PHOTOS)
    photos = len(collection.samples)
    return Findings(collection.root, photos, judged, tuple(items), tuple(ranked), rare)


def _find_problems(collection: Dataset) -> Iterator[Finding]:
    """Findings of FOUND_BY_READING."""
    problems = collection.problems
    for folder, reason in problems.skipped.unopened:
        yield Finding("unopened", folder, reason)
    for photo, reason in problems.unreadable:
        yield Finding("unreadable", photo, reason)
    for copies in problems.conflicting:
        for photo in copies:
            yield Finding("conflict", photo, f"the same as {_list_others(copies, photo)}")
    samples = {_relative_path(collection, sample): sample for sample in collection.samples}
    for kind, pairs in (("copy", problems.copies), ("leak", problems.leaked)):
        for photo, original in pairs:
            details = f"the same as {original}" if kind == "copy" else f"like {original}"
            if original in samples:
                sample = samples[original]
                details += f" ({sample.split}, {_describe_labels(collection, sample)})"
            yield Finding(kind, photo, details)


def _find_near_copies(collection: Dataset) -> Iterator[Finding]:
    """Near copies of an earlier photo; all photos of a group whose labels disagree."""
    groups = group_near_copies([sample.perceptual_hash for sample in collection.samples]).tolist()
    members: dict[int, list[Sample]] = {}
    for group, sample in zip(groups, collection.samples, strict=True):
        members.setdefault(group, []).append(sample)
    for copies in members.values():
        paths = [_relative_path(collection, sample) for sample in copies]
        if contradict(copies):
            for sample, path in zip(copies, paths, strict=True):
                details = (
                    f"{_describe_labels(collection, sample)}; like {_list_others(paths, path)}"
                )
                yield Finding("near_conflict", path, details)
        else:
            for path in paths[1:]:
                yield Finding("near_copy", path, f"like {paths[0]}")


def _find_poor_photos(collection: Dataset, image_size: int) -> Iterator[Finding]:
    for sample in collection.samples:
        if sample.quality is not None:
            for kind, details in sample.quality.faults(image_size).items():
                yield Finding(kind, _relative_path(collection, sample), details)


def _score(
    collection: Dataset, samples: Sequence[Sample], features: NDArray[np.float32], seed: int
) -> LabelScores:
    groups = group_near_copies([sample.perceptual_hash for sample in samples])
    count = len(collection.labels)
    if collection.labels.kind == "multi":
        return score_tags(features, tag_matrix(samples, count), groups, seed)
    labels = np.array([sample.label for sample in samples], np.int64)
    return score_labels(features, labels, groups, count, seed)


def _label_finding(
    collection: Dataset, sample: Sample, row: int, label: int, scores: LabelScores
) -> Finding:
    names, probabilities = collection.labels.names, scores.probabilities[row]
    if collection.labels.kind == "multi":
        state = "tagged" if label in sample.present else "not tagged"
        details = f"{state} {names[label]}, {probabilities[label]:.0%} likely to show it"
    else:
        likeliest = int(np.nanargmax(probabilities))
        probability = probabilities[likeliest]
        details = f"labelled {names[label]}, looks like {names[likeliest]} ({probability:.0%})"
    score = float(scores.confidence[row, label])
    return Finding("label", _relative_path(collection, sample), details, score)


def _describe_labels(collection: Dataset, sample: Sample) -> str:
    names = [collection.labels.names[label] for label in sample.present]
    return f"labelled {', '.join(names) or 'nothing'}"


def _list_others(paths: Sequence[str], path: str) -> str:
    names = list(islice((other for other in paths if other != path), 4))
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _relative_path(collection: Dataset, sample: Sample) -> str:
    return relative_path(collection.root, sample.path)
