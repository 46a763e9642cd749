"""Detection of a dataset's label format.

The first format in this order is read, the others are listed in a remark: `labels.csv`, COCO,
Pascal VOC, YOLO, a table of any other name, label folders. A file that cannot be read, or leads to
no labelled photos, may not hold labels at all: then the next format is read, except after a
`labels.csv`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tagger.datasets.readers import coco, folders, pascal_voc, table, yolo
from tagger.datasets.readers.listing import LAYOUT, NOT_LABELS, Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError
from tagger.images.decode import EXTENSIONS
from tagger.text import count_noun


class Reader(Protocol):
    """A module that reads a label format."""

    FORMAT: str

    def find(self, index: PhotoIndex) -> list[Any]:
        """The label files; none where labels are not in this format."""

    def read(
        self, index: PhotoIndex, files: list[Any], spellings: Mapping[str, str] | None = None
    ) -> Listing:
        """The photos in label files. Raises DatasetError, naming file and line, for broken ones.

        `spellings` are the names of labels by their other spellings.
        """


Candidate = tuple[Reader, list[Any] | DatasetError]  # label files, or why they are broken

READERS: tuple[Reader, ...] = (coco, pascal_voc, yolo)  # in order of preference

NOT_READ = Remark(
    *("other label format", "lies beside the one read", "lie beside the one read"),
    outcome="not read",
)
UNUSABLE = Remark("label format", "leads to no labelled photos", "lead to no labelled photos")
MERGED = Remark(
    "label",
    "differs from another in case alone",
    "differ from others in case alone",
    outcome="merged",
)
OUTSIDE = Remark("link", "leads out of the collection", "lead out of the collection")


def read(root: Path, min_labels: int, merge_case: bool = False) -> Listing:
    """The photos in `root` with their labels; at least `min_labels`, or one tag.

    With `merge_case`, labels that differ in case alone become the one of them with most photos.
    Raises DatasetError, saying what was found, where there are too few.
    """
    try:
        exists = root.exists()
    except OSError as error:
        raise DatasetError(f"{root}: cannot be opened ({error.strerror})") from None
    if not exists:
        raise DatasetError(f"{root}: no such folder; {LAYOUT}")
    if not root.is_dir():
        raise DatasetError(f"{root}: not a folder; {LAYOUT}")
    index = PhotoIndex(root)
    for path, reason in index.skipped.unopened:
        if path == ".":
            raise DatasetError(f"{root}: cannot be opened ({reason})")
    try:
        listing = _read(index, min_labels, {})
        if merge_case and (spellings := listing.case_spellings()):
            listing = _read(index, min_labels, spellings)
            merged = [f"{name} → {other}" for name, other in sorted(spellings.items())]
            listing = _add_remark(listing, MERGED, merged)
    except DatasetError as error:
        raise DatasetError("; ".join([str(error), *index.skipped.sentences()])) from None
    photos = tuple(map(index.absolute, index.walked_photos))
    return replace(listing, photos=photos, skipped=index.skipped)


def _read(index: PhotoIndex, min_labels: int, spellings: Mapping[str, str]) -> Listing:
    """The listing in the first format that leads to labelled photos."""
    root, whole = index.root, index
    index, candidates = _find_candidates(index)
    errors: dict[str, DatasetError] = {}
    for number, candidate in enumerate(candidates):
        try:
            listing = _read_candidate(candidate, index, spellings)
            listing = _add_remark(listing, OUTSIDE, index.outside_links)
            _check_enough(root, listing, min_labels)
        except DatasetError as error:
            if _is_certain(candidate):
                raise
            errors[candidate[0].FORMAT] = error
            continue
        not_read = [reader.FORMAT for reader, _ in candidates[number + 1 :]]
        if _folders_differ(index, listing):
            not_read.append(folders.FORMAT)
        return _add_errors(errors, _add_remark(listing, NOT_READ, not_read))
    try:
        listing = folders.read(whole, spellings)
    except DatasetError:
        if errors:
            raise next(iter(errors.values())) from None
        raise
    listing = _add_remark(listing, OUTSIDE, index.outside_links)
    if errors and len(_label_names(listing.names)) < min_labels:
        raise next(iter(errors.values()))
    _check_enough(root, listing, min_labels)
    return _add_errors(errors, listing)


def _find_candidates(index: PhotoIndex) -> tuple[PhotoIndex, list[Candidate]]:
    """The label formats in a folder, in order; if none, those in the only one with photos in it."""
    candidates: list[Candidate] = [
        (reader, files) for reader in READERS if (files := _find_files(reader, index))
    ]
    tables = _find_files(table, index)
    if isinstance(tables, DatasetError):
        candidates.append((table, tables))
    elif tables:
        first = table.is_certain(tables)
        tops = _label_names({path.split("/")[0] for path in index.photos if "/" in path})
        has_alternative = bool(candidates) or len(tops) > 1
        doubtful = table.is_ambiguous(tables) or table.names_no_photos(index, tables)
        if first or not (has_alternative and doubtful):
            candidates.insert(0 if first else len(candidates), (table, tables))
    tops = {path.partition("/")[0] for path in index.photos}
    (only,) = tops if len(tops) == 1 else ("",)
    if not candidates and only in index.folders:
        subindex, candidates = _find_candidates(PhotoIndex(index.root / only))
        return (subindex if candidates else index), candidates
    return index, candidates


def _find_files(reader: Reader, index: PhotoIndex) -> list[Any] | DatasetError:
    try:
        return reader.find(index)
    except DatasetError as error:
        return error


def _read_candidate(
    candidate: Candidate, index: PhotoIndex, spellings: Mapping[str, str]
) -> Listing:
    reader, files = candidate
    if isinstance(files, DatasetError):
        raise files
    return reader.read(index, files, spellings)


def _is_certain(candidate: Candidate) -> bool:
    """Whether these are the labels beyond doubt, even if they cannot be used."""
    reader, files = candidate
    return reader is table and not isinstance(files, DatasetError) and table.is_certain(files)


def _check_enough(root: Path, listing: Listing, min_labels: int) -> None:
    minimum = min_labels if listing.kind == "single" else 1
    if len({label for sample in listing.samples for label in sample.present}) < minimum:
        raise DatasetError(_too_few_labels(root, listing, minimum))


def _add_errors(errors: Mapping[str, DatasetError], listing: Listing) -> Listing:
    """The listing with a remark on the formats that could not be used."""
    remark = replace(UNUSABLE, outcome=f"{', '.join(errors)} not read")
    return _add_remark(listing, remark, [f"{name}: {error}" for name, error in errors.items()])


def _add_remark(listing: Listing, remark: Remark, names: list[str]) -> Listing:
    if not names:
        return listing
    return replace(listing, remarks=(*listing.remarks, replace(remark, names=tuple(names))))


def _folders_differ(index: PhotoIndex, listing: Listing) -> bool:
    """Whether at least half of the photos lie in folders named for other labels than theirs."""
    tags = {s.path: {listing.names[label] for label in s.present} for s in listing.samples}
    tops = Counter(
        path.split("/")[0]
        for path in index.photos
        if "/" in path and path.split("/")[0] not in tags.get(index.absolute(path), ())
    )
    labels = _label_names(tops)
    return len(labels) > 1 and 2 * sum(tops[label] for label in labels) >= len(index.photos)


def _label_names(folder_names: Iterable[str]) -> set[str]:
    """The folder names that may be labels: neither splits nor names such as "images"."""
    return {n for n in folder_names if n.lower() not in NOT_LABELS and split_named(n) is None}


def _too_few_labels(root: Path, listing: Listing, minimum: int) -> str:
    if listing.label_format == folders.FORMAT:
        source = f" in {count_noun(folders.count_folders(root), 'folder')},"
    else:
        source = f" by {listing.label_format},"
    remarks = "; ".join(remark.sentence() for remark in listing.remarks)
    return (
        f"{root}/: found {count_noun(len(listing.samples), 'photo')}{source}"
        f" {count_noun(len(listing.names), 'label')}{f' ({remarks})' if remarks else ''};"
        f" needs at least {count_noun(minimum, 'label')}: {LAYOUT};"
        f" looked for {' '.join(sorted(EXTENSIONS))}"
    )
