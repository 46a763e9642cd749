"""The columns of a table of labels: which holds what, by their names and cells."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tagger.datasets import sample
from tagger.datasets.readers.table_file import PREDICTION_HEADER, Table, normalize_header
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError
from tagger.text import list_first

State = int | float  # PRESENT, ABSENT or UNSEEN, or a probability in (0, 1)

# Cells in a column that belongs to a tag.
PRESENT = frozenset(("1", "true", "yes", "x"))
ABSENT = frozenset(("0", "false", "no"))
MINUS = frozenset(("-1",))  # absent; in a table that has 0 for that, "not sure"
BLANK = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))

EXPORT_HEADER = ("image", "label", "tags")  # of the photo library: the first tag, and all

# Names of columns, as `normalize_header` gives them.
SPLIT = ("split", "set", "subset", "partition")
TAG_LISTS = ("tags", "labels", "tag", "keywords", "categories", "classes")
SINGLE_LABELS = ("label", "class", "category", "classname", "labelname", "categoryname", "name")
_BOX = (
    *("x", "y", "w", "h", "x1", "y1", "x2", "y2", "xmin", "ymin", "xmax", "ymax", "bbox"),
    *("width", "height", "xcenter", "ycenter"),
)
_FIGURES = (*_BOX, "score", "confidence", "probability", "weight", "ratio", "aspectratio")
_CONFIDENCES = ("confidence", "conf", "probability", "prob", "certainty")  # or percentages
_PRESENCES = ("score", "presence", "present", "ispresent")
_CONFIDENCE = re.compile(r"\d{1,3}(\.\d{0,40})?|\.\d{1,40}|\d(\.\d{0,40})?e-\d{1,3}", re.ASCII)
_NUMBER = re.compile(r"-?(\d(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,3})?", re.ASCII)
_STARS = 10  # the highest of a rating by stars or points
_MOST_CELLS = 0.9  # of a column's cells that are not blank


@dataclass(frozen=True)
class Columns:
    """The numbers of the columns: either `labels` holds a photo's labels, or each of `tags` a tag.

    `is_tag_list`: cells of `labels` may hold several. `has_boxes`: a row is an object in a photo.
    `is_export`: the table was written by this project. `states` are the tag states PRESENT, ABSENT
    or UNSEEN by cell of the tag columns, or a probability in (0, 1); None for a cell without
    meaning. `confidence` holds how sure it is that the photo has the label in its row, and
    `confidences` are these in [0, 1] by cell, None for one without meaning. `unread` are the names
    of columns without meaning.
    """

    split: int | None = None
    labels: int | None = None
    tags: tuple[int, ...] = ()
    is_tag_list: bool = False
    has_boxes: bool = False
    is_export: bool = False
    confidence: int | None = None
    confidences: Mapping[str, float | None] = field(default_factory=dict)
    states: Mapping[str, State | None] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def read_columns(table: Table, display_path: str) -> Columns:
    """The columns of a table. Raises DatasetError if none or several may hold the labels."""
    cells = [Counter(column) for column in zip(*table.rows, strict=True)]
    if not cells:
        raise DatasetError(f"{display_path}: no rows below the header; it needs one for each photo")
    keys = [normalize_header(name) for name in table.header]
    named = [n for n, name in enumerate(table.header) if name and n != table.image]
    split = next((n for n in named if keys[n] in SPLIT and any(map(split_named, cells[n]))), None)
    rest = [n for n in named if n != split]
    tags = _tag_columns(keys, cells, rest)
    labels = next((n for key in (*TAG_LISTS, *SINGLE_LABELS) for n in rest if keys[n] == key), None)
    if labels in tags and len(tags) > 1:  # a tag of that name among others
        labels = None
    if labels is None and not tags:
        labels = _only_column(table, rest, display_path)
    if labels is None:
        return Columns(
            split=split,
            tags=tuple(tags),
            states=_read_states({cell for n in tags for cell in cells[n]}),
            unread=_unread_columns(table, {*tags, split}),
        )
    is_prediction = table.header[: len(PREDICTION_HEADER)] == PREDICTION_HEADER
    is_export = tuple(table.header[:3]) == EXPORT_HEADER or is_prediction
    boxes = {n for n in rest if keys[n] in _BOX} - {labels}
    confidences: dict[str, float | None] = {}
    confidence = None
    for n in rest if not is_export else ():
        if keys[n] in _CONFIDENCES + _PRESENCES and n != labels and confidence is None:
            confidences = _read_confidences(cells[n], keys[n] in _CONFIDENCES)
            confidence = n if confidences else None
    return Columns(
        split=split,
        labels=labels,
        is_tag_list=keys[labels] in TAG_LISTS and not is_export,
        has_boxes=bool(boxes),
        is_export=is_export,
        confidence=confidence,
        confidences=confidences,
        unread=() if is_export else _unread_columns(table, {labels, split, confidence, *boxes}),
    )


def _read_states(cells: set[str]) -> dict[str, State | None]:
    """The tag state of each cell.

    A table without any "absent" cell would give each photo every tag that was looked for. There
    -1 means absent, and in a table without -1, blank does. A table of probabilities needs neither:
    low ones say it. There blank is unseen, and so is -1 unless it is the opposite of a 1.
    """
    plain = {cell: _plain(cell) for cell in cells}
    texts = set(plain.values())
    has_probabilities = any(_probability(text) is not None for text in texts)
    absent = ABSENT
    if ABSENT.isdisjoint(texts) and not (has_probabilities and PRESENT.isdisjoint(texts)):
        absent |= MINUS
    if absent.isdisjoint(texts) and not has_probabilities:
        absent |= BLANK
    states: dict[str, State] = dict.fromkeys(MINUS | BLANK, sample.UNSEEN)
    states |= dict.fromkeys(absent, sample.ABSENT) | dict.fromkeys(PRESENT, sample.PRESENT)
    return {cell: states.get(text, _probability(text)) for cell, text in plain.items()}


def _read_confidences(cells: Counter[str], may_be_percent: bool) -> dict[str, float | None]:
    """The confidence of each cell; empty for a column of other numbers or texts."""
    values: dict[str, float | None] = {}
    for cell in cells:
        text = _plain(cell).removesuffix("%").strip()
        if text in PRESENT | ABSENT:
            values[cell] = float(text in PRESENT)
        else:
            values[cell] = float(text) if _CONFIDENCE.fullmatch(text) else None
    filled = sum(count for cell, count in cells.items() if _plain(cell) not in BLANK)
    readable = sum(count for cell, count in cells.items() if values[cell] is not None)
    highest = max((value for value in values.values() if value is not None), default=math.inf)
    is_percent = any("%" in cell for cell in cells) or (may_be_percent and highest > _STARS)
    scale = 100 if is_percent else 1
    if highest > scale or readable < _MOST_CELLS * filled:
        return {}
    return {cell: None if value is None else value / scale for cell, value in values.items()}


def _plain(cell: str) -> str:
    """A cell in lower case; "1.00" and "1e0" as "1"."""
    text = cell.strip().lower()
    if not _NUMBER.fullmatch(text) or float(text) not in (-1, 0, 1):
        return text
    return str(int(float(text)))


def _probability(cell: str) -> float | None:
    """A number between 0 and 1, without these; None for any other cell."""
    return float(cell) if _NUMBER.fullmatch(cell) and 0 < float(cell) < 1 else None


def _tag_columns(keys: list[str], cells: list[Counter[str]], rest: list[int]) -> list[int]:
    """The columns that hold a tag's states.

    A column of fractions alone may hold a score or a ratio. It is a tag's in a table of
    probabilities: beside a column of fractions with a 1 or 0 among them, or where all columns are
    like it.
    """
    texts = {n: _count_texts(cells[n]) for n in rest}
    figures = {n for n in rest if keys[n] in _FIGURES}
    fractions = {n for n in rest if any(_probability(text) is not None for text in texts[n])}
    certain = {n for n in rest if not texts[n].keys().isdisjoint(PRESENT | ABSENT)}
    tags = {n for n in rest if _is_tag_column(texts[n])} - (figures & fractions)
    alone = tags & fractions - certain
    other_columns = {n for n in rest if not texts[n].keys() <= BLANK} - figures - alone
    if other_columns and not tags & fractions & certain:
        tags -= alone
    return sorted(tags)


def _count_texts(cells: Counter[str]) -> Counter[str]:
    counts = Counter[str]()
    for cell, count in cells.items():
        counts[_plain(cell)] += count
    return counts


def _is_tag_column(counts: Counter[str]) -> bool:
    """Whether most cells of a column, which are counted as `_plain` gives them, are states."""
    filled = sum(count for cell, count in counts.items() if cell not in BLANK)
    states = sum(
        count
        for cell, count in counts.items()
        if cell in PRESENT | ABSENT | MINUS or _probability(cell) is not None
    )
    return states >= _MOST_CELLS * filled


def _only_column(table: Table, rest: list[int], display_path: str) -> int:
    if len(rest) == 1:
        return rest[0]
    names = list_first([table.header[n] for n in rest])
    problem = f"which column holds the labels: {names}?" if rest else "no column of labels;"
    raise DatasetError(
        f"{display_path}, line 1: {problem} Call it label (one each) or tags (several, with |"
        " between), or give each tag a column of 1 and 0"
    )


def _unread_columns(table: Table, read: Iterable[int | None]) -> tuple[str, ...]:
    used = {*read, table.image}
    return tuple(name or f"column {n + 1}" for n, name in enumerate(table.header) if n not in used)
