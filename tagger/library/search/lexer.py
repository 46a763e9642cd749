"""Lexer for the search grammar: words, values, comparison marks, keywords and quoted text."""

from __future__ import annotations

import re
import unicodedata

from tagger.errors import QueryError

MAX_LENGTH = 1000  # characters of a query

WORD = re.compile(r'[^\s()"“”„<>=:≤≥]+')
VALUE = re.compile(r'[^\s()"“”„]+')
MARK = re.compile(r"[<>=:≤≥]+")
KEYWORD = re.compile(r'(AND|OR|NOT)(?![^\s()"“”„])|-', re.IGNORECASE)
QUOTATION_MARKS = ('"', "“", "”", "„")  # that begin quoted text
_SPACES = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"|[“”„]([^“”]*)[“”]')  # "" is a quotation mark in the text
_INVISIBLE = dict.fromkeys((0x200B, 0x2060, 0xFEFF))  # often copied along from web pages


class Lexer:
    """A position in the text of a query. `position` is never at a space."""

    def __init__(self, text: str) -> None:
        self.text = text = text.translate(_INVISIBLE)
        if len(text) > MAX_LENGTH:
            message = f"a search has at most {MAX_LENGTH:,} characters; this has {len(text):,}"
            raise self.error(message, MAX_LENGTH)
        for position, character in enumerate(text):
            if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
                raise self.error(f"{character!r} can’t be searched for", position)
        self.move_to(0)

    def error(self, message: str, position: int) -> QueryError:
        """An error that points at a position."""
        return QueryError(message, self.text, position)

    def move_to(self, position: int) -> None:
        """Move to a position, or behind the spaces there."""
        spaces = _SPACES.match(self.text, position)
        self.position = spaces.end() if spaces else position

    def take(self, pattern: re.Pattern[str]) -> str:
        """The match of a pattern at the position, and move behind it; "" if there is none."""
        match = pattern.match(self.text, self.position)
        if match:
            self.move_to(match.end())
        return match.group() if match else ""

    @property
    def next(self) -> str:
        """The next character; "" at the end."""
        return self.text[self.position : self.position + 1]

    @property
    def keyword(self) -> str:
        """The keyword at the position: AND, OR, NOT or -; "" if there is none."""
        match = KEYWORD.match(self.text, self.position)
        return match.group().upper() if match else ""

    def take_quoted(self) -> str:
        """The text in the quotation marks at the position, and move behind them; "" if none."""
        if self.next not in QUOTATION_MARKS:
            return ""
        start, match = self.position, _QUOTED.match(self.text, self.position)
        if not match:
            raise self.error("missing closing quotation mark", start)
        self.move_to(match.end())
        text = match[2] or (match[1] or "").replace('""', '"')
        if not text.strip():
            raise self.error("these quotation marks are empty", start)
        return text
