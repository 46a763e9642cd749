"""Dates of EXIF fields, in the many ways that cameras and programs write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

_MAX_LENGTH = 64  # characters of a field that are read
_FIRST_YEAR = 1826  # of the first photograph: clocks that were never set count from year 1 or 1601

# The standard is "2024:05:31 12:30:59". Others write -, / or . between the numbers, or nothing, a T
# before the time, AM or PM, a fraction or a zone after it; or they leave out seconds or the time.
_YEAR_FIRST = re.compile(
    r"(\d{4})(?:\s?[:\-/. ]\s?(\d{1,2})\s?[:\-/. ]\s?(\d{1,2})|(\d\d)(\d\d))(?!\d)"
)
_YEAR_LAST = re.compile(r"(\d{1,2})([\-/.])(\d{1,2})\2(\d{4})(?!\d)")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAMED_MONTHS = [  # each with the groups of its year, month and day
    (re.compile(pattern, re.IGNORECASE), groups)
    for pattern, groups in (
        (rf"(\d{{4}})[\-/. ]{_MONTH}[\-/. ](\d{{1,2}})(?!\d)", (1, 2, 3)),
        (
            rf"(?:[a-z]{{3,9}},? )?(\d{{1,2}})(?:st|nd|rd|th)?[\-/. ]\s?{_MONTH}"
            r"[\-/., ]\s?(\d{4})(?!\d)",
            (3, 2, 1),
        ),
        (
            rf"(?:[a-z]{{3,9}},? )?{_MONTH}[\-/. ]\s?(\d{{1,2}})(?:st|nd|rd|th)?"
            r"[\-/., ]\s?(\d{4})(?![\d:])",
            (3, 1, 2),
        ),
    )
]
_TIME = re.compile(
    r"(?:[T\s,_:.]*|-(?=\d\d-\d\d-\d\d))(?P<before>AM|PM|上午|下午|오전|오후|午前|午後)?\s*"
    r"(?:(\d{1,2})([:.\-])\s?(\d{1,2})(?:\3\s?(\d{1,2}))?|(\d\d)(\d\d)(\d\d)?)(?!\d)"
    r"(?:[.,]\d+)?\s*(?P<after>[AP]\.?M)?",
    re.IGNORECASE,
)
_MORNING = ("a", "上午", "오전", "午前")
_AFTERNOON = ("p", "下午", "오후", "午後")
_UNITS = str.maketrans("年月년월日일秒초時时点分시분", "----    ::::::")


def choose_date(taken: Iterable[object], changed: object) -> datetime | None:
    """The first date among the fields `taken` that is filled in and can be read.

    `changed`, the field of the last change, counts only if none of those is filled in: a photo
    whose date of capture cannot be read was not taken when somebody edited it.
    """
    fields = [text for text in map(_text, taken) if not _is_unset(text)]
    if not fields:
        return parse_date(_text(changed))
    return next(filter(None, map(parse_date, fields)), None)


def parse_date(text: str) -> datetime | None:
    """The local time that a text gives, without its zone; midnight for a date alone.

    None if there is none, or where day and month could be either way round.
    """
    text = _normalise(text)
    day = _parse_day(text)
    if day is None:
        return _parse_asctime(text)
    date, end = day
    if date.year < _FIRST_YEAR:
        return None
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
    words = text.split()
    try:
        if len(words) == 6:  # with a zone before the year, as of `date`
            del words[4]
        return datetime.strptime(" ".join(words), "%a %b %d %H:%M:%S %Y") if words else None
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
        for pattern, groups in _NAMED_MONTHS:
            if match := pattern.match(text):
                year, name, day = match.group(*groups)
                month = str(_MONTHS.index(name[:3].lower()) + 1)
                break
        else:
            return None
    try:
        return datetime(int(year), int(month), int(day)), match.end()
    except ValueError:
        return None


def _text(field: object) -> str:
    """A field's text, of which Pillow takes each byte for a character."""
    text = field if isinstance(field, bytes | str) else str(field or "")
    try:
        data = text.encode("latin-1") if isinstance(text, str) else text
        return data.decode()
    except UnicodeError:
        return text if isinstance(text, str) else text.decode("latin-1")


def _normalise(text: str) -> str:
    """The first characters, digits as ASCII, without null and invisible characters and units."""
    text = unicodedata.normalize("NFKC", text.replace("\0", " ").strip()[:_MAX_LENGTH])
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    digits = re.sub(r"\d", lambda match: str(int(match[0])), visible)
    return digits.translate(_UNITS).strip()


def _is_unset(text: str) -> bool:
    """Whether a field holds the zeros, blanks and signs of an unset clock, or its first day."""
    text = _normalise(text)
    if re.fullmatch(r"[\s0:\-/.,_+TZ]*", text):
        return True
    day = _parse_day(text)
    return day is not None and day[0].year < _FIRST_YEAR
