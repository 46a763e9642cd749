"""A search's text, read from left to right: words, values, marks, keywords and quotations."""

from __future__ import annotations

import re
import unicodedata

from tagger.errors import QueryError

MAX_LENGTH = 1000  # characters of a search

WORD = re.compile(r'[^\s()"“”„<>=:≤≥]+')
VALUE = re.compile(r'[^\s()"“”„]+')
MARK = re.compile(r"[<>=:≤≥]+")
KEYWORD = re.compile(r'(AND|OR|NOT)(?![^\s()"“”„])|-', re.IGNORECASE)
_SPACES = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"|[“”„]([^“”]*)[“”]')  # a " within is written twice
# What comes along when text is copied from a page, and nobody can see.
_UNSEEN = dict.fromkeys((0x200B, 0x2060, 0xFEFF))


class Lexer:
    """Where in a text one is; `at` is never on a space."""

    def __init__(self, text: str) -> None:
        self.text = text = text.translate(_UNSEEN)
        if len(text) > MAX_LENGTH:
            told = f"a search has at most {MAX_LENGTH:,} characters; this has {len(text):,}"
            raise self.error(told, MAX_LENGTH)
        for place, character in enumerate(text):
            if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
                raise self.error(f"{character!r} is no character to search for", place)
        self.go(0)

    def error(self, message: str, place: int) -> QueryError:
        return QueryError(message, self.text, place)

    def go(self, place: int) -> None:
        """On to a place, or past the spaces there."""
        spaces = _SPACES.match(self.text, place)
        self.at = spaces.end() if spaces else place

    def take(self, pattern: re.Pattern[str]) -> str:
        """What comes next, if it looks so, and on to what is behind it."""
        found = pattern.match(self.text, self.at)
        if found:
            self.go(found.end())
        return found.group() if found else ""

    @property
    def next(self) -> str:
        """The next character; none at the end."""
        return self.text[self.at : self.at + 1]

    @property
    def keyword(self) -> str:
        """AND, OR, NOT or - where it is next."""
        found = KEYWORD.match(self.text, self.at)
        return found.group().upper() if found else ""

    def quoted(self) -> str:
        """The text of the quotation marks that are next, if any are."""
        if self.next not in ('"', "“", "”", "„"):
            return ""
        place, found = self.at, _QUOTED.match(self.text, self.at)
        if not found:
            raise self.error("this quotation mark is never closed", place)
        self.go(found.end())
        text = found[2] or (found[1] or "").replace('""', '"')
        if not text.strip():
            raise self.error("there is nothing between these quotation marks", place)
        return text
