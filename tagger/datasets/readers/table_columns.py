"""What the columns of a table of labels mean, told by their names and by what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tagger.datasets import sample
from tagger.datasets.readers.table_file import PREDICTION_HEADER, Table, key_of
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError

PRESENT = frozenset(("1", "1.0", "true", "yes", "x"))
ABSENT = frozenset(("0", "0.0", "false", "no"))
MINUS = frozenset(("-1", "-1.0"))  # absent; in a table that has 0 for that, "not sure"
BLANK = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))

EXPORT_HEADER = ("image", "label", "tags")  # as the photo library writes it: the first tag, and all

SPLIT = ("split", "set", "subset", "partition")
SEVERAL = ("tags", "labels", "tag", "keywords", "categories", "classes")
ONE = ("label", "class", "category", "classname", "labelname", "categoryname", "name")
_BOX = (
    *("x", "y", "w", "h", "x1", "y1", "x2", "y2", "xmin", "ymin", "xmax", "ymax", "bbox"),
    *("width", "height", "xcenter", "ycenter"),
)
_MOSTLY = 0.9  # of a column's cells that are not blank


@dataclass(frozen=True)
class Columns:
    """Columns by number: either `listed` holds each photo's labels, or each of `tags` is a tag.

    `several`: more than one label a photo is meant. `boxes`: a row is an object in a photo.
    `meanings` has what each cell in the columns of tags says: 1 present, 0 absent, -1 that nobody
    looked, None nothing. `strays` are the columns that mean nothing.
    """

    split: int | None = None
    listed: int | None = None
    tags: tuple[int, ...] = ()
    several: bool = False
    boxes: bool = False
    exported: bool = False
    meanings: Mapping[str, int | None] = field(default_factory=dict)
    strays: tuple[str, ...] = ()


def read_columns(sheet: Table, shown: str) -> Columns:
    """The columns of a table. Raises DatasetError where none can be of labels, or several."""
    found = [Counter(cells) for cells in zip(*sheet.rows, strict=True)]
    if not found:
        raise DatasetError(f"{shown}: no rows below the header; it needs one for each photo")
    keys = [key_of(name) for name in sheet.header]
    named = [n for n, name in enumerate(sheet.header) if name and n != sheet.image]
    split = next((n for n in named if keys[n] in SPLIT and any(map(split_named, found[n]))), None)
    rest = [n for n in named if n != split]
    tags = [n for n in rest if _is_tag(found[n])]
    listed = next((n for key in (*SEVERAL, *ONE) for n in rest if keys[n] == key), None)
    if listed in tags and len(tags) > 1:  # a tag of that name among others
        listed = None
    if listed is None and not tags:
        listed = _only(sheet, rest, shown)
    if listed is None:
        return Columns(
            split=split,
            tags=tuple(tags),
            meanings=_meanings({cell for n in tags for cell in found[n]}),
            strays=_strays(sheet, {*tags, split}),
        )
    exported = (
        tuple(keys) == EXPORT_HEADER or sheet.header[: len(PREDICTION_HEADER)] == PREDICTION_HEADER
    )
    boxes = {n for n in rest if keys[n] in _BOX} - {listed}
    return Columns(
        split=split,
        listed=listed,
        several=keys[listed] in SEVERAL and not exported,
        boxes=bool(boxes),
        exported=exported,
        strays=() if exported else _strays(sheet, {listed, split, *boxes}),
    )


def _meanings(cells: set[str]) -> dict[str, int | None]:
    """What each of the cells says.

    -1 says "absent" where no other cell does, and blank where not even -1 does: else every photo
    would have every tag that somebody looked for.
    """
    plain = {cell: cell.strip().lower() for cell in cells}
    denied = not ABSENT.isdisjoint(plain.values())
    absent = ABSENT if denied else ABSENT | MINUS
    if absent.isdisjoint(plain.values()):
        absent |= BLANK
    told: dict[str, int] = dict.fromkeys(MINUS | BLANK, sample.UNSEEN)
    told |= dict.fromkeys(absent, sample.ABSENT) | dict.fromkeys(PRESENT, sample.PRESENT)
    return {cell: told.get(said) for cell, said in plain.items()}


def _is_tag(cells: Counter[str]) -> bool:
    """Whether a column says of each photo that something is there or not."""
    told = Counter[str]()
    for cell, count in cells.items():
        told[cell.strip().lower()] += count
    filled = sum(count for cell, count in told.items() if cell not in BLANK)
    known = sum(told[cell] for cell in PRESENT | ABSENT | MINUS)
    return known >= _MOSTLY * filled


def _only(sheet: Table, rest: list[int], shown: str) -> int:
    if len(rest) == 1:
        return rest[0]
    names = ", ".join(sheet.header[n] for n in rest[:6])
    came = f"which column holds the labels: {names}?" if rest else "no column of labels;"
    raise DatasetError(
        f"{shown}, line 1: {came} Call it label (one each) or tags (several, with | between), or"
        " give each tag a column of 1 and 0"
    )


def _strays(sheet: Table, read: Iterable[int | None]) -> tuple[str, ...]:
    kept = {*read, sheet.image}
    return tuple(name or f"column {n + 1}" for n, name in enumerate(sheet.header) if n not in kept)
