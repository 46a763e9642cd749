"""The collection doctor: what is wrong with a collection, before anyone trains on it."""

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
from tagger.datasets.sample import Sample, tag_matrix
from tagger.errors import DatasetError
from tagger.files import write_atomically
from tagger.images import quality
from tagger.images.hashing import group_near_copies
from tagger.text import count_noun, escape_controls

FEW_PHOTOS = 20  # of a label to learn from
RANKED_SHARE = 0.1  # of the labels judged: the least likely are kept, the worst first
MAX_RANKED = 2_000  # of those: more than a person looks through
MAX_LISTED = 5  # photos of a kind that are named where there is room for a few
MAX_PICTURES = 24  # photos of a kind that are shown as pictures
PHOTO, KIND, DETAILS = "photo", "problem", "details"  # columns of the list of what to leave out

# What there is to find, in the order it is told, and how one and many of it are told.
KINDS = {
    "unreadable": ("photo cannot be read", "photos cannot be read"),
    "conflict": (
        "photo is an exact copy of one with another label",
        "photos are exact copies of one with another label",
    ),
    "copy": ("photo is an exact copy of another", "photos are exact copies of another"),
    "leak": (
        "training photo is a near copy of one to check with",
        "training photos are near copies of ones to check with",
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
FOUND_BY_READING = ("unreadable", "conflict", "copy", "leak")  # left out when the photos were read
# Left as they are: which of two near copies has the wrong label takes a person, and those of one
# label do no harm, since they stay on one side of every split.
NEVER_LEFT_OUT = ("near_conflict", "near_copy")


@dataclass(frozen=True)
class Finding:
    """Something wrong with one photo, its path relative to the collection, and in words what.

    `score` in [0, 1] is there of labels alone: how likely the label is.
    """

    kind: str
    photo: str
    details: str = ""
    score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"kind": self.kind, "photo": self.photo, "told": self.details, "score": self.score}


@dataclass(frozen=True)
class Findings:
    """What is wrong with a collection of so many readable photos.

    Labels of `judged` photos were judged. `ranked` are the tenth of those labels that are least
    likely to be right, at most `MAX_RANKED`, the worst first, whether or not they are probably
    wrong. `rare` are labels with few photos to learn from.
    """

    root: Path
    photos: int
    judged: int
    items: tuple[Finding, ...]
    ranked: tuple[Finding, ...]
    rare: tuple[tuple[str, int], ...]

    def of_kind(self, kind: str) -> list[Finding]:
        """Those of one of the KINDS."""
        return [finding for finding in self.items if finding.kind == kind]

    def summaries(self) -> dict[str, str]:
        """By kind, a sentence for each that occurs and that reading the photos has not told."""
        kinds = [kind for kind in KINDS if kind not in FOUND_BY_READING and self.of_kind(kind)]
        return {kind: self._counted(kind) for kind in kinds}

    def notes(self) -> list[str]:
        """What is to be said of the whole: rare labels, and how many photos' labels were judged."""
        return [line for line in (self._rare_line(), self._judged_line()) if line]

    def text(self) -> str:
        """All of it for a terminal: how many of each kind, and the first of them."""
        told = [f"{self.root}: {count_noun(self.photos, 'photo')} can be used"]
        for kind in KINDS:
            found = self.of_kind(kind)
            if found:
                told.append(self._counted(kind))
            rows = [
                (escape_controls(f.photo), escape_controls(f.details)) for f in found[:MAX_LISTED]
            ]
            width = max((len(photo) for photo, _ in rows), default=0)
            told += [f"    {photo.ljust(width)}  {words}".rstrip() for photo, words in rows]
            told += [f"    and {len(found) - MAX_LISTED:,} more"] if len(found) > MAX_LISTED else []
        return "\n".join(told + self.notes())

    def _rare_line(self) -> str:
        few = [f"{photos:,} of {escape_controls(name)}" for name, photos in self.rare]
        more = ", ..." if len(few) > MAX_LISTED else ""
        return f"only {', '.join(few[:MAX_LISTED])}{more} to learn from" if few else ""

    def _judged_line(self) -> str:
        if not self.judged:
            return "whether labels are right was not judged"
        if self.judged < self.photos:
            return f"labels of {self.judged:,} of {count_noun(self.photos, 'photo')} were judged"
        return ""

    def _counted(self, kind: str) -> str:
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
        items, ranked = (
            tuple(
                Finding(row["kind"], row["photo"], row["told"], row["score"]) for row in values[key]
            )
            for key in ("found", "ranked")
        )
        rare = tuple((name, count) for name, count in values["rare"])
        return cls(Path(values["root"]), values["photos"], values["judged"], items, ranked, rare)

    def write_list(self, path: Path) -> int:
        """A CSV of what to leave out, one row a photo, for `read_list`; how many. No photo is
        touched.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([PHOTO, KIND, DETAILS])
        listed: dict[str, list[Finding]] = {}
        for finding in self.items:
            if finding.kind not in NEVER_LEFT_OUT:
                listed.setdefault(finding.photo, []).append(finding)
        for photo, same in listed.items():
            kinds = dict.fromkeys(KINDS[finding.kind][0] for finding in same)
            told = [finding.details for finding in same if finding.details]
            # "./" keeps a spreadsheet from running a photo's name as a formula.
            writer.writerow([f"./{photo}", "; ".join(kinds), "; ".join(told)])
        # As the file system has them, names need not be UTF-8.
        write_atomically(path, out.getvalue().encode("utf-8", "surrogateescape"))
        return len(listed)


def read_list(path: Path) -> frozenset[str]:
    """The photos to leave out, relative to their collection. Raises DatasetError."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            names, rows = reader.fieldnames or (), list(reader)
    except (OSError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as a list of photos ({error})") from None
    if PHOTO not in names or not all(_is_name(row[PHOTO]) for row in rows):
        raise DatasetError(
            f"{path}: needs a column {PHOTO!r} with a photo in every row; train.py --check --fix"
            " writes such a list"
        )
    return frozenset(Path(row[PHOTO]).as_posix() for row in rows)


def _is_name(cell: str | None) -> bool:
    return bool(cell) and "\0" not in str(cell)


def collect_findings(
    collection: Dataset,
    image_size: int,
    features: tuple[Sequence[Sample], NDArray[np.float32]] | None = None,
    seed: int = 42,
) -> Findings:
    """What is wrong with a collection, for a network of `image_size` pixels a side.

    `features`, of the samples (N) that come with them `(N, D)`, are what labels are judged by.
    """
    found = [*_left_out(collection), *_near_copies(collection), *_poor(collection, image_size)]
    ranked: list[Finding] = []
    judged = 0
    if features is not None and len(features[0]):
        samples, verdict = features[0], _judge(collection, *features, seed)
        cells_judged = verdict.scored()
        judged = int(cells_judged.any(axis=1).sum())
        most = min(MAX_RANKED, int(np.ceil(cells_judged.sum() * RANKED_SHARE)))
        ranked, wrong = (
            [_label_finding(collection, samples[row], row, label, verdict) for row, label in cases]
            for cases in (verdict.ranked(cells_judged, most), verdict.ranked(verdict.wrong))
        )
        found += wrong
    order = list(KINDS)
    found.sort(key=lambda finding: order.index(finding.kind))
    trained = collection.counts().get("train", {})
    rare = tuple((name, count) for name, count in trained.items() if count < FEW_PHOTOS)
    photos = len(collection.samples)
    return Findings(collection.root, photos, judged, tuple(found), tuple(ranked), rare)


def _left_out(collection: Dataset) -> Iterator[Finding]:
    """What reading the photos already left out."""
    problems = collection.problems
    for photo, reason in problems.unreadable:
        yield Finding("unreadable", photo, reason)
    for same in problems.conflicting:
        for photo in same:
            yield Finding("conflict", photo, f"the same as {_others(same, photo)}")
    kept = {_name(collection, sample): sample for sample in collection.samples}
    for kind, pairs in (("copy", problems.copies), ("leak", problems.leaked)):
        for photo, other in pairs:
            told = f"the same as {other}" if kind == "copy" else f"like {other}"
            if other in kept:
                told += f" ({kept[other].split}, {_labels(collection, kept[other])})"
            yield Finding(kind, photo, told)


def _near_copies(collection: Dataset) -> Iterator[Finding]:
    """Photos that look the same as an earlier one; all of them where their labels disagree."""
    groups = group_near_copies([sample.perceptual_hash for sample in collection.samples]).tolist()
    members: dict[int, list[Sample]] = {}
    for group, sample in zip(groups, collection.samples, strict=True):
        members.setdefault(group, []).append(sample)
    for same in members.values():
        names = [_name(collection, sample) for sample in same]
        present = {label for sample in same for label in sample.present}
        # Somebody says of one what another is known to lack.
        if any(present - {*sample.present, *sample.unseen} for sample in same):
            for sample, name in zip(same, names, strict=True):
                label = _labels(collection, sample)
                yield Finding("near_conflict", name, f"{label}; like {_others(names, name)}")
        else:
            for name in names[1:]:
                yield Finding("near_copy", name, f"like {names[0]}")


def _poor(collection: Dataset, image_size: int) -> Iterator[Finding]:
    for sample in collection.samples:
        if sample.quality is not None:
            for kind, told in sample.quality.faults(image_size).items():
                yield Finding(kind, _name(collection, sample), told)


def _judge(
    collection: Dataset, samples: Sequence[Sample], features: NDArray[np.float32], seed: int
) -> LabelScores:
    groups = group_near_copies([sample.perceptual_hash for sample in samples])
    count = len(collection.labels)
    if collection.labels.kind == "multi":
        return score_tags(features, tag_matrix(samples, count), groups, seed)
    labels = np.array([sample.label for sample in samples], np.int64)
    return score_labels(features, labels, groups, count, seed)


def _label_finding(
    collection: Dataset, sample: Sample, row: int, label: int, verdict: LabelScores
) -> Finding:
    names = collection.labels.names
    if collection.labels.kind == "multi":
        said = "tagged" if label in sample.present else "not tagged"
        told = f"{said} {names[label]}, {verdict.probabilities[row, label]:.0%} likely to show it"
    else:
        likeliest = int(np.nanargmax(verdict.probabilities[row]))
        chance = verdict.probabilities[row, likeliest]
        told = f"labelled {names[label]}, looks like {names[likeliest]} ({chance:.0%})"
    score = float(verdict.confidence[row, label])
    return Finding("label", _name(collection, sample), told, score)


def _labels(collection: Dataset, sample: Sample) -> str:
    names = [collection.labels.names[label] for label in sample.present]
    return f"labelled {', '.join(names) or 'nothing'}"


def _others(names: Sequence[str], own: str) -> str:
    others = list(islice((name for name in names if name != own), 4))
    return ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")


def _name(collection: Dataset, sample: Sample) -> str:
    return sample.path.relative_to(collection.root).as_posix()
