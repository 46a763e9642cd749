"""CSV reader: a row for each photo or object, labels in one column or a column for each tag.

A column called "label" holds one label of a photo (or several, with | between), one called "tags"
several; a tag's own column holds 1, 0 or blank, or the probability that the photo has the tag, such
as the share of people who say so. A column called "split" may name the split.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tagger.datasets.readers import table_columns, table_file
from tagger.datasets.readers.builder import ListingBuilder, PhotoTags
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.readers.table_columns import Columns
from tagger.datasets.readers.table_file import Table
from tagger.datasets.sample import PRESENT, UNSEEN
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError
from tagger.text import list_first, unescape_formula

FORMAT = "CSV"
LABELS_FILE = "labels.csv"
SEPARATOR = "|"  # between tags
MAX_SLIPS = 0.05  # of photos: if fewer have rows of different labels, these are taken for mistakes

Files = list[tuple[str, str | None]]  # paths, with the split each file is named for
LabelRows = dict[str, list[tuple[str, ...]]]  # the distinct rows of labels of each photo
Row = tuple[str, list[str], str]  # a photo, its cells, file and line

UNEVEN = Remark("row", "is not as long as the header", "are not as long as the header")
UNKNOWN_SPLIT = Remark(
    "row", "has a split other than train, val and test", "have splits other than train, val, test"
)
UNREAD_COLUMN = Remark(
    "column",
    "holds neither photos, labels nor splits",
    "hold neither photos, labels nor splits",
    outcome="not read",
)
UNKNOWN_CELL = Remark(
    *("cell", "is neither from 0 to 1 nor blank", "are neither from 0 to 1 nor blank"),
    outcome="taken as if nobody looked",
)
REPEATED = Remark("row", "repeats another", "repeat others", outcome="counted once")
NO_LABEL = Remark("photo", "has a row without a label", "have a row without a label")
CONTRADICTED = Remark("photo", "has rows of different labels", "have rows of different labels")
CONTRADICTED_TAG = Remark(
    *("tag", "is given by one row, not by another", "are given by one row, not by another"),
    outcome="taken as if nobody looked",
)


def join_tags(tags: Sequence[str]) -> str:
    """Tags in one cell; `split_tags` undoes it."""
    return SEPARATOR.join(re.sub(r"([\\|])", r"\\\1", tag) for tag in tags)


def split_tags(cell: str) -> list[str]:
    """The tags that `join_tags` put into a cell."""
    parts = re.findall(r"((?:\\.|[^|])*)(?:\||$)", cell, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts if part.strip()]


def find(index: PhotoIndex) -> Files:
    """`labels.csv`; else the tables named for splits; else those with a column of photos.

    Tables of predictions are labels only if they are called `labels.csv`.
    """
    files = index.find_split_files(".csv") + index.find_split_files(".tsv")
    if certain := [path for path, _ in files if path.lower() == LABELS_FILE]:
        return [(certain[0], None)]
    files = [file for file in files if table_file.has_photo_column(index, file[0])]
    files = [file for file in files if table_file.names_photos(index, file[0])] or files
    by_split = [file for file in files if file[1]]
    return by_split if len(by_split) > 1 else [(path, None) for path, _ in files]


def is_certain(files: Files) -> bool:
    """Whether the table is called `labels.csv`."""
    return posixpath.basename(files[0][0]).lower() == LABELS_FILE


def is_ambiguous(files: Files) -> bool:
    """Whether each of several tables may be the one that holds the labels."""
    return len(files) > 1 and not all(split for _, split in files)


def names_no_photos(index: PhotoIndex, files: Files) -> bool:
    """Whether the first rows of the tables name no photos, so that they may be something else."""
    return not any(table_file.names_photos(index, path) for path, _ in files)


def read(index: PhotoIndex, files: Files) -> Listing:
    """The photos in tables, with their labels. Raises DatasetError, with the line."""
    if is_ambiguous(files):
        names = list_first([path for path, _ in files])
        raise DatasetError(
            f"{index.root}: which table holds the labels: {names}? Call it {LABELS_FILE}"
        )
    builder = ListingBuilder(index)
    label_rows: LabelRows = {}
    tag_names: set[str] = set()
    has_several = False
    for path, split in files:
        table = table_file.read(index, path)
        columns = table_columns.read_columns(table, index.display_path(path))
        for line in table.uneven:
            builder.add_case(UNEVEN, f"{path}:{line}")
        for name in columns.unread:
            builder.add_case(UNREAD_COLUMN, f"{path}: {name}")
        rows = _find_photos(table, columns, split, builder)
        if columns.tags:
            tag_names.update(table.header[n] for n in columns.tags)
            _read_tag_columns(table, columns, rows, builder)
        else:
            has_several |= _read_label_column(columns, rows, label_rows, builder)
    contradicted = sum(len([row for row in rows if row]) > 1 for rows in label_rows.values())
    if tag_names or has_several or contradicted > MAX_SLIPS * len(label_rows):
        _add_tags(label_rows, builder)
        return builder.build(FORMAT, "multi", tag_names)
    _add_single_labels(label_rows, builder)
    return builder.build(FORMAT, "single")


def _find_photos(
    table: Table, columns: Columns, table_split: str | None, builder: ListingBuilder
) -> Iterator[Row]:
    """The rows with a photo in the index and a valid split, which is added to the builder."""
    folders = table_file.photo_folders(table.path)
    for number, cells in enumerate(table.rows):
        position = table.position(number)
        name = cells[table.image].strip()
        if columns.is_export:
            name = unescape_formula(name)
        photo = builder.find_photo(name, folders, "row", position)
        if photo is None:
            continue
        split = table_split
        if columns.split is not None and cells[columns.split].strip():
            split = split_named(cells[columns.split])
            if split is None:
                builder.leave_out(photo, UNKNOWN_SPLIT, f"{position}: {cells[columns.split]}")
                continue
        if split:
            builder.add_split(photo, split)
        yield photo, cells, position


def _read_tag_columns(
    table: Table, columns: Columns, rows: Iterator[Row], builder: ListingBuilder
) -> None:
    """Rows with a column for each tag. Rows with the same cells are parsed once."""
    names = [table.header[n] for n in columns.tags]
    looked_for = frozenset(names)
    parsed: dict[tuple[str, ...], tuple[PhotoTags, list[str]]] = {}
    for photo, row, position in rows:
        cells = tuple([row[n] for n in columns.tags])
        if cells not in parsed:
            parsed[cells] = _parse_cells(names, cells, columns)
        parsed_tags, unknown = parsed[cells]
        for cell in unknown:
            builder.add_case(UNKNOWN_CELL, f"{position}: {cell}")
        tags = replace(parsed_tags, present=set(parsed_tags.present), looked_for=looked_for)
        if photo not in builder.tags:
            builder.tags[photo] = tags
        elif builder.tags[photo] == tags:
            builder.add_case(REPEATED, position)
        else:
            builder.tags[photo], contradicted = _merge(builder.tags[photo], tags)
            for name in sorted(contradicted):
                builder.add_case(CONTRADICTED_TAG, f"{position}: {name}")


def _parse_cells(
    names: Sequence[str], cells: Sequence[str], columns: Columns
) -> tuple[PhotoTags, list[str]]:
    """The tags of a row, and its cells without meaning, as "tag=cell"."""
    states = dict(zip(names, [columns.states[cell] for cell in cells], strict=True))
    tags = PhotoTags(
        {name for name, state in states.items() if state == PRESENT},
        tuple(name for name, state in states.items() if state in (UNSEEN, None)),
        doubtful={name: state for name, state in states.items() if isinstance(state, float)},
    )
    unknown = [
        f"{name}={cell}" for name, cell in zip(names, cells, strict=True) if states[name] is None
    ]
    return tags, unknown


def _merge(first: PhotoTags, second: PhotoTags) -> tuple[PhotoTags, set[str]]:
    """The tags of a photo by two rows, and those on which the rows contradict each other."""
    looked_for = (first.looked_for or frozenset()) | (second.looked_for or frozenset())
    absent: set[str] = set()
    doubtful: dict[str, list[float]] = {}
    for tags in (first, second):
        absent |= set(tags.looked_for or ()) - tags.present - set(tags.unseen) - set(tags.doubtful)
        for name, probability in tags.doubtful.items():
            doubtful.setdefault(name, []).append(probability)
    contradicted = (first.present | second.present) & absent
    present = (first.present | second.present) - contradicted
    doubted = {
        name: sum(each) / len(each)
        for name, each in doubtful.items()
        if name not in present | absent  # a row that is certain counts
    }
    unseen = tuple(sorted(looked_for - present - (absent - contradicted) - doubted.keys()))
    return PhotoTags(present, unseen, looked_for, doubtful=doubted), contradicted


def _read_label_column(
    columns: Columns, rows: Iterator[Row], label_rows: LabelRows, builder: ListingBuilder
) -> bool:
    """Add rows with all labels in one column; whether photos may have several labels."""
    assert columns.labels is not None
    cells = [(photo, row[columns.labels].strip(), position) for photo, row, position in rows]
    has_several = columns.is_tag_list or columns.has_boxes
    split_cell = _cell_splitter([cell for _, cell, _ in cells], columns)
    for photo, cell, position in cells:
        labels = tuple(dict.fromkeys(split_cell(cell)))
        has_several |= len(labels) > 1
        if labels in label_rows.setdefault(photo, []) and not columns.has_boxes:
            builder.add_case(REPEATED, position)
        elif labels not in label_rows[photo]:
            label_rows[photo].append(labels)
    return has_several


def _cell_splitter(cells: Sequence[str], columns: Columns) -> Callable[[str], list[str]]:
    """A function that splits a column's cells into labels, by the same separator for all.

    Many label names contain commas and semicolons: these separate only the cells of a tag list.
    """
    if columns.is_export:
        return lambda cell: split_tags(unescape_formula(cell))
    separators = "|;," if columns.is_tag_list else "|"
    separator = next((s for s in separators if any(s in cell for cell in cells)), "")
    if not separator:
        return lambda cell: [cell] if cell else []
    return lambda cell: [part.strip() for part in cell.split(separator) if part.strip()]


def _add_tags(label_rows: LabelRows, builder: ListingBuilder) -> None:
    """Add the labels of all rows of each photo."""
    for photo, rows in label_rows.items():
        present = {name for row in rows for name in row}
        if photo in builder.tags:
            builder.tags[photo].present |= present
        else:
            builder.tags[photo] = PhotoTags(present)


def _add_single_labels(label_rows: LabelRows, builder: ListingBuilder) -> None:
    """Add the label of each photo; leave out photos with none or several."""
    for photo, rows in label_rows.items():
        labels = {name for row in rows for name in row}
        if len(labels) == 1:
            builder.tags[photo] = PhotoTags(labels)
        else:
            builder.leave_out(photo, CONTRADICTED if labels else NO_LABEL)
