"""The search grammar: a parser from text to a tree, with errors that point at a position.

    dog AND NOT cat                     words are tags, whole and in any case, with their synonyms
                                        and what is below them; AND may be left out
    tag==person                         this tag alone
    (sea OR mountains) score>=0.8       AND binds tighter than OR
    "golden retriever" -gold*           quotes for spaces, - for NOT, * for any text
    unknown  untagged  tagged  reviewed  missing  favourite    or is:favourite and so on
    confidence<0.5                      of the model's answer, whatever tags there are
    added>2026-01-01  taken:2024-05     a date is a whole year, month or day
    name:holiday  folder:/photos/2024  model:everyday  by:person  run:12  id:5
    rating>=3  caption:"in the rain"    what a person wrote; a favourite has rating 5
    name:img_*.jpg  folder:*/2024       with a *, the whole name or folder rather than a part
    like:"two dogs in the snow"         photos that look like a description

`score` and `by` filter tags: those of the tags in the same group (and in OR groups within it), or
any tag if the group has none. A tag by a person has score 1.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, cast, get_args

from tagger.errors import QueryError
from tagger.library.search.lexer import KEYWORD, MARK, QUOTATION_MARKS, VALUE, WORD, Lexer
from tagger.text import escape_controls

MAX_TERMS = 100
MAX_DEPTH = 20  # nested parentheses and NOTs
MAX_LIKES = 8  # descriptions, each of which is compared with every photo

FIELDS = {  # with an example of each
    "tag": 'tag:"golden retriever"',
    "score": "score>=0.8",
    "confidence": "confidence<0.5",
    "added": "added>2026-01-01",
    "taken": "taken:2024-05",
    "name": "name:holiday",
    "folder": "folder:/photos/2024",
    "model": "model:everyday",
    "by": "by:person",
    "run": "run:12",
    "id": "id:5",
    "rating": "rating>=3",
    "is": "is:favourite",
    "caption": 'caption:"in the rain"',
    "like": 'like:"two dogs in the snow"',
}

Comparison = Literal["<", "<=", "=", ">=", ">"]
State = Literal["unknown", "untagged", "tagged", "reviewed", "missing", "favourite"]

_STATES = get_args(State)
_ABOUT_TAGS = ("score", "by")  # fields
_ORDERED = ("score", "confidence", "added", "taken", "rating")  # fields that < and > apply to
_WITH_WILDCARDS = ("name", "folder", "caption")
_MARKS: dict[str, Comparison] = {mark: mark for mark in get_args(Comparison)}
_MARKS |= {":": "=", "==": "=", "≤": "<=", "≥": ">="}
_MARKS |= {f":{mark}": _MARKS[mark] for mark in ("<", "<=", ">=", ">", "≤", "≥")}
_DATE = r"\d{4}(-\d\d(-\d\d)?)?", "a year, a month or a day, as in 2026, 2026-05 or 2026-05-31"
_NUMBER = r"\d{1,9}", "a whole number"
_SHARE = r"(\d{1,3}|\d{0,3}\.\d{1,20})%?", "a number from 0 to 1, or from 0% to 100%"
_VALUES = {  # the pattern of a field's values, and its description
    "score": _SHARE,
    "confidence": _SHARE,
    "added": _DATE,
    "taken": _DATE,
    "by": ("(?i:person|model)", "person or model"),
    "run": _NUMBER,
    "id": _NUMBER,
    "rating": ("[0-5]", "a number from 0 (none) to 5"),
    "is": (f"(?i:{'|'.join(_STATES)}|favorite)", f"one of {', '.join(_STATES)}"),
}


@dataclass(frozen=True)
class Everything:
    """Every photo."""


@dataclass(frozen=True)
class Label:
    """Photos with a tag that this word finds in the vocabulary, or of this name, in any case.

    With `wildcard`, each `*` is any text; with `exact`, the vocabulary is left out.
    """

    name: str
    wildcard: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Flag:
    """Photos in this state."""

    name: State


@dataclass(frozen=True)
class Condition:
    """A comparison with a field of `FIELDS` other than tag; `value` is in canonical form.

    With `wildcard`, each `*` of a name or folder is any text.
    """

    field: str
    comparison: Comparison
    value: str
    wildcard: bool = False


@dataclass(frozen=True)
class Like:
    """Photos that look like a description, which begins at `position` in the query."""

    text: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Listed:
    """The photos with these ids, which a description stands for; see `library.descriptions`."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class Not:
    """All photos except those of the term."""

    term: Query


@dataclass(frozen=True)
class And:
    """All of the terms."""

    terms: tuple[Query, ...]


@dataclass(frozen=True)
class Or:
    """At least one of the terms."""

    terms: tuple[Query, ...]


Query = Everything | Label | Flag | Condition | Like | Listed | Not | And | Or


def parse(text: str) -> Query:
    """The tree of a query; `Everything` for an empty one. Raises QueryError."""
    return _Parser(text).parse()


def parse_description(text: str) -> Query | None:
    """The tree of a query without `like:` whose words are one description.

    `cat asleep added:2026` becomes `like:"cat asleep" AND added:2026`. Words are those outside
    parentheses and negations; among them are `and`, `or` and `not` in small letters and the names
    of states. None for a query that the grammar alone explains: without a word, or with OR in
    capitals, a `*`, `tag:`, `score` or `by`; and for one that cannot be parsed.
    """
    tree = parse_words(text)
    first, *rest = tree.terms if isinstance(tree, And) else (tree,)
    if not isinstance(first, Like) or not all(map(_may_stand_beside, rest)):
        return None
    only_states = all(word in _STATES for word in first.text.lower().split())
    return None if only_states else tree


def parse_words(text: str) -> Query | None:
    """The tree of a query without `like:`, in which the words of each AND group are one `Like`.

    It is the first term of its group. Words are those of `parse_description`. None for a query
    that cannot be parsed.
    """
    try:
        return _join_words(_DescriptionParser(text).parse())
    except QueryError:
        return None


def _join_words(tree: Query) -> Query:
    match tree:
        case Or(terms):
            return Or(tuple(map(_join_words, terms)))
        case And(terms):
            words = [term.text for term in terms if isinstance(term, Like)]
            rest = tuple(term for term in terms if not isinstance(term, Like))
            if not words:
                return tree
            like = Like(" ".join(words))
            return And((like, *rest)) if rest else like
        case _:
            return tree


def _may_stand_beside(term: Query) -> bool:
    """Whether a term restricts a description, rather than being about tags that photos lack."""
    match term:
        case Condition(field):
            return field not in _ABOUT_TAGS
        case Not(inner):
            return not isinstance(inner, Condition) or _may_stand_beside(inner)
        case _:
            return False


def format_query(query: Query) -> str:
    """The text of a tree; `parse` returns the same tree for it."""
    match query:
        case Everything():
            return ""
        case Label(name, exact=True):
            return f"tag=={name if WORD.fullmatch(name) else _quote(name)}"
        case Label(name, wildcard):
            return _format_label(name, wildcard)
        case Flag(name):
            return name
        case Condition(field, comparison, value, wildcard):
            mark = ":" if comparison == "=" else comparison
            is_plain = wildcard or (WORD.fullmatch(value) and "*" not in value)
            return f"{field}{mark}{value if is_plain else _quote(value)}"
        case Like(text):
            return f"like:{text if WORD.fullmatch(text) else _quote(text)}"
        case Listed(ids):
            return f"({' OR '.join(f'id:{number}' for number in ids or (0,))})"
        case Not(term):
            return f"NOT {_format_term(term)}"
        case And(terms):
            return " AND ".join(map(_format_term, terms))
        case Or(terms):
            return " OR ".join(map(_format_term, terms))


def map_terms(query: Query, change: Callable[[Query, bool], Query], positive: bool = True) -> Query:
    """The query with `change` of each single term; that also gets whether it is not negated."""
    match query:
        case Not(term):
            return Not(map_terms(term, change, not positive))
        case And(terms):
            return And(tuple(map_terms(term, change, positive) for term in terms))
        case Or(terms):
            return Or(tuple(map_terms(term, change, positive) for term in terms))
        case _:
            return change(query, positive)


def single_terms(query: Query, positive: bool = True) -> Iterator[tuple[Query, bool]]:
    """The terms of a tree that hold no others, from left to right; False for those negated."""
    match query:
        case Not(term):
            yield from single_terms(term, not positive)
        case And(terms) | Or(terms):
            for term in terms:
                yield from single_terms(term, positive)
        case _:
            yield query, positive


def label_terms(query: Query) -> Iterator[Label]:
    """The labels of a tree, from left to right."""
    return (term for term, _ in single_terms(query) if isinstance(term, Label))


def date_range(period: str) -> tuple[datetime, datetime]:
    """The start of "2026", "2026-05" or "2026-05-31", and the start of the period after it.

    Raises ValueError or OverflowError for an invalid date, such as a thirteenth month.
    """
    parts = [int(part) for part in period.split("-")]
    year, month, day = [*parts, 1, 1][:3]
    first = datetime(year, month, day)
    if len(parts) == 1:
        return first, datetime(year + 1, 1, 1)
    if len(parts) == 2:
        return first, datetime(year + month // 12, month % 12 + 1, 1)
    return first, first + timedelta(days=1)


def _format_term(query: Query) -> str:
    return f"({format_query(query)})" if isinstance(query, And | Or) else format_query(query)


def _format_label(name: str, wildcard: bool) -> str:
    is_plain = WORD.fullmatch(name) and not KEYWORD.match(name) and name.lower() not in _STATES
    if wildcard:
        return name if is_plain else f"tag:{name}"
    return name if is_plain and "*" not in name else _quote(name)


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


class _Parser(Lexer):
    """Recursive descent: a method for each precedence level, lowest first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.terms = self.depth = self.likes = 0

    def parse(self) -> Query:
        if not self.next:
            return Everything()
        query = self.parse_or()
        if self.next:
            raise self.error("missing opening bracket for this )", self.position)
        return query

    def parse_or(self) -> Query:
        terms = [self.parse_and()]
        while self.keyword == "OR":
            terms.append(self.parse_and(after="OR"))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def parse_and(self, after: str = "") -> Query:
        terms = [self.parse_not(after)]
        while self.next not in ("", ")") and self.keyword != "OR":
            terms.append(self.parse_not("AND" if self.keyword == "AND" else ""))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def parse_not(self, after: str = "") -> Query:
        """A term, a group or their negation, after the keyword `after` at the position, if any."""
        start = self.position
        self.move_to(start + len(after))
        keyword = self.keyword
        if keyword in ("NOT", "-"):
            self.descend()
            query: Query = Not(self.parse_not(keyword))
            self.depth -= 1
            return query
        if keyword:
            where = f"between {after} and {keyword}" if after else f"before {keyword}"
            raise self.error(f"something is missing {where}{_AS_TAG}", self.position)
        if after and self.next in ("", ")"):
            raise self.error(f"something is missing after {after}{_AS_TAG}", start)
        return self.parse_group() if self.next == "(" else self.parse_term()

    def descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            message = f"a search can nest at most {MAX_DEPTH} brackets or NOTs"
            raise self.error(message, self.position)

    def parse_group(self) -> Query:
        start = self.position
        self.descend()
        self.move_to(start + 1)
        if self.next == ")":
            raise self.error("these brackets are empty", start)
        query = self.parse_or() if self.next else None
        if query is None or self.next != ")":
            raise self.error("missing closing bracket", start)
        self.move_to(self.position + 1)
        self.depth -= 1
        return query

    def parse_term(self) -> Query:
        start = self.position
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise self.error(f"a search has at most {MAX_TERMS} terms", start)
        if quoted := self.take_quoted():
            return Label(quoted)
        if self.next == ")":
            raise self.error("missing opening bracket for this )", start)
        word = self.take(WORD)
        if mark := MARK.match(self.text, self.position):
            return self.parse_condition(word, mark.group(), start)
        if word.lower() in _STATES:
            return Flag(cast(State, word.lower()))
        return Label(word, wildcard="*" in word)

    def parse_condition(self, word: str, mark: str, start: int) -> Query:
        """A term that starts with a field's name; the position is at the mark."""
        field = word.lower()
        if field not in FIELDS:
            raise self.error(_explain_field(word, mark), start)
        example = f"as in {FIELDS[field]}"
        if mark not in _MARKS:
            raise self.error(_explain_mark(mark, example), self.position)
        if field not in _ORDERED and _MARKS[mark] != "=":
            raise self.error(f"{field} is followed by a colon, {example}", self.position)
        self.move_to(self.position + len(mark))
        start, quoted = self.position, self.take_quoted()
        text = quoted or self.take(VALUE)
        if not text:
            raise self.error(f"{field} needs a value, {example}", start)
        if field == "like":
            self.likes += 1
            if self.likes > MAX_LIKES:
                raise self.error(f"a search has at most {MAX_LIKES} descriptions", start)
            return Like(text, start)
        if field == "tag":
            exact = mark == "=="
            return Label(text, wildcard=not (quoted or exact) and "*" in text, exact=exact)
        value = _canonical_value(field, text)
        if value is None:
            message = f"{field} is followed by {_VALUES[field][1]}, not {_show(text)}"
            raise self.error(message, start)
        if field == "is":
            return Flag(cast(State, value))
        wildcard = field in _WITH_WILDCARDS and not quoted and "*" in text
        return Condition(field, _MARKS[mark], value, wildcard)


class _DescriptionParser(_Parser):
    """A parser for `parse_description`: words are `Like`, and keywords are in capitals."""

    @property
    def keyword(self) -> str:
        keyword = super().keyword
        is_word = not self.depth and not self.text.startswith(keyword, self.position)
        return "" if is_word else keyword

    def parse_term(self) -> Query:
        start = self.position
        term = super().parse_term()
        source = self.text[start : self.position]
        is_word = source[0] in QUOTATION_MARKS or not MARK.search(source)
        if self.depth or not is_word or (isinstance(term, Label) and term.wildcard):
            return term
        return Like(term.name) if isinstance(term, Label | Flag) else term


def _canonical_value(field: str, text: str) -> str | None:
    """A field's value in its canonical form; None if it is invalid."""
    if field not in _VALUES:
        return text
    if not re.fullmatch(_VALUES[field][0], text, re.ASCII):
        return None
    if field in ("score", "confidence"):
        score = Decimal(text.rstrip("%")) / (100 if text.endswith("%") else 1)
        return f"{score.normalize():f}" if score <= 1 else None
    if field in ("added", "taken"):
        try:
            return text if date_range(text) else None
        except (ValueError, OverflowError):
            return None
    if field == "is":
        return text.lower().replace("favorite", "favourite")
    return text.lower() if field == "by" else str(int(text))


def _explain_field(word: str, mark: str) -> str:
    """The message for a comparison without a field, or with one that does not exist."""
    if not word:
        return f"{mark} needs a field before it, as in score>=0.8"
    close = difflib.get_close_matches(word.lower(), FIELDS, n=1)
    if _MARKS.get(mark, "=") != "=" and not close:
        hint = f"for the confidence of a tag, write {_show(word)} score{mark}0.8"
    elif close:
        hint = f"did you mean {close[0]}?"
    else:
        hint = f"fields are {', '.join(FIELDS)}; put a tag with {mark} in it in quotes"
    return f"unknown field {_show(word)}; {hint}"


def _explain_mark(mark: str, example: str) -> str:
    """The message for an invalid comparison mark."""
    valid = [other for other in (mark[::-1], mark.lstrip(":")) if other in _MARKS]
    hint = f"write {_MARKS[valid[0]]}" if valid else f"write one of : < <= > >=, {example}"
    return f"{mark} is not a comparison: {hint}"


def _show(text: str) -> str:
    return f'"{escape_controls(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")}"'


_SHOWN = 40  # characters of a word in a message
_AS_TAG = "; put a tag of that name in quotes"
