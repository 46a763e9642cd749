"""The search grammar: text becomes a tree, or an error that points at the place.

    dog AND NOT cat                     words are tags, whole and in any case; AND may be left out
    (sea OR mountains) score>=0.8       AND binds tighter than OR
    "golden retriever" -gold*           quotes for spaces, - for NOT, * for any text
    unknown  untagged  tagged  reviewed
    added>2026-01-01  taken:2024-05     a date is a whole year, month or day
    name:holiday  folder:/photos/2024  model:everyday  by:person  run:12  id:5
    name:img_*.jpg  folder:*/2024       with a *, the whole of it rather than a part

`score` and `by` say which tags count: those asked for beside them in the same group (in its OR
groups too), or, where none is asked for, any tag at all. A tag that a person gave scores 1.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, cast, get_args

from tagger.library.search.lexer import KEYWORD, MARK, VALUE, WORD, Lexer
from tagger.text import escape_controls

MAX_TERMS = 100
MAX_DEPTH = 20  # parentheses, and NOTs, within each other

FIELDS = {  # with an example each
    "tag": 'tag:"golden retriever"',
    "score": "score>=0.8",
    "added": "added>2026-01-01",
    "taken": "taken:2024-05",
    "name": "name:holiday",
    "folder": "folder:/photos/2024",
    "model": "model:everyday",
    "by": "by:person",
    "run": "run:12",
    "id": "id:5",
}

Comparison = Literal["<", "<=", "=", ">=", ">"]
State = Literal["unknown", "untagged", "tagged", "reviewed"]

_STATES = get_args(State)
_COMPARED = ("score", "added", "taken")  # fields that have a more and a less
_WITH_WILDCARDS = ("name", "folder")
_MARKS: dict[str, Comparison] = {mark: mark for mark in get_args(Comparison)}
_MARKS |= {":": "=", "==": "=", "≤": "<=", "≥": ">="}
_DATE = r"\d{4}(-\d\d(-\d\d)?)?", "a year, a month or a day, as in 2026, 2026-05 or 2026-05-31"
_NUMBER = r"\d{1,9}", "a whole number"
_VALUES = {  # what a field's values look like, and how that is said
    "score": (r"(\d{1,3}|\d{0,3}\.\d{1,20})%?", "a number from 0 to 1, or from 0% to 100%"),
    "added": _DATE,
    "taken": _DATE,
    "by": ("(?i:person|model)", "person or model"),
    "run": _NUMBER,
    "id": _NUMBER,
}


@dataclass(frozen=True)
class Everything:
    """Every photo."""


@dataclass(frozen=True)
class Label:
    """Has a tag of this name, in any case; with `wildcard`, each `*` is any text."""

    name: str
    wildcard: bool = False


@dataclass(frozen=True)
class Flag:
    """Is in this state."""

    name: State


@dataclass(frozen=True)
class Condition:
    """A field of `FIELDS`, other than tag, and its value in the plainest way to write it.

    With `wildcard` each `*` of a name or a folder is any text.
    """

    field: str
    comparison: Comparison
    value: str
    wildcard: bool = False


@dataclass(frozen=True)
class Not:
    """Every photo but those."""

    term: Query


@dataclass(frozen=True)
class And:
    """All of the terms."""

    terms: tuple[Query, ...]


@dataclass(frozen=True)
class Or:
    """At least one of the terms."""

    terms: tuple[Query, ...]


Query = Everything | Label | Flag | Condition | Not | And | Or


def parse(text: str) -> Query:
    """The tree of a search; of none at all, `Everything`. Raises QueryError."""
    return _Parser(text).everything()


def format_query(query: Query) -> str:
    """The text of a tree, which `parse` makes the same tree of."""
    match query:
        case Everything():
            return ""
        case Label(name, wildcard):
            return _spell_label(name, wildcard)
        case Flag(name):
            return name
        case Condition(field, comparison, value, wildcard):
            mark = ":" if comparison == "=" else comparison
            plain = wildcard or (WORD.fullmatch(value) and "*" not in value)
            return f"{field}{mark}{value if plain else _quoted(value)}"
        case Not(term):
            return f"NOT {_inside(term)}"
        case And(terms):
            return " AND ".join(map(_inside, terms))
        case Or(terms):
            return " OR ".join(map(_inside, terms))


def date_range(period: str) -> tuple[datetime, datetime]:
    """The first moment of "2026", "2026-05" or "2026-05-31", and the first moment after it.

    Raises ValueError or OverflowError where there is none, as in a thirteenth month.
    """
    parts = [int(part) for part in period.split("-")]
    year, month, day = [*parts, 1, 1][:3]
    first = datetime(year, month, day)
    if len(parts) == 1:
        return first, datetime(year + 1, 1, 1)
    if len(parts) == 2:
        return first, datetime(year + month // 12, month % 12 + 1, 1)
    return first, first + timedelta(days=1)


def fold(text: str) -> str:
    """Text as it is compared: in no case, and accents written one way whichever way they came."""
    return unicodedata.normalize("NFC", text.casefold())


def _inside(query: Query) -> str:
    return f"({format_query(query)})" if isinstance(query, And | Or) else format_query(query)


def _spell_label(name: str, wildcard: bool) -> str:
    plain = WORD.fullmatch(name) and not KEYWORD.match(name) and name.lower() not in _STATES
    if wildcard:
        return name if plain else f"tag:{name}"
    return name if plain and "*" not in name else _quoted(name)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


class _Parser(Lexer):
    """A tree from what is read, one method for each thing that binds more tightly."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.terms = self.depth = 0

    def everything(self) -> Query:
        if not self.next:
            return Everything()
        found = self.any_of()
        if self.next:
            raise self.error("this ) closes nothing: put a ( before what belongs together", self.at)
        return found

    def any_of(self) -> Query:
        terms = [self.all_of()]
        while self.keyword == "OR":
            terms.append(self.all_of(after="OR"))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def all_of(self, after: str = "") -> Query:
        terms = [self.one(after)]
        while self.next not in ("", ")") and self.keyword != "OR":
            terms.append(self.one("AND" if self.keyword == "AND" else ""))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def one(self, after: str = "") -> Query:
        """What comes after a keyword, which is next, or simply what is next."""
        place = self.at
        self.go(place + len(after))
        keyword = self.keyword
        if keyword in ("NOT", "-"):
            self.deeper()
            found: Query = Not(self.one(keyword))
            self.depth -= 1
            return found
        if keyword:
            where = f"between {after} and {keyword}" if after else f"before {keyword}"
            raise self.error(f"something is missing {where}{_AS_TAG}", self.at)
        if after and self.next in ("", ")"):
            raise self.error(f"something is missing after {after}{_AS_TAG}", place)
        return self.group() if self.next == "(" else self.term()

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            told = f"a search has at most {MAX_DEPTH} parentheses or NOTs within each other"
            raise self.error(told, self.at)

    def group(self) -> Query:
        place = self.at
        self.deeper()
        self.go(place + 1)
        if self.next == ")":
            raise self.error("there is nothing between these parentheses", place)
        found = self.any_of() if self.next else None
        if found is None or self.next != ")":
            raise self.error("this ( is never closed: put a ) after what belongs together", place)
        self.go(self.at + 1)
        self.depth -= 1
        return found

    def term(self) -> Query:
        place = self.at
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise self.error(f"a search has at most {MAX_TERMS} terms", place)
        if quoted := self.quoted():
            return Label(quoted)
        if self.next == ")":
            raise self.error("this ) closes nothing: remove it", place)
        word = self.take(WORD)
        if mark := MARK.match(self.text, self.at):
            return self.comparison(word, mark.group(), place)
        if word.lower() in _STATES:
            return Flag(cast(State, word.lower()))
        return Label(word, wildcard="*" in word)

    def comparison(self, word: str, mark: str, place: int) -> Query:
        """The term that begins with a field's name, from the mark on."""
        field = word.lower()
        if field not in FIELDS:
            raise self.error(_no_field(word, mark), place)
        example = f"as in {FIELDS[field]}"
        if mark not in _MARKS:
            raise self.error(_no_mark(mark, example), self.at)
        if field not in _COMPARED and _MARKS[mark] != "=":
            raise self.error(f"{field} is followed by a colon, {example}", self.at)
        self.go(self.at + len(mark))
        start, quoted = self.at, self.quoted()
        value = quoted or self.take(VALUE)
        if not value:
            raise self.error(f"{field} needs a value, {example}", start)
        if field == "tag":
            return Label(value, wildcard=not quoted and "*" in value)
        plain = _plain(field, value)
        if plain is None:
            told = f"{field} is followed by {_VALUES[field][1]}, not {_shown(value)}"
            raise self.error(told, start)
        wildcard = field in _WITH_WILDCARDS and not quoted and "*" in value
        return Condition(field, _MARKS[mark], plain, wildcard)


def _plain(field: str, value: str) -> str | None:
    """A field's value in the plainest way to write it; None for one that it cannot have."""
    if field not in _VALUES:
        return value
    if not re.fullmatch(_VALUES[field][0], value, re.ASCII):
        return None
    if field == "score":
        share = Decimal(value.rstrip("%")) / (100 if value.endswith("%") else 1)
        return f"{share.normalize():f}" if share <= 1 else None
    if field in ("added", "taken"):
        try:
            return value if date_range(value) else None
        except (ValueError, OverflowError):
            return None
    return value.lower() if field == "by" else str(int(value))


def _no_field(word: str, mark: str) -> str:
    if not word:
        return f"{mark} needs a field before it, as in score>=0.8"
    close = difflib.get_close_matches(word.lower(), FIELDS, n=1)
    if _MARKS.get(mark, "=") != "=" and not close:
        hint = f"for how sure a tag is, write {_shown(word)} score{mark}0.8"
    elif close:
        hint = f"did you mean {close[0]}?"
    else:
        hint = f"it has {', '.join(FIELDS)}; a tag with {mark} in it goes in quotes"
    return f"a search has no field {_shown(word)}; {hint}"


def _no_mark(mark: str, example: str) -> str:
    meant = [found for found in (mark[::-1], mark.lstrip(":")) if found in _MARKS]
    hint = f"write {meant[0]}" if meant else f"write one of : < <= > >=, {example}"
    return f"{mark} is no comparison: {hint}"


def _shown(text: str) -> str:
    return f'"{escape_controls(text if len(text) <= _LONG else text[:_LONG] + "…")}"'


_LONG = 40  # characters of a word in a message
_AS_TAG = "; a tag of that name goes in quotes"
