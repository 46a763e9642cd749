"""A table in a text file, whatever it is divided by: a header, and rows with their lines."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.errors import DatasetError
from tagger.images.decode import EXTENSIONS

DIVIDERS = ",;\t"
_LOOKED_AT = 2**14  # bytes

# How headers call the column of photos, in order of preference, without case, spaces and lines.
IMAGE = (
    *("image", "filename", "file", "path", "photo", "picture", "img", "imagename", "imagepath"),
    *("imagefile", "imgname", "imgpath", "filepath", "photopath", "imageid", "id"),
)

# How tables begin that tell what a model said: by `predict.py`, and by the app.
PREDICTION_HEADER = ("path", "label", "confidence", "unknown", "reason", "ood_score", "tags")
LIBRARY_HEADER = ("ID", "Name", "Timestamp")


@dataclass(frozen=True)
class Table:
    """A table's cells as text; `image` is the column of photos, `uneven` lines are not in it."""

    place: str
    header: tuple[str, ...]
    image: int
    rows: list[list[str]]
    lines: list[int]
    uneven: list[int]

    def at(self, row: int) -> str:
        """Where a row stands."""
        return f"{self.place}:{self.lines[row]}"


def holds_photos(tree: PhotoIndex, place: str) -> bool:
    """Whether a table's first line names a column of photos, or a photo.

    Tables of what a model said do not count: it would learn from itself.
    """
    rows = _beginning(tree, place)
    if not rows or any(
        tuple(rows[0][: len(own)]) == own for own in (PREDICTION_HEADER, LIBRARY_HEADER)
    ):
        return False
    return _is_photo(rows[0]) or image_column(rows[0]) is not None


def leads_to_photos(tree: PhotoIndex, place: str) -> bool:
    """Whether any of a table's first rows names a photo that is there."""
    rows = _beginning(tree, place)
    column = image_column(rows[0]) if rows else None
    below = rows if column is None else rows[1:]
    names = (row[column or 0].strip() for row in below if len(row) > (column or 0))
    folder = posixpath.dirname(place)
    return any(isinstance(tree.find(n, around(folder)), str) for n in names if n)


def around(folder: str) -> tuple[str, str]:
    """Where the photos of a table in a folder lie: beside it, or in `images/`."""
    own = f"{folder}/" if folder else ""
    return own, f"{own}images/"


def read(tree: PhotoIndex, place: str) -> Table:
    """Every row of a table. Raises DatasetError, naming the line, for what is no table."""
    text, divider = _divided(tree.read_text(place))
    shown = tree.shown(place)
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, cells in _rows(text, divider, shown):
        rows.append(cells)
        lines.append(line)
    if not rows:
        raise DatasetError(f"{shown}: empty; it needs a line such as image,label and one a photo")
    if _is_photo(rows[0]):
        if len(rows[0]) != 2:
            raise DatasetError(
                f"{shown}, line 1: no header; put a line above it that names the columns, such as"
                " image,label"
            )
        header = ["image", "label"]
    else:
        header = [cell.strip() for cell in rows.pop(0)]
        del lines[0]
    image = image_column(header)
    if image is None:
        raise DatasetError(
            f"{shown}, line 1: no column of photos among {', '.join(header[:6])}; call it image"
        )
    _refuse_repeated(header, shown)
    return _even(place, header, image, rows, lines)


def image_column(header: Sequence[str]) -> int | None:
    """The column of photos, if any is called so."""
    keys = [key_of(cell) for cell in header]
    return next((keys.index(name) for name in IMAGE if name in keys), None)


def key_of(header: str) -> str:
    """A column's name without case, spaces and lines: "file_name" and "File Name" are alike."""
    return re.sub(r"[\s_-]+", "", header.strip().casefold())


def _beginning(tree: PhotoIndex, place: str) -> list[list[str]]:
    """A table's first rows, for a look at what it is; none where it is no table."""
    with open(tree.absolute(place), "rb") as file:
        start = file.read(_LOOKED_AT)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text, divider = _divided(start.decode(encoding, "replace"))
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=divider) if row]
    except csv.Error:
        return []


def _rows(text: str, divider: str, shown: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=divider, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(
            f"{shown}, line {line:,}: not a row of a table ({error}); put a cell that holds quotes"
            " in quotes, and double those within"
        ) from None


def _even(
    place: str, header: list[str], image: int, rows: list[list[str]], lines: list[int]
) -> Table:
    """Rows as wide as the header; blank cells past its end do not count."""
    width = len(header)
    while header[-1] == "" and all(len(row) < width or not row[width - 1].strip() for row in rows):
        header.pop()  # a divider at the end of each line
        width -= 1
    kept, kept_lines, uneven = [], [], []
    for row, line in zip(rows, lines, strict=True):
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) == width:
            kept.append(row)
            kept_lines.append(line)
        else:
            uneven.append(line)
    return Table(place, tuple(header), image, kept, kept_lines, uneven)


def _divided(text: str) -> tuple[str, str]:
    """The table, and what divides its cells: told by a first line, or the first that occurs."""
    if told := re.match(r"sep=([,;\t])\r?\n", text):
        return text[told.end() :], told[1]
    quoted = False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif not quoted and character in DIVIDERS:
            return text, character
        elif not quoted and character in "\r\n":
            break
    return text, ","


def _is_photo(cells: Sequence[str]) -> bool:
    """Whether the first line is a row already."""
    return bool(cells) and posixpath.splitext(cells[0].strip())[1].lower() in EXTENSIONS


def _refuse_repeated(header: Sequence[str], shown: str) -> None:
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise DatasetError(f"{shown}, line 1: two columns are called {twice}; rename one")
