"""CSV and TSV files as tables: header, rows and their line numbers, whatever the delimiter."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.errors import DatasetError
from tagger.images.decode import EXTENSIONS
from tagger.text import list_first

DELIMITERS = ",;\t"
MAX_COLUMNS = 25_000  # more tags than any collection has that people looked for
_PREVIEW_BYTES = 2**14

# Names of the column of photos, in order of preference, as `normalize_header` gives them.
IMAGE = (
    *("image", "filename", "file", "path", "photo", "picture", "img", "imagename", "imagepath"),
    *("imagefile", "imgname", "imgpath", "filepath", "photopath", "imageid", "id"),
)
LABELLED = ("image", "label")  # the columns of a table without a header
CAPTION = ("caption", "captions", "description", "text", "title", "comment")  # of a description

# The first columns of tables of predictions: by `predict.py`, and by the photo library.
PREDICTION_HEADER = ("path", "label", "confidence", "unknown", "reason", "ood_score", "tags")
LIBRARY_HEADER = ("ID", "Name", "Timestamp")


@dataclass(frozen=True)
class Table:
    """The cells of a table as text, with the number of the column of photos.

    `lines` are the line numbers of `rows`, `uneven` those of rows that are left out because their
    length is not that of the header.
    """

    path: str
    header: tuple[str, ...]
    image: int
    rows: list[list[str]]
    lines: list[int]
    uneven: list[int]

    def position(self, row: int) -> str:
        """File and line of a row: "labels.csv:7"."""
        return f"{self.path}:{self.lines[row]}"


def has_photo_column(index: PhotoIndex, path: str) -> bool:
    """Whether a table begins with a header that has a column of photos, or with a photo's row.

    False for tables of predictions, since a model would learn from its own answers, and for tables
    of captions alone.
    """
    rows = _preview(index, path)
    own_headers = (PREDICTION_HEADER, LIBRARY_HEADER)
    if not rows or any(tuple(rows[0][: len(header)]) == header for header in own_headers):
        return False
    image = find_image_column(rows[0])
    if image is None:
        return _is_photo_row(rows[0])
    columns = [normalize_header(name) for n, name in enumerate(rows[0]) if name and n != image]
    return not columns or not set(CAPTION).issuperset(columns)


def names_photos(index: PhotoIndex, path: str) -> bool:
    """Whether any of a table's first rows names a photo in the index."""
    rows = _preview(index, path)
    column = find_image_column(rows[0]) if rows else None
    below = rows if column is None else rows[1:]
    names = (row[column or 0].strip() for row in below if len(row) > (column or 0))
    folders = photo_folders(path)
    return any(
        isinstance(index.find(name, folders), str)
        or isinstance(index.find_loosely(name, drop_folders=True), str)
        for name in names
        if name
    )


def photo_folders(path: str) -> tuple[str, str]:
    """The folders that a table's photos may lie in: its own, and `images/` in that."""
    folder = posixpath.join(posixpath.dirname(path), "")
    return folder, f"{folder}images/"


def read(index: PhotoIndex, path: str) -> Table:
    """Every row of a table. Raises DatasetError, with the line, for a malformed one."""
    return parse(index.read_text(path), path, index.display_path(path))


def parse(text: str, path: str, display_path: str, columns: tuple[str, str] = LABELLED) -> Table:
    """The table in the text of the file at `path`. Raises as `read` does.

    `columns` are those of a table without a header, and the example in messages.
    """
    example = ",".join(columns)
    text, delimiter = _split_delimiter(text)
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, cells in _parse_rows(text, delimiter, display_path):
        rows.append(cells)
        lines.append(line)
    if not rows:
        raise DatasetError(
            f"{display_path}: empty; it needs a line such as {example} and one a photo"
        )
    if _is_photo_row(rows[0]):
        if len(rows[0]) != 2:
            raise DatasetError(
                f"{display_path}, line 1: no header; put a line above it that names the columns,"
                f" such as {example}"
            )
        header = list(columns)
    else:
        header = [cell.strip() for cell in rows.pop(0)]
        del lines[0]
    if len(header) > MAX_COLUMNS:
        raise DatasetError(
            f"{display_path}, line 1: {len(header):,} columns; a table may have {MAX_COLUMNS:,}."
            " Put the tags of each photo into one column, with | between"
        )
    image = find_image_column(header)
    if image is None:
        raise DatasetError(
            f"{display_path}, line 1: no column of photos among {list_first(header)}; call it image"
        )
    counts = Counter(filter(None, header))
    repeated, count = counts.most_common(1)[0]
    if count > 1:
        raise DatasetError(f"{display_path}, line 1: two columns are called {repeated}; rename one")
    return _drop_uneven_rows(path, header, image, rows, lines)


def find_image_column(header: Sequence[str]) -> int | None:
    """The number of the column of photos; None without one."""
    keys = [normalize_header(cell) for cell in header]
    return next((keys.index(name) for name in IMAGE if name in keys), None)


def normalize_header(name: str) -> str:
    """A column's name in lower case, without spaces, "_" and "-": "file_name" is "filename"."""
    return re.sub(r"[\s_-]+", "", name.strip().casefold())


def _preview(index: PhotoIndex, path: str) -> list[list[str]]:
    """A table's first rows; none where it is no table. Raises DatasetError if it cannot be read."""
    try:
        with open(index.absolute(path), "rb") as file:
            start = file.read(_PREVIEW_BYTES)
    except OSError as error:
        raise DatasetError(
            f"{index.display_path(path)}: cannot be read ({error.strerror})"
        ) from None
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text, delimiter = _split_delimiter(start.decode(encoding, "replace"))
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return [row for row in rows if row]
    except csv.Error:
        return []


def _parse_rows(text: str, delimiter: str, display_path: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(
            f"{display_path}, line {line:,}: not a row of a table ({error}); put a cell that holds"
            " quotes in quotes, and double those within"
        ) from None


def _drop_uneven_rows(
    path: str, header: list[str], image: int, rows: list[list[str]], lines: list[int]
) -> Table:
    """The table of the rows as long as the header; blank cells past its end do not count."""
    width = len(header)
    while header[width - 1] == "":
        width -= 1
    filled = max((n for row in rows for n in _filled_past(row[: len(header)], width)), default=0)
    width = max(width, filled)
    del header[width:]  # delimiters at the end of each line
    even_rows, even_lines, uneven = [], [], []
    for row, line in zip(rows, lines, strict=True):
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) == width:
            even_rows.append(row)
            even_lines.append(line)
        else:
            uneven.append(line)
    return Table(path, tuple(header), image, even_rows, even_lines, uneven)


def _filled_past(row: list[str], width: int) -> Iterator[int]:
    """The length of a row up to its last cell that is not blank, if that is above `width`."""
    last = next((n for n in range(len(row), width, -1) if row[n - 1].strip()), None)
    if last is not None:
        yield last


def _split_delimiter(text: str) -> tuple[str, str]:
    """A table's text and its delimiter: from a `sep=` line, or the first one in the header."""
    if match := re.match(r"sep=([,;\t])\r?\n", text):
        return text[match.end() :], match[1]
    quoted = False
    for character in islice(text, _PREVIEW_BYTES):
        if character == '"':
            quoted = not quoted
        elif not quoted and character in DELIMITERS:
            return text, character
        elif not quoted and character in "\r\n":
            break
    return text, ","


def _is_photo_row(cells: Sequence[str]) -> bool:
    """Whether the first line is already a row: it begins with a photo's file name."""
    return bool(cells) and posixpath.splitext(cells[0].strip())[1].lower() in EXTENSIONS
