"""Labels as tables: a CSV with a row for each photo, and its labels in one column or in many.

A column called label holds one of them (or several, with | between), one called tags several; or
each tag has a column of its own, of 1, 0 and blank. A column called split may say who trains.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence

from tagger.datasets.readers import table_columns, table_file
from tagger.datasets.readers.builder import ListingBuilder, PhotoTags
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.readers.table_columns import Columns
from tagger.datasets.readers.table_file import Table
from tagger.datasets.sample import PRESENT, UNSEEN
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError
from tagger.text import unescape_formula

WRITTEN_AS = "CSV"
LABELS_FILE = "labels.csv"
SEPARATOR = "|"  # between tags
SLIPS = 0.05  # of photos: so few with rows of different labels are slips, more are meant

Files = list[tuple[str, str | None]]
Said = dict[str, list[tuple[str, ...]]]  # the labels of each row of a photo, no two alike
Row = tuple[str, list[str], str]  # a photo's place, its cells, where they stand

UNEVEN = Remark("row", "is not as long as the header", "are not as long as the header")
STRAY_SPLIT = Remark(
    "row", "has a split other than train, val and test", "have splits other than train, val, test"
)
STRAY_COLUMN = Remark(
    *(
        "column",
        "holds neither photos, labels nor splits",
        "hold neither photos, labels nor splits",
    ),
    outcome="not read",
)
STRAY_CELL = Remark(
    *("cell", "is neither 1, 0 nor blank", "are neither 1, 0 nor blank"),
    outcome="taken as if nobody looked",
)
REPEATED = Remark("row", "repeats another", "repeat others", outcome="counted once")
NO_LABEL = Remark("photo", "has a row without a label", "have a row without a label")
CONTRADICTED = Remark("photo", "has rows of different labels", "have rows of different labels")
UNCLEAR = Remark(
    *("tag", "is given by one row, not by another", "are given by one row, not by another"),
    outcome="taken as if nobody looked",
)


def join_tags(tags: Sequence[str]) -> str:
    """Tags in one cell; `split_apart` gives them back."""
    return SEPARATOR.join(re.sub(r"([\\|])", r"\\\1", tag) for tag in tags)


def split_tags(cell: str) -> list[str]:
    """Tags that `join` put into a cell."""
    parts = re.findall(r"((?:\\.|[^|])*)(?:\||$)", cell, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts if part.strip()]


def find(tree: PhotoIndex) -> Files:
    """`labels.csv`; else the tables named for splits; else any with a column of photos.

    Those that say what a model said are labels only if somebody called them `labels.csv`.
    """
    found = tree.files(".csv") + tree.files(".tsv")
    if named := [place for place, _ in found if place.lower() == LABELS_FILE]:
        return [(named[0], None)]
    found = [file for file in found if table_file.holds_photos(tree, file[0])]
    found = [file for file in found if table_file.leads_to_photos(tree, file[0])] or found
    by_split = [file for file in found if file[1]]
    return by_split if len(by_split) > 1 else [(place, None) for place, _ in found]


def is_named(files: Files) -> bool:
    """Whether the table is called so that nobody can doubt it."""
    return posixpath.basename(files[0][0]).lower() == LABELS_FILE


def is_stray(tree: PhotoIndex, files: Files) -> bool:
    """Whether the tables may be of something else: no row in sight names a photo."""
    return not any(table_file.leads_to_photos(tree, place) for place, _ in files)


def is_doubtful(files: Files) -> bool:
    """Whether any of several tables may be the one."""
    return len(files) > 1 and not all(split for _, split in files)


def read(tree: PhotoIndex, files: Files) -> Listing:
    """The photos that tables name, with their labels. Raises DatasetError, with the line."""
    if is_doubtful(files):
        told = ", ".join(place for place, _ in files[:6])
        raise DatasetError(
            f"{tree.root}: which table holds the labels: {told}? Call it {LABELS_FILE}"
        )
    ledger = ListingBuilder(tree)
    said: Said = {}
    names: set[str] = set()
    several = False
    for place, split in files:
        sheet = table_file.read(tree, place)
        layout = table_columns.read_columns(sheet, tree.shown(place))
        for line in sheet.uneven:
            ledger.note(UNEVEN, f"{place}:{line}")
        for name in layout.strays:
            ledger.note(STRAY_COLUMN, f"{place}: {name}")
        rows = _placed(sheet, layout, split, ledger)
        if layout.tags:
            names.update(sheet.header[n] for n in layout.tags)
            _read_wide(sheet, layout, rows, ledger)
        else:
            several |= _read_listed(layout, rows, said, ledger)
    if names or several or _differing(said) > SLIPS * len(said):
        _join(said, ledger)
        return ledger.listing(WRITTEN_AS, "multi", names)
    _settle(said, ledger)
    return ledger.listing(WRITTEN_AS, "single")


def _placed(
    sheet: Table, layout: Columns, split: str | None, ledger: ListingBuilder
) -> Iterator[Row]:
    """Rows whose photo and split are there; the split is written down."""
    folders = table_file.around(posixpath.dirname(sheet.place))
    for number, cells in enumerate(sheet.rows):
        at = sheet.at(number)
        name = cells[sheet.image].strip()
        place = ledger.find(unescape_formula(name) if layout.exported else name, folders, "row", at)
        if place is None:
            continue
        told = split
        if layout.split is not None and cells[layout.split].strip():
            told = split_named(cells[layout.split])
            if told is None:
                ledger.leave_out(place, STRAY_SPLIT, f"{at}: {cells[layout.split]}")
                continue
        if told:
            ledger.put_in(told, place)
        yield place, cells, at


def _read_wide(sheet: Table, layout: Columns, rows: Iterator[Row], ledger: ListingBuilder) -> None:
    """A tag for each column. Rows of the very same cells are understood once."""
    names = [sheet.header[n] for n in layout.tags]
    asked = frozenset(names)
    known: dict[tuple[str, ...], tuple[list[str], tuple[str, ...], list[str]]] = {}
    for place, cells, at in rows:
        told = tuple([cells[n] for n in layout.tags])
        if told not in known:
            known[told] = _tags(names, told, layout)
        present, unseen, strays = known[told]
        for stray in strays:
            ledger.note(STRAY_CELL, f"{at}: {stray}")
        entry = PhotoTags(set(present), unseen, asked)
        if place not in ledger.entries:
            ledger.entries[place] = entry
        elif ledger.entries[place] == entry:
            ledger.note(REPEATED, at)
        else:
            ledger.entries[place], unclear = _merged(ledger.entries[place], entry)
            for name in sorted(unclear):
                ledger.note(UNCLEAR, f"{at}: {name}")


def _tags(
    names: Sequence[str], cells: Sequence[str], layout: Columns
) -> tuple[list[str], tuple[str, ...], list[str]]:
    """The tags in a photo, those nobody looked for, and cells that say neither."""
    said = [layout.meanings[cell] for cell in cells]
    present = [name for name, told in zip(names, said, strict=True) if told == PRESENT]
    unseen = tuple(n for n, told in zip(names, said, strict=True) if told in (UNSEEN, None))
    strays = [
        f"{name}={cell}"
        for name, cell, told in zip(names, cells, said, strict=True)
        if told is None
    ]
    return present, unseen, strays


def _merged(one: PhotoTags, other: PhotoTags) -> tuple[PhotoTags, set[str]]:
    """What two rows know of a photo, and the tags on which they disagree."""
    asked = (one.asked or frozenset()) | (other.asked or frozenset())
    denied: set[str] = set()
    for entry in (one, other):
        denied |= set(entry.asked or ()) - entry.present - set(entry.unseen)
    unclear = (one.present | other.present) & denied
    present = (one.present | other.present) - unclear
    return PhotoTags(present, tuple(sorted(asked - present - (denied - unclear))), asked), unclear


def _read_listed(layout: Columns, rows: Iterator[Row], said: Said, ledger: ListingBuilder) -> bool:
    """The labels in one column, added to `said`; whether more than one a photo is meant."""
    assert layout.listed is not None
    kept = [(place, cells[layout.listed].strip(), at) for place, cells, at in rows]
    several = layout.several or layout.boxes
    divide = _divider([cell for _, cell, _ in kept], layout)
    for place, cell, at in kept:
        found = tuple(dict.fromkeys(divide(cell)))
        several |= len(found) > 1
        if found in said.setdefault(place, []) and not layout.boxes:
            ledger.note(REPEATED, at)
        elif found not in said[place]:
            said[place].append(found)
    return several


def _divider(cells: Sequence[str], layout: Columns) -> Callable[[str], list[str]]:
    """How the labels in a cell are told apart, the same in all of a column.

    Commas and semicolons stand in many a label's name: they divide only where several are meant.
    """
    if layout.exported:
        return lambda cell: split_tags(unescape_formula(cell))
    separators = "|;," if layout.several else "|"
    used = next((s for s in separators if any(s in cell for cell in cells)), "")
    if not used:
        return lambda cell: [cell] if cell else []
    return lambda cell: [part.strip() for part in cell.split(used) if part.strip()]


def _differing(said: Said) -> int:
    """How many photos have rows of different labels."""
    return sum(len([row for row in rows if row]) > 1 for rows in said.values())


def _join(said: Said, ledger: ListingBuilder) -> None:
    for place, rows in said.items():
        present = {name for row in rows for name in row}
        if place in ledger.entries:
            ledger.entries[place].present |= present
        else:
            ledger.entries[place] = PhotoTags(present)


def _settle(said: Said, ledger: ListingBuilder) -> None:
    """One label for each photo, or a remark on it."""
    for place, rows in said.items():
        labels = {name for row in rows for name in row}
        if len(labels) == 1:
            ledger.entries[place] = PhotoTags(labels)
        else:
            ledger.leave_out(place, CONTRADICTED if labels else NO_LABEL)
