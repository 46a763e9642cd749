"""CSV reader: a row for each photo or object, labels in one column or a column for each tag.

A column called "label" holds one label of a photo (or several, with | between), one called "tags"
several; a tag's own column holds 1, 0 or blank, or the probability that the photo has the tag, such
as the share of people who say so. A column called "split" may name the split.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import fmean

from tagger.datasets.readers import table_columns, table_file
from tagger.datasets.readers.builder import ListingBuilder, PhotoTags
from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.datasets.readers.table_columns import Columns
from tagger.datasets.readers.table_file import Table
from tagger.datasets.sample import ABSENT, LIKELY, PRESENT, UNSEEN
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError
from tagger.text import escape_controls, list_first, unescape_formula

FORMAT = "CSV"
LABELS_FILE = "labels.csv"
SEPARATOR = "|"  # between tags
MIN_RECURRING = 0.25  # of words in cells, in other cells too, where spaces may divide tags
MIN_FLEXIBLE = 0.25  # of recurring words, at the end of some cells alone: then they do
FEW_LISTS = 4  # cells with several words; with fewer, those of a column of labels are names
MANY_PHOTOS = 10  # of each cell, from which on it is rather a name

Files = list[tuple[str, str | None]]  # paths, with the split each file is named for
LabelRows = dict[str, dict[tuple[str, ...], None]]  # the distinct rows of labels of each photo
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
    lists_names=True,
)
UNKNOWN_CELL = Remark(
    *("cell", "is neither from 0 to 1 nor blank", "are neither from 0 to 1 nor blank"),
    outcome="taken as if nobody looked",
)
REPEATED = Remark("row", "repeats another", "repeat others", outcome="counted once")
NO_LABEL = Remark("photo", "has a row without a label", "have a row without a label")
UNLIKELY = Remark(
    *("photo", "has no label with a confidence of 0.5 or more"),
    "have no label with a confidence of 0.5 or more",
)
CONTRADICTED = Remark("photo", "has rows of different labels", "have rows of different labels")
CONTRADICTED_TAG = Remark(
    *("tag", "is given by one row, not by another", "are given by one row, not by another"),
    outcome="taken as if nobody looked",
)
UNSURE = Remark(
    *("row", "has a confidence between 0 and 1", "have a confidence between 0 and 1"),
    outcome=f"present from {LIKELY} on",
)
DIVIDED_BY_SPACES = Remark(
    *("table", "has tags divided by spaces", "have tags divided by spaces"),
    outcome="each word is a tag",
)

_BRACKETS = re.compile(r"\[.*\]|\(.*\)|\{.*\}", re.DOTALL)
_CHOICES = re.compile(r"\{\s*\"choices\"\s*:\s*(\[.*\])\s*\}", re.DOTALL)  # Label Studio's
_LIST_ITEM = re.compile(r"""(['"])(.*?)\1|([^\s,'"][^,'"]*)""", re.DOTALL)


@dataclass(slots=True)
class _LabelRow:
    """A row of a table with all labels in one column, which are read from the `cell`.

    `confidence` is that the photo has them: 0 absent, 1 present; UNSEEN if it cannot be read, None
    if the table does not say. `absent` is a cell with the tags that the photo has not, None where
    all others are absent.
    """

    photo: str
    cell: str
    position: str
    columns: Columns
    confidence: float | None = None
    absent: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def is_likely(self) -> bool:
        """Whether the labels count as present."""
        return self.confidence is None or self.confidence >= LIKELY


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


def read(index: PhotoIndex, files: Files, spellings: Mapping[str, str] | None = None) -> Listing:
    """The photos in tables, with their labels. Raises DatasetError, with the line."""
    if is_ambiguous(files):
        names = list_first([path for path, _ in files])
        raise DatasetError(
            f"{index.root}: which table holds the labels: {names}? Call it {LABELS_FILE}"
        )
    builder = ListingBuilder(index, spellings)
    label_rows: list[_LabelRow] = []
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
            tag_names.update(_read_tag_columns(table, columns, rows, builder))
        else:
            label_rows += _label_rows(columns, rows, builder)
            has_several |= columns.is_tag_list or columns.has_boxes or columns.absent is not None
    by_photo = _read_label_rows(label_rows, builder)
    has_several |= any(len(row) > 1 for rows in by_photo.values() for row in rows)
    has_several |= any(row.confidence == 0 for row in label_rows)
    contradicted = sum(len([row for row in rows if row]) > 1 for rows in by_photo.values())
    if tag_names or has_several or contradicted > table_columns.MAX_SLIPS * len(by_photo):
        _add_tags(by_photo, builder)
        _add_confidences(label_rows, builder)
        tag_names |= _add_absent(label_rows, builder)
        tag_names.update(label for row in label_rows for label in row.labels)
        return builder.build(FORMAT, "multi", tag_names)
    unlikely = {row.photo for row in label_rows if row.labels and not row.is_likely}
    _add_single_labels(by_photo, unlikely, builder)
    return builder.build(FORMAT, "single")


def _find_photos(
    table: Table, columns: Columns, table_split: str | None, builder: ListingBuilder
) -> Iterator[Row]:
    """The rows with a photo in the index and a valid split, which is added to the builder."""
    names = [cells[table.image].strip() for cells in table.rows]
    if columns.is_export:
        names = [unescape_formula(name) for name in names]
    positions = [table.position(number) for number in range(len(names))]
    folders = table_file.photo_folders(table.path)
    photos = builder.find_photos(names, folders, "row", positions)
    for photo, cells, position in zip(photos, table.rows, positions, strict=True):
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
) -> Set[str]:
    """Rows with a column for each tag; the tags. Rows with the same cells are parsed once."""
    names = [builder.label(table.header[n]) or table.header[n] for n in columns.tags]
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
    return looked_for


def _parse_cells(
    names: Sequence[str], cells: Sequence[str], columns: Columns
) -> tuple[PhotoTags, list[str]]:
    """The tags of a row, and its cells without meaning, as "tag=cell".

    Where columns are called alike, the one that comes nearest to "present" counts.
    """
    states: dict[str, table_columns.State] = {}
    unknown = []
    for name, cell in zip(names, cells, strict=True):
        state = columns.states[cell]
        if state is None:
            unknown.append(f"{name}={cell}")
        states[name] = max(states.get(name, UNSEEN), UNSEEN if state is None else state)
    tags = PhotoTags(
        {name for name, state in states.items() if state == PRESENT},
        tuple(name for name, state in states.items() if state == UNSEEN),
        doubtful={name: state for name, state in states.items() if isinstance(state, float)},
    )
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


def _label_rows(
    columns: Columns, rows: Iterator[Row], builder: ListingBuilder
) -> Iterator[_LabelRow]:
    """The rows of a table with all labels in one column."""
    assert columns.labels is not None
    for photo, cells, position in rows:
        confidence = None
        if columns.confidence is not None:
            cell = cells[columns.confidence]
            confidence = columns.confidences[cell]
            if confidence is None and cell.strip():
                builder.add_case(UNKNOWN_CELL, f"{position}: {cell}")
                confidence = UNSEEN
            elif confidence is not None and 0 < confidence < 1:
                builder.add_case(UNSURE, f"{position}: {cell}")
        absent = None if columns.absent is None else cells[columns.absent].strip()
        cell = cells[columns.labels].strip()
        yield _LabelRow(photo, cell, position, columns, confidence, absent)


def _read_label_rows(rows: Sequence[_LabelRow], builder: ListingBuilder) -> LabelRows:
    """The labels that are probably present, by photo; those of `rows` are filled in.

    All tables of a kind have the same separator.
    """
    by_photo: LabelRows = {}
    splitters: dict[tuple[bool, bool], Callable[[str], list[str]]] = {}
    for row in rows:
        kind = row.columns.is_export, row.columns.is_tag_list
        if kind not in splitters:
            alike = [r for r in rows if (r.columns.is_export, r.columns.is_tag_list) == kind]
            splitters[kind] = _cell_splitter(alike, builder)
        names = map(builder.label, splitters[kind](row.cell))
        row.labels = tuple(dict.fromkeys(name for name in names if name))
        labels = row.labels if row.is_likely else ()
        earlier = by_photo.setdefault(row.photo, {})
        if labels not in earlier:
            earlier[labels] = None
        elif not row.columns.has_boxes and row.confidence is None:
            builder.add_case(REPEATED, row.position)
    return by_photo


def _cell_splitter(
    rows: Sequence[_LabelRow], builder: ListingBuilder
) -> Callable[[str], list[str]]:
    """A function that splits a column's cells into labels, by the same separator for all.

    Many label names contain commas, semicolons and spaces: these separate only the cells of a tag
    list; spaces, where most words recur in other cells.
    """
    columns = rows[0].columns
    if columns.is_export:
        return lambda cell: split_tags(unescape_formula(cell))
    counts = Counter(row.cell for row in rows if row.cell)
    cells = counts.keys()
    if any(map(_CHOICES.fullmatch, cells)):
        return _split_choices
    are_lists = columns.is_tag_list or all("'" in cell or '"' in cell for cell in cells)
    if cells and are_lists and all(map(_BRACKETS.fullmatch, cells)):
        return _split_list
    separators = "|;," if columns.is_tag_list else "|"
    separator = next((s for s in separators if any(s in cell for cell in cells)), "")
    if not separator and _are_words(counts, columns.is_tag_list, builder, rows[0].position):
        for path in dict.fromkeys(row.position.rpartition(":")[0] for row in rows):
            builder.add_case(DIVIDED_BY_SPACES, path)
        return str.split
    if not separator:
        return lambda cell: [cell] if cell else []
    return lambda cell: [part.strip() for part in cell.split(separator) if part.strip()]


def _split_list(cell: str) -> list[str]:
    """The tags in a list as Python or NumPy writes it: "['sea', 'sun']"."""
    return [quoted or plain for _, quoted, plain in _LIST_ITEM.findall(cell[1:-1])]


def _split_choices(cell: str) -> list[str]:
    """The tags in a cell of Label Studio's tables: several in JSON, or a single one."""
    match = _CHOICES.fullmatch(cell)
    return _split_list(match[1]) if match else [cell] if cell else []


def _are_words(
    counts: Counter[str], is_tag_list: bool, builder: ListingBuilder, position: str
) -> bool:
    """Whether cells are tags divided by spaces: numbers, or words in many orders and numbers.

    `counts` are the photos by cell. Words of tags recur in other cells, and some end one cell but
    not another, or are a cell: "clear primary water", "haze primary". In names, nouns end all cells
    ("red car"). Raises DatasetError where it may be either.
    """
    lists = [parts for cell in counts if len(parts := cell.split()) > 1]
    in_cells = Counter(word for cell in counts for word in set(cell.split()))
    if not lists or all(word.isdecimal() for word in in_cells):
        return bool(lists)
    words = {word for each in lists for word in each}
    recurring = {word for word in words if in_cells[word] > 1}
    ends = {each[-1] for each in lists}
    alone = {cell for cell in counts if cell in words}
    flexible = recurring & ((ends & {word for each in lists for word in each[:-1]}) | alone)
    if len(recurring) < MIN_RECURRING * len(words):
        return False
    are_flexible = len(flexible) >= MIN_FLEXIBLE * len(recurring)
    has_many_photos = sum(counts.values()) >= MANY_PHOTOS * len(counts)
    if is_tag_list and are_flexible and not has_many_photos:
        return True
    if is_tag_list:
        is_open = are_flexible or (2 * len(recurring) >= len(words) and not has_many_photos)
    else:
        is_open = 2 * min(len(recurring) / len(words), len(flexible) / len(recurring)) >= 1
        is_open &= len(lists) >= FEW_LISTS and not has_many_photos
    if not is_open:
        return False
    path = position.rpartition(":")[0]
    cell = escape_controls(" ".join(lists[0])[:80])
    advice = (
        "Put | between tags, or call the column label where each cell is one"
        if is_tag_list
        else "Call the column tags where each word is one, or put _ between the words of a label"
    )
    raise DatasetError(
        f"{builder.index.display_path(path)}: is a cell such as {cell} one label, or does each word"
        f" of it stand for one? {advice}"
    )


def _add_confidences(rows: Sequence[_LabelRow], builder: ListingBuilder) -> None:
    """Add what rows with a confidence say: absent tags, and the probability of others.

    In a table that names absent tags, nobody looked for those that it does not name.
    """
    by_photo: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.columns.confidence is not None:
            confidence = PRESENT if row.confidence is None else row.confidence
            for label in row.labels:
                by_photo.setdefault(row.photo, {}).setdefault(label, []).append(confidence)
    has_boxes = any(row.columns.has_boxes for row in rows)
    names_absent = any(0 <= row.confidence < LIKELY for row in rows if row.confidence is not None)
    for photo, confidences in by_photo.items():
        tags = builder.tags[photo]
        unseen = []
        for label, values in confidences.items():
            present = PRESENT in values
            if present and ABSENT in values and not has_boxes:
                builder.add_case(CONTRADICTED_TAG, f"{photo}: {label}")
                tags.present.discard(label)
                unseen.append(label)
            elif not present and ABSENT not in values:
                tags.present.discard(label)
                sure = [value for value in values if value != UNSEEN]
                if sure:
                    tags.doubtful[label] = max(sure) if has_boxes else fmean(sure)
                else:
                    unseen.append(label)
        looked_for = frozenset(confidences) if names_absent else tags.looked_for
        builder.tags[photo] = replace(tags, unseen=tuple(unseen), looked_for=looked_for)


def _add_absent(rows: Sequence[_LabelRow], builder: ListingBuilder) -> set[str]:
    """Add the absent tags of rows that name them; these tags. Others of theirs are unseen."""
    names: set[str] = set()
    for row in rows:
        if row.absent is None:
            continue
        absent = {builder.label(name) for name in split_tags(unescape_formula(row.absent))} - {""}
        tags = builder.tags[row.photo]
        looked_for = (tags.looked_for or frozenset()) | absent | tags.present
        builder.tags[row.photo] = replace(tags, looked_for=looked_for)
        names |= absent
    return names


def _add_tags(label_rows: LabelRows, builder: ListingBuilder) -> None:
    """Add the labels of all rows of each photo."""
    for photo, rows in label_rows.items():
        present = {name for row in rows for name in row}
        if photo in builder.tags:
            builder.tags[photo].present |= present
        else:
            builder.tags[photo] = PhotoTags(present)


def _add_single_labels(label_rows: LabelRows, unlikely: Set[str], builder: ListingBuilder) -> None:
    """Add the label of each photo; leave out photos with none or several."""
    for photo, rows in label_rows.items():
        labels = {name for row in rows for name in row}
        if len(labels) == 1:
            builder.tags[photo] = PhotoTags(labels)
        else:
            without = UNLIKELY if photo in unlikely else NO_LABEL
            builder.leave_out(photo, CONTRADICTED if labels else without)
