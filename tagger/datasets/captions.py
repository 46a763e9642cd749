"""Captions of photos: a table with columns image and caption, or COCO's JSON of captions.

A photo may have several captions, a row each. Chen et al., "Microsoft COCO Captions", 2015
(arXiv:1504.00325) describes the JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagger.datasets.readers import table, table_file
from tagger.datasets.readers.builder import named_loosely
from tagger.datasets.readers.listing import Remark
from tagger.datasets.readers.photo_index import Miss, PhotoIndex, read_text
from tagger.errors import DatasetError
from tagger.text import escape_controls, list_first

MAX_CAPTION = 1000  # characters; the rest of a longer caption is not read
IMAGES_FOLDER = "images/"
COLUMNS = ("image", "caption")  # of a table without a header

NO_PHOTO = Remark("caption", "names no photo of the collection", "name no photo of the collection")
NO_TEXT = Remark("caption", "is empty", "are empty")
MALFORMED = Remark("entry", "is not a caption of an image", "are not captions of images")


@dataclass(frozen=True)
class Captions:
    """Captions by absolute path of the photo, below `root`, and remarks about those left out."""

    root: Path
    by_photo: Mapping[Path, tuple[str, ...]]
    remarks: tuple[Remark, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the captions, in order, and the paths of their photos from `root` on."""
        rows = [
            (Path(os.path.relpath(path, self.root)).as_posix(), texts)
            for path, texts in self.by_photo.items()
        ]
        return hashlib.sha256(repr(rows).encode()).hexdigest()


def read(file: Path, root: Path, copies: Mapping[Path, Path] | None = None) -> Captions:
    """The captions in `file` of the photos in the folder `root`.

    Photos are named as in a table of labels: by a path from `root`, or the end of one. Captions of
    exact copies go to the photo that `copies` has for each, as `Dataset.copies` does. Raises
    DatasetError for a file without captions of these photos.
    """
    copies = copies or {}
    text = read_text(file)
    display_path = escape_controls(str(file))
    read_rows = _coco_rows if text.lstrip()[:1] in ("{", "[") else _table_rows
    index = PhotoIndex(root)
    cases: dict[Remark, list[str]] = defaultdict(list)
    by_photo: dict[Path, dict[str, None]] = defaultdict(dict)
    for position, name, caption in read_rows(text, file, display_path, cases):
        photo = index.find(name, ("", IMAGES_FOLDER))
        if isinstance(photo, Miss) and ".." not in name:
            photo = index.find_loosely(name)
            if not isinstance(photo, Miss):
                cases[named_loosely("caption")].append(f"{position}: {escape_controls(name)}")
        if isinstance(photo, Miss):
            cases[NO_PHOTO].append(f"{position}: {escape_controls(name)}")
        elif not (words := " ".join(caption.split())[:MAX_CAPTION]):
            cases[NO_TEXT].append(position)
        else:
            path = index.absolute(photo)
            by_photo[copies.get(path, path)][words] = None
    remarks = tuple(replace(remark, names=tuple(n)) for remark, n in cases.items() if n)
    if not by_photo:
        reasons = "; ".join(remark.sentence() for remark in remarks)
        raise DatasetError(
            f"{display_path}: no caption of a photo in {root}{f'; {reasons}' if reasons else ''}"
        )
    return Captions(root, {path: tuple(texts) for path, texts in by_photo.items()}, remarks)


def _table_rows(
    text: str, file: Path, display_path: str, cases: dict[Remark, list[str]]
) -> Iterator[tuple[str, str, str]]:
    """Position, photo and caption of each row."""
    rows = table_file.parse(text, file.name, display_path, COLUMNS)
    keys = [table_file.normalize_header(name) for name in rows.header]
    column = next((keys.index(name) for name in table_file.CAPTION if name in keys), None)
    if column is None:
        raise DatasetError(
            f"{display_path}, line 1: no column of captions among {list_first(rows.header)}; call"
            " it caption"
        )
    cases[table.UNEVEN] += [f"{file.name}:{line}" for line in rows.uneven]
    for number, cells in enumerate(rows.rows):
        yield rows.position(number), cells[rows.image].strip(), cells[column]


def _coco_rows(
    text: str, file: Path, display_path: str, cases: dict[Remark, list[str]]
) -> Iterator[tuple[str, str, str]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{display_path}: not JSON ({error})") from None
    lists = content if isinstance(content, dict) else {}
    images, annotations = lists.get("images"), lists.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise DatasetError(
            f"{display_path}: no lists of images and annotations, as COCO's captions have"
        )
    names = {entry["id"]: entry["file_name"] for entry in images if _is_image(entry)}
    for number, entry in enumerate(annotations):
        position = f"{file.name}: annotations[{number}]"
        image = entry.get("image_id") if isinstance(entry, dict) else None
        if _is_id(image) and image in names and isinstance(entry.get("caption"), str):
            yield position, names[image], entry["caption"]
        else:
            cases[MALFORMED].append(position)


def _is_image(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and _is_id(entry.get("id"))
        and isinstance(entry.get("file_name"), str)
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)
