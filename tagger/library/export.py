"""What leaves the library: tables of photos, and photos in folders by tag."""

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

from tagger.datasets.readers import columns, sheet, table
from tagger.errors import ImageError, OptionError
from tagger.images.decode import EXTENSIONS
from tagger.library.records import Photo, Tag
from tagger.library.search.grammar import fold
from tagger.text import escape_formula

PLACES = 5  # tags of a photo in the table
HEADER = (
    *sheet.SHOWN,
    *(f"Label {place}" for place in range(1, PLACES + 1)),
    *(f"Score {place}" for place in range(1, PLACES + 1)),
)
MAX_PART = 120  # bytes of a file's or folder's name; most file systems take 255
UNTAGGED = "has no tag"

# What some file system or shell would take for something else; Windows reserves the names.
_AWKWARD = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³])(\..*)?", re.IGNORECASE)


@dataclass
class ExportSummary:
    """Photos that went into an export, and those left out: each one's name with the reason."""

    written: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def write_csv(photos: Iterable[Photo], file: TextIO) -> None:
    """A row for each photo: `HEADER`, its first tags with their scores in percent.

    Open `file` with `newline=""`. What a spreadsheet would run as a formula is made harmless.
    """
    writer = csv.writer(file)
    writer.writerow(HEADER)
    for photo in photos:
        tags = photo.tags[:PLACES]
        empty = [""] * (PLACES - len(tags))
        added = f"{photo.added_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        cells = [photo.id, photo.name, added, *(tag.label for tag in tags), *empty]
        cells += [*map(_percent, tags), *empty]
        writer.writerow([escape_formula(cell) for cell in cells])


def write_json_lines(photos: Iterable[Photo], file: TextIO) -> None:
    """An object a line, in ASCII: all that the library knows of each photo."""
    for photo in photos:
        file.write(json.dumps(_plain(photo)) + "\n")


def write_zip(
    photos: Iterable[Photo], read: Callable[[Photo], bytes], file: BinaryIO
) -> ExportSummary:
    """Photos in folders by their first tag, each once, and `labels.csv` with all of their tags.

    `read` gives a photo's bytes; those it raises ImageError for, and those without a tag, are
    left out. Unpacked, `train.py` reads it.
    """
    left = ExportSummary()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        listed = io.StringIO()
        for inside, data in _filed(photos, read, listed, left):
            archive.writestr(inside, data)
        archive.writestr(table.NAME, listed.getvalue().encode("utf-8", "backslashreplace"))
    return left


def write_collection(
    photos: Iterable[Photo], read: Callable[[Photo], bytes], folder: Path
) -> ExportSummary:
    """As `write_zip`, into a folder, which is there whole or not at all.

    Raises OptionError for a folder that holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(f"{folder}: holds something; name a new folder")
    left = ExportSummary()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir()
        listed = io.StringIO()
        for inside, data in _filed(photos, read, listed, left):
            place = temporary / inside
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)
        (temporary / table.NAME).write_bytes(listed.getvalue().encode("utf-8", "backslashreplace"))
        if folder.exists():
            folder.rmdir()
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return left


def _filed(
    photos: Iterable[Photo], read: Callable[[Photo], bytes], listed: TextIO, left: ExportSummary
) -> Iterator[tuple[str, bytes]]:
    """Where each photo goes, and its bytes; a row of each is added to `listed`."""
    folders = _Folders()
    writer = csv.writer(listed)
    writer.writerow(columns.HEADER)
    for photo in photos:
        if not photo.tags:
            left.skipped.append((photo.name, UNTAGGED))
            continue
        try:
            data = read(photo)
        except ImageError as error:
            left.skipped.append((photo.name, str(error)))
            continue
        label = photo.tags[0].label
        name = _part(photo.name, "photo")
        if os.path.splitext(name)[1].lower() not in EXTENSIONS:
            name += ".jpg"  # photos are listed by their endings, and opened by what is in them
        inside = f"{folders.of(label)}/{photo.id}-{name}"
        yield inside, data
        names = table.join([tag.label for tag in photo.tags])
        writer.writerow([escape_formula(cell) for cell in (inside, label, names)])
        left.written += 1


class _Folders:
    """A folder for each label: its name as far as a file system takes it, no two alike."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, label: str) -> str:
        if label not in self._names:
            plain = _part(label, "tag")
            if escape_formula(plain) != plain:  # in `labels.csv` it would not be the folder's name
                plain = f"_{plain}"
            name, number = plain, 1
            while fold(name) in self._taken:  # some file systems know no case, or one accent
                number += 1
                name = f"{plain} {number}"
            self._taken.add(fold(name))
            self._names[label] = name
        return self._names[label]


def _part(text: str, otherwise: str) -> str:
    """A file's or folder's name from any text; its ending survives where it is cut."""
    clean = _AWKWARD.sub("_", text).strip(" .")
    if _RESERVED.fullmatch(clean):
        clean = f"_{clean}"
    stem, ending = os.path.splitext(clean)
    ending = _cut(ending, 10)
    return (_cut(stem, MAX_PART - 10).strip(" .") + ending) or otherwise


def _cut(text: str, size: int) -> str:
    """As much of a text as `size` bytes hold."""
    return text.encode()[:size].decode(errors="ignore")


def _percent(tag: Tag) -> str:
    return "" if tag.score is None else f"{100 * tag.score:.2f}"


def _plain(photo: Photo) -> dict[str, object]:
    return {
        "id": photo.id,
        "name": photo.name,
        "path": str(photo.path),
        "sha256": photo.sha256,
        "size": photo.size,
        "width": photo.width,
        "height": photo.height,
        "added_at": photo.added_at.isoformat(),
        "taken_at": photo.taken_at and photo.taken_at.isoformat(),
        "unknown": photo.unknown,
        "reviewed": photo.reviewed,
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
