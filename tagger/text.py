"""Text for people: counts, percentages, durations, names that are safe to print; comparisons."""

from __future__ import annotations

import base64
import math
import re
import unicodedata
from collections.abc import Sequence

LISTED = 6  # names in a sentence
BYTE_ORDER_MARK = "\ufeff"  # begins a table for Excel


def upper_first(text: str) -> str:
    """A sentence that begins with a capital letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def count_noun(count: int, noun: str) -> str:
    """A number and its noun: "1 photo", "1,200 photos", "3 entries"."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The plural of a regular noun: "photos", "entries"."""
    return f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"


def list_first(names: Sequence[str], limit: int = LISTED) -> str:
    """The first names, joined by commas, with "..." for the rest."""
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


def percent(share: float | None) -> str:
    """A share in [0, 1] as "95.9%", with two decimals within 1 % of either end; a dash for None."""
    if share is None or math.isnan(share):
        return "–"
    near_an_end = 0 < share < 0.01 or 0.99 < share < 1  # where 0.1 % is too coarse
    return f"{share:.{2 if near_an_end else 1}%}"


def whole_percent(share: float) -> str:
    """A confidence in [0, 1] in whole percents, never rounded to certainty: "87%", "<1%"."""
    return "<1%" if 0 < share < 0.005 else f"{min(share, 0.99):.0%}"


def score(value: float | None) -> str:
    """A score in [0, 1] that is no share, such as AP; a dash for None."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Seconds as "12.3 s", "4 min 5 s" or "2 h 3 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def fold(text: str) -> str:
    """Text for comparisons: case-folded, and Unicode-normalized (NFC)."""
    return unicodedata.normalize("NFC", text.casefold())


def count_edits(first: str, second: str) -> int:
    """How many letters to add, remove, replace or swap with the next make one text of the other.

    The restricted Damerau–Levenshtein distance: no part is edited twice.
    """
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        earlier, before, row = before, row, [i]
        for j, other in enumerate(second, 1):
            edits = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                edits = min(edits, earlier[j - 2] + 1)
            row.append(edits)
    return row[-1]


def is_visible(text: str) -> bool:
    """Whether a text has only characters that can be seen, and joiners of these.

    Persian and Indic words and many emoji need the joiners U+200C and U+200D, flags of regions the
    tag characters after their black flag.
    """
    return _JOINERS.sub("", text).isprintable()


_JOINERS = re.compile(
    "(?<=\\S)[\u200c\u200d](?=\\S)|(?<=\U0001f3f4)[\U000e0030-\U000e007a]{1,8}\U000e007f"
)


def is_text(text: str) -> bool:
    """Whether it is all characters; a file name may have bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def data_uri(data: bytes, media_type: str) -> str:
    """A `data:` URI that holds `data`, base64-encoded (RFC 2397)."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def escape_controls(text: str) -> str:
    """Text with line breaks and control characters escaped, as `\\n` and `\\x1b`.

    A file name could otherwise forge a line of output or steer a terminal.
    """
    if text.isprintable():  # nearly all are, and there may be many
        return text
    return "".join(c if c.isprintable() or c in _ALLOWED else repr(c)[1:-1] for c in text)


# Not printable to Python, but harmless: joiners in emoji and words, and the narrow spaces of
# screenshots' names.
_ALLOWED = "\ufe0f\u200c\u200d\u00a0\u202f\u2009\u3000"

# Spreadsheets run a cell that begins with one of these characters as a formula, unless an
# apostrophe precedes it. Text that already has apostrophes there gets one more, so that
# unescape_formula can restore it.
_FORMULA = re.compile("('*)[-=+@\t\r\n＝＋－＠]")


def escape_formula(cell: object) -> object:
    """A cell that no spreadsheet runs as a formula; `unescape_formula` undoes it."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """The text that `escape_formula` was given."""
    match = _FORMULA.match(cell)
    return cell[1:] if match and match[1] else cell
