"""Label sets: the names of a model's outputs, in order."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from unicodedata import normalize

from tagger.errors import OptionError

Kind = Literal["single", "multi"]

MAX_LISTED = 20  # names in a message
# Characters that nobody can see: zero-width, soft and direction marks, but not the joiners of words
# and emoji.
_INVISIBLE = str.maketrans(
    "",
    "",
    "\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
)
_LOOSE_JOINER = re.compile("(?<!\\S)[\u200c\u200d]+|[\u200c\u200d]+(?!\\S)")


@lru_cache(maxsize=2**16)
def normalize_label(name: str) -> str:
    """A label's name in one line and in NFC, with single spaces and no invisible characters.

    Two names that look alike are then the same label. It is empty for a blank name.
    """
    if name.isascii():  # nothing to compose or to leave out
        return " ".join(name.split())
    return " ".join(normalize("NFC", _LOOSE_JOINER.sub("", name.translate(_INVISIBLE))).split())


@dataclass(frozen=True)
class LabelSet:
    """Label names in output order.

    `kind` is "single" where a photo has exactly one label (softmax), "multi" where it may have
    several or none (sigmoid). Raises OptionError for no name, a blank or a repeated one.
    """

    names: tuple[str, ...]
    kind: Kind = "single"

    def __post_init__(self) -> None:
        if self.kind not in ("single", "multi"):
            raise OptionError(f"label kind {self.kind!r}: use 'single' or 'multi'")
        if not self.names:
            raise OptionError("a label set needs at least one name")
        blank = [name for name in self.names if not isinstance(name, str) or not name.strip()]
        if blank:
            raise OptionError(f"a label's name cannot be blank: {blank[0]!r}")
        for name in self.names:
            try:
                name.encode()
            except UnicodeEncodeError:
                raise OptionError(f"a label's name must be valid text: {name!r}") from None
        twice = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if twice:
            more = f" and {len(twice) - MAX_LISTED:,} more" if len(twice) > MAX_LISTED else ""
            raise OptionError(f"labels named twice: {', '.join(twice[:MAX_LISTED])}{more}")

    def __len__(self) -> int:
        return len(self.names)

    def describe_rest(self) -> str:
        """What an unknown photo is: "not cat or dog", "none of 58 labels"."""
        if len(self.names) > 3:
            return f"none of {len(self.names)} labels"
        *most, last = self.names
        return f"not {', '.join(most)} or {last}" if most else f"not {last}"
