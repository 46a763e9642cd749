"""The vocabulary: tags in plain words, their synonyms, and which tag is a kind of which.

`vocabulary.csv` has a row for each tag: `tag,parents,synonyms`, several separated by `;`. A photo
that shows a tag shows its parents too: a golden retriever is a dog, which is an animal. A synonym
means the tag, or something below it that has no row of its own. A word may belong to several tags:
"football" is soccer and football. Regular plurals follow by rule; others are synonyms ("people").
"""

from __future__ import annotations

import csv
import io
import re
import stat
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tagger.errors import VocabularyError
from tagger.text import fold

FILE_NAME = "vocabulary.csv"  # beside this module, and a person's own in the library's folder
COLUMNS = ("tag", "parents", "synonyms")
MAX_BYTES = 16_000_000  # of a person's own file: some 500,000 tags

THINGS = (  # kinds of single things, which people mention where they are
    *("animal", "flower", "mushroom", "vehicle", "musical instrument", "electronics"),
    *("furniture", "appliance", "container", "kitchenware", "tool", "machine", "weapon", "toy"),
    *("food", "drink", "ball", "parachute", "clock", "umbrella", "statue", "pyramid", "watch"),
    *("roller skates", "wheelchair", "stroller"),
)

_EDITS = Path("Tags")  # where the app's user edits them, for errors
_BUILT_IN = Path(__file__).with_name(FILE_NAME)
_SEPARATORS = re.compile(r"[\s_-]+")
_PLURALS = (  # endings of a name's last word, and of its plural; the first that matches counts
    (re.compile(r"(?<=[^aeiou])y$"), "ies"),
    (re.compile(r"(?<!hu)man$"), "men"),
    (re.compile(r"(?<=[al])f$|(?<=i)fe$"), "ves"),
    (re.compile(r"(?<=s|x|z)$|(?<=ch|sh)$"), "es"),
    (re.compile(r"$"), "s"),
)


@dataclass(frozen=True)
class Entry:
    """A tag, the tags directly above it, and other words for it."""

    tag: str
    parents: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """The tags of words, and which tag is above which. Made by `load`."""

    entries: Mapping[str, Entry]  # by tag, in the order of the table
    _children: Mapping[str, Sequence[str]]
    _tags: Mapping[str, tuple[str, ...]]  # by word
    _spellings: Mapping[str, tuple[str, ...]]  # by tag

    def lookup(self, word: str) -> tuple[str, ...]:
        """The tags that a word means, in any case, singular or plural; none if it is unknown.

        A tag of that name comes first. In words, `_` and `-` are the same as spaces.
        """
        return self._tags.get(_key(word), ())

    def ancestors(self, tag: str) -> tuple[str, ...]:
        """The tags above one of the vocabulary, nearest first."""
        return _breadth_first([tag], lambda each: self.entries[each].parents)[1:]

    def spellings(self, tag: str) -> tuple[str, ...]:
        """How a label that means the tag may be spelled, folded: its name, synonyms and plurals.

        With `_` or `-` for spaces as well. Names of other tags are left out: the word "football"
        means soccer too, but a label "football" is the tag of that name.
        """
        return self._spellings[tag]

    def is_thing(self, word: str) -> bool:
        """Whether a word is one of THINGS or a kind of them."""
        tags = self.lookup(word)
        return any(not {tag, *self.ancestors(tag)}.isdisjoint(THINGS) for tag in tags)

    def names(self, word: str) -> tuple[str, ...]:
        """The names of all labels that a word finds, folded, nearest first.

        They are the word itself, and the spellings of the tags that it means and of all below.
        """
        names = dict.fromkeys([fold(word)])
        below = _breadth_first(self.lookup(word), lambda tag: self._children.get(tag, ()))
        for tag in below:
            names |= dict.fromkeys(self._spellings[tag])
        return tuple(names)


def load(home: Path | None = None, edits: tuple[Entry, ...] = ()) -> Vocabulary:
    """The vocabulary, extended by the file `vocabulary.csv` in `home`, if there is one.

    A row of that file replaces the built-in one of the same tag, and its tag is no longer a synonym
    of built-in ones; `edits` replace rows of either in the same way. The file is read again when it
    has changed. Raises VocabularyError, which names the file and the line.
    """
    if home is None:
        return _load(None, None, edits)
    path = home / FILE_NAME
    try:
        status = path.stat()
    except FileNotFoundError:
        return _load(None, None, edits)
    except OSError as error:
        raise VocabularyError(path, None, f"cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode):
        raise VocabularyError(path, None, "no file; put the table there, or nothing")
    if status.st_size > MAX_BYTES:
        size, limit = f"{status.st_size / 1e6:,.0f} MB", f"{MAX_BYTES / 1e6:.0f} MB"
        raise VocabularyError(path, None, f"{size}; a vocabulary has at most {limit}")
    return _load(path, (status.st_mtime_ns, status.st_size), edits)


@lru_cache(maxsize=8)
def _load(
    own: Path | None, version: tuple[int, int] | None, edits: tuple[Entry, ...]
) -> Vocabulary:
    """`version` changes with the content of `own`."""
    rows = _read(_BUILT_IN)
    edited = {_key(entry.tag): _Row(entry, _EDITS, None) for entry in edits}
    for own_rows in ({} if own is None else _read(own), edited):
        if own_rows:
            rows = {key: row.without_synonyms(own_rows) for key, row in rows.items()} | own_rows
    return _build(rows)


@dataclass(frozen=True)
class _Row:
    entry: Entry
    path: Path
    line: int | None

    def without_synonyms(self, keys: Container[str]) -> _Row:
        synonyms = tuple(name for name in self.entry.synonyms if _key(name) not in keys)
        return replace(self, entry=replace(self.entry, synonyms=synonyms))

    def error(self, reason: str) -> VocabularyError:
        return VocabularyError(self.path, self.line, reason)


def _read(path: Path) -> dict[str, _Row]:
    """The rows of a file by key of their tag."""
    rows: dict[str, _Row] = {}
    for line, cells in _read_cells(path):
        tag, parents, synonyms = (_split(cell) for cell in cells)
        row = _Row(Entry("; ".join(tag), parents, synonyms), path, line)
        key = _key(row.entry.tag)
        if len(tag) != 1 or not key:
            raise row.error(f"a row has one tag, in the column tag; got {row.entry.tag!r}")
        if key in rows:
            raise row.error(f"{row.entry.tag!r} has a row already, in line {rows[key].line}")
        rows[key] = row
    return rows


def _read_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line and the cells of each row, in the order of `COLUMNS`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VocabularyError(path, None, f"cannot be read ({error.strerror})") from None
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise VocabularyError(path, line, "not UTF-8; save the file in that encoding") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    order: list[int] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if order is None:
                header = [cell.strip().lower() for cell in cells]
                if sorted(header) != sorted(COLUMNS):
                    columns = ",".join(COLUMNS)
                    reason = f"the columns are {columns}; got {','.join(cells)}"
                    raise VocabularyError(path, reader.line_num, reason)
                order = [header.index(column) for column in COLUMNS]
            elif len(cells) != len(COLUMNS):
                reason = f"a row has {len(COLUMNS)} columns; got {len(cells)}: {','.join(cells)}"
                raise VocabularyError(path, reader.line_num, reason)
            else:
                yield reader.line_num, [cells[index] for index in order]
    except csv.Error as error:
        raise VocabularyError(path, reader.line_num, f"not CSV ({error})") from None


def _split(cell: str) -> tuple[str, ...]:
    return tuple(name for part in cell.split(";") if (name := " ".join(part.split())))


def _build(rows: Mapping[str, _Row]) -> Vocabulary:
    """The vocabulary of rows by key. Raises VocabularyError for impossible parents."""
    entries = {row.entry.tag: _resolve_parents(row, rows) for row in rows.values()}
    children: dict[str, list[str]] = defaultdict(list)
    for entry in entries.values():
        for parent in entry.parents:
            children[parent].append(entry.tag)
    for row in sorted(rows.values(), key=lambda row: row.path == _BUILT_IN):  # a person's own first
        parents = entries[row.entry.tag].parents
        if row.entry.tag in _breadth_first(parents, lambda tag: entries[tag].parents):
            raise row.error(f"{row.entry.tag!r} would be above itself; change its parents")
    words = _index_words(entries.values())
    tags = {word: tuple(each) for word, each in words.items()}
    spellings = {tag: _spellings(entry, words, rows) for tag, entry in entries.items()}
    return Vocabulary(entries, children, tags, spellings)


def _resolve_parents(row: _Row, rows: Mapping[str, _Row]) -> Entry:
    """The row's entry, with its parents as their own rows spell them."""
    for parent in row.entry.parents:
        if _key(parent) not in rows:
            raise row.error(f"the parent {parent!r} is not a tag; give it a row of its own")
    parents = (rows[_key(parent)].entry.tag for parent in row.entry.parents)
    return replace(row.entry, parents=tuple(dict.fromkeys(parents)))


def _index_words(entries: Collection[Entry]) -> dict[str, list[str]]:
    """The tags by key of a word, a tag of that name first."""
    words = {_key(entry.tag): [entry.tag] for entry in entries}
    for entry in entries:
        for synonym in entry.synonyms:
            tags = words.setdefault(_key(synonym), [])
            if entry.tag not in tags:
                tags.append(entry.tag)
    plurals: dict[str, list[str]] = defaultdict(list)
    for word, tags in words.items():
        plurals[_plural(word)] += tags
    return plurals | words  # what is in the table comes before what follows by rule


def _spellings(
    entry: Entry, words: Mapping[str, Sequence[str]], tag_keys: Container[str]
) -> tuple[str, ...]:
    """How a label of the tag may be spelled, without the names of other tags."""
    own_key = _key(entry.tag)

    def is_free(key: str) -> bool:
        return key == own_key or (key not in tag_keys and entry.tag in words[key])

    spellings: dict[str, None] = {}
    for name in map(fold, (entry.tag, *entry.synonyms)):
        if is_free(_key(name)):
            spaced = name.replace("-", " ")
            marked = (name.replace(" ", "_"), spaced.replace(" ", "_"), spaced.replace(" ", "-"))
            spellings |= dict.fromkeys((name, spaced, *marked))
        plural = _plural(name)
        if is_free(_key(plural)):
            spellings[plural] = None
    return tuple(spellings)


def _plural(word: str) -> str:
    return next(
        ending.sub(plural, word, count=1) for ending, plural in _PLURALS if ending.search(word)
    )


def _breadth_first(
    tags: Iterable[str], following: Callable[[str], Iterable[str]]
) -> tuple[str, ...]:
    """The tags, those that follow each of them, those that follow these and so on, once each."""
    reached = dict.fromkeys(tags)
    queue = deque(reached)
    while queue:
        new = [tag for tag in following(queue.popleft()) if tag not in reached]
        reached |= dict.fromkeys(new)
        queue += new
    return tuple(reached)


def _key(word: str) -> str:
    """What equal words have in common: case, `_` and `-` and repeated spaces do not count."""
    return _SEPARATORS.sub(" ", fold(word).replace("’", "'")).strip()
