"""The columns of a table of labels: which holds what, by their names and cells."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from tagger.datasets import sample
from tagger.datasets.readers.table_file import PREDICTION_HEADER, Table, normalize_header
from tagger.datasets.splits import split_named
from tagger.errors import DatasetError
from tagger.text import escape_controls, list_first

State = int | float  # PRESENT, ABSENT or UNSEEN, or a probability in (0, 1)

# Cells in a column that belongs to a tag.
PRESENT = frozenset(("1", "true", "yes", "x"))
ABSENT = frozenset(("0", "false", "no"))
MINUS = frozenset(("-1",))  # absent; in a table that has 0 for that, "not sure"
BLANK = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))

EXPORT_HEADER = ("image", "label", "tags")  # of the photo library: the first tag, and all
ABSENT_HEADER = "not"  # may follow: tags that the photo has not; those in neither are unseen

# Names of columns, as `normalize_header` gives them.
SPLIT = ("split", "set", "subset", "partition", "phase", "dataset", "datasplit", "usage")
TAG_LISTS = ("tags", "labels", "tag", "keywords", "categories", "classes")
SINGLE_LABELS = ("label", "class", "category", "classname", "labelname", "categoryname", "name")
_BOX = (
    *("x", "y", "w", "h", "x1", "y1", "x2", "y2", "xmin", "ymin", "xmax", "ymax", "bbox"),
    *("width", "height", "xcenter", "ycenter"),
)
_FIGURES = (*_BOX, "score", "confidence", "probability", "weight", "ratio", "aspectratio")

# Words in names of columns that say whether a photo has the label in its row.
_CONFIDENCES = ("confidence", "probabilit", "certaint", "likelihood")  # also as parts of words
_PRESENCES = frozenset(("conf", "prob", "present", "presence", "ispresent"))
_ABSENCES = frozenset(("absent", "absence", "isabsent"))
# These may as well say something else, such as a rating: unread where they do, unless photos have
# several rows.
_DOUBTFUL = frozenset(("score", "p", "positive", "truth", "correct", "exists", "relevance"))
_PERCENTAGES = frozenset(("pct", "percent", "percentage"))
_CODES = frozenset(
    ("id", "idx", "index", "code", "number", "num", "encoded")
)  # 0 and 1, but not so
_YES = PRESENT | {"positive", "pos", "present", "p", "t", "y", "+"}
_NO = ABSENT | {"negative", "neg", "absent", "f", "n", "-"}

_CONFIDENCE = re.compile(r"\d{1,3}(\.\d{0,40})?|\.\d{1,40}|\d(\.\d{0,40})?e-\d{1,3}", re.ASCII)
_DECIMAL_COMMA = re.compile(r"-?\d{1,3},\d{1,40}", re.ASCII)
_NUMBER = re.compile(r"-?(\d(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,3})?", re.ASCII)
_STARS = 10  # the highest of a rating by stars or points
_ROUNDING = 1e-5  # above 1, as of a sum of float32
_MOST_CELLS = 0.9  # of a column's cells that are not blank
MAX_SLIPS = 0.05  # of photos: if fewer have several rows, these are taken for mistakes


@dataclass(frozen=True)
class Columns:
    """The numbers of the columns: either `labels` holds a photo's labels, or each of `tags` a tag.

    `is_tag_list`: cells of `labels` may hold several. `has_boxes`: a row is an object in a photo.
    `is_export`: the table was written by this project; its column `absent` holds the tags that a
    photo has not. `states` are the tag states PRESENT, ABSENT
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
    absent: int | None = None
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
    for name in (table.header[n] for n in tags):
        if "is" in (words := _header_words(name)) and any(map(split_named, words)):
            raise DatasetError(
                f"{display_path}, line 1: {name} says which photos are of a split; call the column"
                " split, and write train, val or test"
            )
    labels = next((n for key in (*TAG_LISTS, *SINGLE_LABELS) for n in rest if keys[n] == key), None)
    kinds = {n: kind for n in rest if (kind := _confidence_kind(table.header[n]))}
    certain = {n for n, kind in kinds.items() if kind != "doubtful"}
    if labels in tags and not certain.issuperset({*tags} - {labels}):
        labels = None  # a tag of that name among others
    if labels is None and certain.issuperset(tags):
        texts = [n for n in rest if n not in certain and not _is_blank(cells[n])]
        has_rows_of_labels = not tags or _has_several_rows(cells[table.image])
        if texts or not tags:
            candidates = (texts or rest) if has_rows_of_labels else rest
            labels = _only_column(table, candidates, display_path)
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
    confidence, confidences = None, dict[str, float | None]()
    if not is_export:
        kinds = {n: kind for n, kind in kinds.items() if n not in boxes | {labels}}
        confidence, confidences = _find_confidence(table, cells, kinds, bool(boxes), display_path)
        if confidence is None and not boxes and _has_several_rows(cells[table.image]):
            _check_unnamed(table, cells, {*rest} - {labels}, display_path)
    return Columns(
        split=split,
        labels=labels,
        is_tag_list=keys[labels] in TAG_LISTS and not is_export,
        has_boxes=bool(boxes),
        is_export=is_export,
        absent=_find_absent(table) if is_export else None,
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


def _confidence_kind(name: str) -> str | None:
    """What a column of that name says of the label in its row; None if something else.

    "confidence", "presence" or "absence"; "doubtful" where it may as well be a rating.
    """
    words = _header_words(name)
    if words & _ABSENCES:
        return "absence"
    if any(part in word for word in words for part in _CONFIDENCES if not word.startswith("un")):
        return "confidence"
    if words & _PRESENCES:
        return "confidence" if words & {"conf", "prob"} else "presence"
    return "doubtful" if words & _DOUBTFUL or words == {"has", "label"} else None


def _header_words(name: str) -> set[str]:
    """The words in a column's name: "is" and "present" for "isPresent"."""
    spaced = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[^\W\d_]+", spaced.lower()))


def _find_confidence(
    table: Table,
    cells: Sequence[Counter[str]],
    kinds: Mapping[int, str],
    has_boxes: bool,
    display_path: str,
) -> tuple[int | None, dict[str, float | None]]:
    """The column of confidences, and these by cell; None without one.

    Raises DatasetError for one that cannot be read, since absent labels would be taken for present,
    and for two that contradict each other.
    """
    filled = {n: kind for n, kind in kinds.items() if not _is_blank(cells[n])}
    certain = {n: kind for n, kind in filled.items() if kind != "doubtful"}
    by_column: dict[int, dict[str, float | None]] = {}
    for n, kind in (certain or filled).items():
        name = table.header[n]
        if kind == "absence":
            raise DatasetError(
                f"{display_path}, line 1: write the opposite of {name}, 1 where the photo has the"
                " label in its row and 0 where not, and call it present"
            )
        is_percentage = not _PERCENTAGES.isdisjoint(_header_words(name))
        if values := _read_confidences(cells[n], kind, is_percentage):
            by_column[n] = values
        elif kind != "doubtful" or (not has_boxes and _has_several_rows(cells[table.image])):
            cell = escape_controls(max(cells[n], key=lambda cell: (len(cell), cell))[:50])
            raise DatasetError(
                f"{display_path}, line 1: {name} holds cells such as {cell}; to say how sure it is"
                " that a photo has the label in its row, write 0 (absent) to 1 (present), 0% to"
                " 100%, or yes and no; if it says something else, rename it"
            )
    if not by_column:
        return None, {}
    first, *rest = by_column
    for n in rest:
        for row, line in zip(table.rows, table.lines, strict=True):
            pair = (by_column[first][row[first]], by_column[n][row[n]])
            if len({value >= sample.LIKELY for value in pair if value is not None}) > 1:
                names = f"{table.header[first]} and {table.header[n]}"
                raise DatasetError(
                    f"{display_path}, line {line:,}: {names} say {row[first]} and {row[n]}; rename"
                    " the one that does not say whether a photo has the label in its row"
                )
    return first, by_column[first]


def _is_blank(cells: Iterable[str]) -> bool:
    return all(_plain(cell) in BLANK for cell in cells)


def _has_several_rows(photos: Counter[str]) -> bool:
    """Whether many photos have more than one row."""
    return sum(count > 1 for count in photos.values()) > MAX_SLIPS * len(photos)


def _check_unnamed(
    table: Table, cells: Sequence[Counter[str]], columns: Set[int], display_path: str
) -> None:
    """Raise DatasetError where a column of yes and no may say which labels are absent."""
    for n in sorted(columns):
        values = _read_confidences(cells[n], "presence", False)
        likely = {value >= sample.LIKELY for value in values.values() if value is not None}
        if len(likely) < 2 or _header_words(table.header[n]) & _CODES:
            continue
        name = table.header[n]
        raise DatasetError(
            f"{display_path}, line 1: does {name} say whether a photo has the label in its row (1"
            " present, 0 absent)? Then call it present; else take it out"
        )


def _read_confidences(
    cells: Counter[str], kind: str, is_percentage: bool
) -> dict[str, float | None]:
    """The confidence of each cell; empty for a column of something else.

    -1 is absent, but not sure in a column that has 0 for that.
    """
    values: dict[str, float | None] = {}
    for cell in cells:
        text = _plain(cell).removesuffix("%").strip()
        if text in _YES | _NO:
            values[cell] = float(text in _YES)
        else:
            values[cell] = float(text) if _CONFIDENCE.fullmatch(text) else None
    if 0 not in values.values():
        values |= {cell: 0.0 for cell in cells if _plain(cell) in MINUS}
    filled = sum(count for cell, count in cells.items() if _plain(cell) not in BLANK)
    readable = sum(
        count for cell, count in cells.items() if values[cell] is not None or _plain(cell) in MINUS
    )
    highest = max((value for value in values.values() if value is not None), default=math.inf)
    is_percent = any("%" in cell for cell in cells) or (
        kind == "confidence" and (highest > _STARS or (is_percentage and highest > 1))
    )
    scale = 100 if is_percent else 1
    if highest > scale * (1 + _ROUNDING) or readable < _MOST_CELLS * filled:
        return {}
    return {c: None if value is None else min(value / scale, 1.0) for c, value in values.items()}


def _plain(cell: str) -> str:
    """A cell in lower case; "1.00", "1,0" and "1e0" as "1"."""
    text = cell.strip().lower()
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
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


def _find_absent(table: Table) -> int | None:
    """The column of absent tags in a table that the photo library wrote."""
    number = len(EXPORT_HEADER)
    return number if table.header[number : number + 1] == (ABSENT_HEADER,) else None


def _unread_columns(table: Table, read: Iterable[int | None]) -> tuple[str, ...]:
    used = {*read, table.image}
    return tuple(name or f"column {n + 1}" for n, name in enumerate(table.header) if n not in used)
