"""Exports of photos: CSV, JSON lines, and labelled folders to train on, in a ZIP or on disk."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import BinaryIO, TextIO

from tagger.datasets.readers import table, table_columns, table_file
from tagger.errors import ImageError, OptionError
from tagger.files import is_own_folder
from tagger.images.decode import EXTENSIONS
from tagger.library.records import Photo, Tag
from tagger.text import BYTE_ORDER_MARK, escape_formula, fold

MAX_TAGS = 5  # of a photo in the CSV file
HEADER = (
    *table_file.LIBRARY_HEADER,
    *(f"Label {number}" for number in range(1, MAX_TAGS + 1)),
    *(f"Score {number}" for number in range(1, MAX_TAGS + 1)),
)
DETAILS_HEADER = ("Path", "Tags", "Tagged by")  # of every tag: a person, or a model by name
PERSON = "person"
NO_TAG = "none"  # the folder of photos that have none of a collection's tags
MAX_NAME_BYTES = 120  # of a file's or folder's name; most file systems allow 255

# Characters with a meaning to a file system or shell, and names that Windows reserves.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³])(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class PhotoLabels:
    """What a collection says of a photo: the tags that it has, and those that it has not.

    With None for `absent` it has no others; else nobody looked for those that are in neither.
    """

    present: tuple[str, ...]
    absent: tuple[str, ...] | None = None


LabelPhoto = Callable[[Photo], PhotoLabels]


def own_labels(photo: Photo) -> PhotoLabels:
    """A photo's tags; it has no others."""
    return PhotoLabels(tuple(tag.label for tag in photo.tags))


@dataclass
class ExportSummary:
    """The number of photos in an export, and the skipped ones: name and reason.

    `untagged` of the skipped ones have no tag; the others cannot be read.
    """

    written: int = 0
    untagged: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def write_csv(
    photos: Iterable[Photo], file: TextIO, *, details: bool = False, bom: bool = False
) -> None:
    """Write a row for each photo: the columns of `HEADER`, scores in percent.

    With `details` those of `DETAILS_HEADER` follow, which `table.split_tags` takes apart. `bom`
    begins the file with a byte order mark, without which Excel takes UTF-8 for another encoding.
    Open `file` with `newline=""`. Cells that a spreadsheet would run as a formula are escaped.
    """
    if bom:
        file.write(BYTE_ORDER_MARK)
    writer = csv.writer(file)
    writer.writerow([*HEADER, *DETAILS_HEADER] if details else HEADER)
    for photo in photos:
        tags = photo.tags[:MAX_TAGS]
        empty = [""] * (MAX_TAGS - len(tags))
        added = f"{photo.added_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        cells = [photo.id, photo.name, added, *(tag.label for tag in tags), *empty]
        cells += [*map(_percent, tags), *empty]
        if details:
            origins = [PERSON if tag.by_person else tag.model or "" for tag in photo.tags]
            labels = table.join_tags([tag.label for tag in photo.tags])
            cells += [str(photo.path), labels, table.join_tags(origins)]
        writer.writerow([escape_formula(cell) for cell in cells])


def write_json_lines(photos: Iterable[Photo], file: TextIO) -> None:
    """Write a JSON object a line for each photo, with all its data, in ASCII."""
    for photo in photos:
        file.write(json.dumps(_to_json(photo)) + "\n")


def write_zip(
    photos: Iterable[Photo],
    read: Callable[[Photo], bytes],
    file: BinaryIO,
    label: LabelPhoto = own_labels,
    names_absent: bool = False,
) -> ExportSummary:
    """Write a ZIP of photos in folders by their first tag, and `labels.csv` with all their tags.

    `read` returns a photo's bytes, and `label` its tags. With `names_absent` the absent ones are in
    `labels.csv` too. Photos that have only absent tags are in a folder of their own; those without
    any, and those for which `read` raises ImageError, are skipped. `train.py` reads the unpacked
    folder.
    """
    summary = ExportSummary()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        labels_csv = io.StringIO()
        for relative, data in _lay_out(photos, read, label, labels_csv, summary, names_absent):
            archive.writestr(relative, data)
        archive.writestr(
            table.LABELS_FILE, labels_csv.getvalue().encode("utf-8", "backslashreplace")
        )
    return summary


def write_collection(
    photos: Iterable[Photo],
    read: Callable[[Photo], bytes],
    folder: Path,
    label: LabelPhoto = own_labels,
    names_absent: bool = False,
) -> ExportSummary:
    """Like `write_zip`, but to a folder, which appears complete or not at all.

    Raises OptionError for a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(f"{folder}: holds something; name a new folder")
    summary = ExportSummary()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir()
        labels_csv = io.StringIO()
        for relative, data in _lay_out(photos, read, label, labels_csv, summary, names_absent):
            path = temporary / relative
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        (temporary / table.LABELS_FILE).write_bytes(
            labels_csv.getvalue().encode("utf-8", "backslashreplace")
        )
        if folder.exists():
            folder.rmdir()
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return summary


def _lay_out(
    photos: Iterable[Photo],
    read: Callable[[Photo], bytes],
    label: LabelPhoto,
    labels_csv: TextIO,
    summary: ExportSummary,
    names_absent: bool,
) -> Iterator[tuple[str, bytes]]:
    """Each photo's path in the collection, and its bytes; writes the rows of `labels.csv`."""
    folders = _FolderNames()
    writer = csv.writer(labels_csv)
    header = table_columns.EXPORT_HEADER
    writer.writerow([*header, table_columns.ABSENT_HEADER] if names_absent else header)
    for photo in photos:
        of_photo = label(photo)
        if not of_photo.present and not of_photo.absent:
            summary.skipped.append((photo.name, "has no tag"))
            summary.untagged += 1
            continue
        try:
            data = read(photo)
        except ImageError as error:
            summary.skipped.append((photo.name, str(error)))
            continue
        first = of_photo.present[0] if of_photo.present else NO_TAG
        name = _safe_name(photo.name, "photo")
        if os.path.splitext(name)[1].lower() not in EXTENSIONS:
            name += ".jpg"  # a photo is listed by its extension, and decoded by its content
        relative = f"{folders.name_for(first)}/{photo.id}-{name}"
        yield relative, data
        cells = [relative, first, table.join_tags(of_photo.present)]
        cells += [table.join_tags(of_photo.absent or ())] if names_absent else []
        writer.writerow([escape_formula(cell) for cell in cells])
        summary.written += 1


class _FolderNames:
    """A folder name for each label: safe, and unique on file systems that ignore case."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._used: set[str] = {fold(table.LABELS_FILE)}

    def name_for(self, label: str) -> str:
        if label not in self._names:
            plain = _safe_name(label, "tag")
            # `labels.csv` would name another folder, or none would be read.
            if escape_formula(plain) != plain or is_own_folder(plain):
                plain = f"_{plain}"
            name, number = plain, 1
            while fold(name) in self._used:  # some file systems fold names likewise
                number += 1
                name = f"{plain} {number}"
            self._used.add(fold(name))
            self._names[label] = name
        return self._names[label]


def _safe_name(text: str, default: str) -> str:
    """A file's or folder's name from any text. A long name is cut before its extension."""
    clean = _UNSAFE.sub("_", text).strip(" .")
    if _RESERVED.fullmatch(clean):
        clean = f"_{clean}"
    stem, extension = os.path.splitext(clean)
    extension = _cut(extension, 10)
    return (_cut(stem, MAX_NAME_BYTES - 10).strip(" .") + extension) or default


def _cut(text: str, size: int) -> str:
    """The beginning of a text that fits into `size` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def _percent(tag: Tag) -> str:
    return "" if tag.score is None else f"{100 * tag.score:.2f}"


def _to_json(photo: Photo) -> dict[str, object]:
    return {
        "id": photo.id,
        "name": photo.name,
        "path": str(photo.path),
        "missing": photo.missing,
        "sha256": photo.sha256,
        "size": photo.size,
        "width": photo.width,
        "height": photo.height,
        "added_at": photo.added_at.isoformat(),
        "taken_at": photo.taken_at and photo.taken_at.isoformat(),
        "unknown": photo.unknown,
        "reviewed": photo.reviewed,
        "rating": photo.rating,
        "caption": photo.caption,
        "confidence": photo.confidence,
        "model": photo.model,
        "tags": [
            {
                "label": tag.label,
                "score": tag.score,
                "threshold": tag.threshold,
                "by_person": tag.by_person,
                "model": tag.model,
                "model_sha256": tag.model_sha256,
                "run": tag.operation_id,
                "made_at": tag.made_at.isoformat(),
            }
            for tag in photo.tags
        ],
    }
