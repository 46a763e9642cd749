"""Dates of EXIF fields, in the many ways that cameras and programs write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

# The standard is "2024:05:31 12:30:59". Others write -, / or . between the numbers, or nothing, a T
# before the time, AM or PM, a fraction or a zone after it; or they leave out seconds or the time.
_YEAR_FIRST = re.compile(
    r"\s*(\d{4})(?:\s?[:\-/. ]\s?(\d{1,2})\s?[:\-/. ]\s?(\d{1,2})|(\d\d)(\d\d))(?!\d)"
)
_YEAR_LAST = re.compile(r"\s*(\d{1,2})([\-/.])(\d{1,2})\2(\d{4})(?!\d)")
_TIME = re.compile(
    r"(?:[T\s,_:]*|-(?=\d\d-\d\d-\d\d))(?P<before>AM|PM|上午|下午|오전|오후|午前|午後)?\s*"
    r"(?:(\d{1,2})([:.\-])\s?(\d{1,2})(?:\3\s?(\d{1,2}))?|(\d\d)(\d\d)(\d\d)?)(?!\d)"
    r"(?:[.,]\d+)?\s*(?P<after>[AP]\.?M)?",
    re.IGNORECASE,
)
_MORNING = ("a", "上午", "오전", "午前")
_AFTERNOON = ("p", "下午", "오후", "午後")


def choose_date(taken: Iterable[object], changed: object) -> datetime | None:
    """The first date among the fields `taken` that is filled in and can be read.

    `changed`, the field of the last change, counts only if none of those is filled in: a photo
    whose date of capture cannot be read was not taken when somebody edited it.
    """
    fields = [field for field in map(_text, taken) if _is_filled(field)]
    if not fields:
        return parse_date(_text(changed))
    return next(filter(None, map(parse_date, fields)), None)


def parse_date(text: str) -> datetime | None:
    """The local time that a text gives, without its zone; midnight for a date alone.

    None if there is none, or where day and month could be either way round.
    """
    day = _parse_day(text)
    if day is None:
        return _parse_asctime(text)
    date, end = day
    match = _TIME.match(text, end)
    if match is None:
        return date
    hour, minute, second = (
        int(first or second or 0)
        for first, second in zip(match.group(2, 4, 5), match.group(6, 7, 8), strict=True)
    )
    half = (match["before"] or match["after"] or "").lower()
    if half.startswith(_MORNING + _AFTERNOON) and hour <= 12:
        hour = hour % 12 + 12 * half.startswith(_AFTERNOON)
    if hour > 24 or minute > 59 or second > 60:
        return None
    try:
        return date + timedelta(hours=hour, minutes=minute, seconds=second)
    except OverflowError:
        return None


def _parse_asctime(text: str) -> datetime | None:
    """The time in a text as C's asctime writes it: "Fri May 31 12:30:59 2024"."""
    try:
        return datetime.strptime(text.strip(), "%a %b %d %H:%M:%S %Y") if text.strip() else None
    except ValueError:
        return None


def _parse_day(text: str) -> tuple[datetime, int] | None:
    """The day that a text begins with, and where its text ends."""
    if match := _YEAR_FIRST.match(text):
        year, month, day = match[1], match[2] or match[4], match[3] or match[5]
    elif match := _YEAR_LAST.match(text):
        day, month, year = match[1], match[3], match[4]
        if match[2] != "." and day != month:
            if max(int(day), int(month)) <= 12:
                return None  # the 5th of June or the 6th of May
            if int(month) > 12:
                day, month = month, day
    else:
        return None
    try:
        return datetime(int(year), int(month), int(day)), match.end()
    except ValueError:
        return None


def _text(field: object) -> str:
    text = field.decode("latin-1") if isinstance(field, bytes) else str(field or "")
    return text.replace("\0", " ")


def _is_filled(text: str) -> bool:
    """Whether a field holds more than the zeros, blanks and colons of an unset clock."""
    return re.search(r"[^\W0_TZ]", text) is not None
