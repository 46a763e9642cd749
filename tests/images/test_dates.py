"""Dates in the spellings that cameras and programs write into EXIF."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product

import pytest

from tagger.images import decode
from tagger.images.dates import choose_date, parse_date
from tests.conftest import draw_smooth_colours
from tests.images.test_decode import with_exif

NOON = datetime(2024, 5, 31, 12, 30, 59)
MINUTE, DAY = NOON.replace(second=0), NOON.replace(hour=0, minute=0, second=0)
TAKEN, DIGITISED, CHANGED = 0x9003, 0x9004, 0x0132

SPELLINGS = {
    "2024:05:31 12:30:59": NOON,
    "2024-05-31 12:30:59": NOON,
    "2024/05/31 12:30:59": NOON,
    "2024.05.31 12.30.59": NOON,
    "2024:05:31T12:30:59": NOON,
    "2024-05-31T12:30:59Z": NOON,
    "2024-05-31T12:30:59+02:00": NOON,
    "2024-05-31T12:30:59-0700": NOON,
    "2024-05-31T12:30:59.123456+02:00": NOON,
    "2024:05:31 12:30:59.5": NOON,
    "2024:05:31 12:30:59,500 UTC": NOON,
    "2024-05-31T12:30-05:00": MINUTE,
    "2024:05:31 12:30": MINUTE,
    "2024:05:31": DAY,
    "2024-05-31": DAY,
    "2024:05:31+02:00": DAY,
    "2024:05:31   :  :  ": DAY,
    "20240531": DAY,
    "20240531T123059": NOON,
    "20240531 1230": MINUTE,
    "2024-05-31-12-30-59": NOON,
    "2024-05-31_12-30-59": NOON,
    "2024:5:31 12:30:59": NOON,
    "2024: 5:31 12:30:59": NOON,
    "  2024:05:31  12:30:59\0\0": NOON,
    "2024:05:31 12:30:59 PM": NOON,
    "2024:05:31 12:30:59 a.m.": NOON - timedelta(hours=12),
    "2024:05:31 01:30:59 pm": NOON + timedelta(hours=1),
    "2024:05:31 下午 01:30:59": NOON + timedelta(hours=1),
    "2024:05:31 24:00:00": DAY + timedelta(days=1),
    "2024:05:31 12:30:60": NOON + timedelta(seconds=1),
    "Fri May 31 12:30:59 2024": NOON,
    "31.05.2024 12:30:59": NOON,
    "31/05/2024 12:30": MINUTE,
    "05/31/2024 12:30": MINUTE,
    "05-05-2024": datetime(2024, 5, 5),
    "2024年05月31日 12:30:59": NOON,
    "2024年5月31日12时30分59秒": NOON,
    "2024年 5月 31日": DAY,
    "2024년 5월 31일 오후 1시 30분": MINUTE + timedelta(hours=1),
    "2024. 5. 31. 12:30:59": NOON,
    "2024. 05. 31.": DAY,
    "2024.05.31. 12:30": MINUTE,
    "31-May-2024": DAY,
    "31-MAY-2024 12:30:59": NOON,
    "31 May 2024 12:30:59": NOON,
    "31. May 2024 12.30": MINUTE,
    "May 31, 2024 12:30:59 PM": NOON,
    "May 31st, 2024": DAY,
    "2024-May-31 12:30:59": NOON,
    "Fri, 31 May 2024 12:30:59 +0200": NOON,
    "Friday, May 31, 2024 12:30:59": NOON,
    "05-Jun-2024": datetime(2024, 6, 5),
    "Fri May 31 12:30:59 CEST 2024": NOON,
    "٢٠٢٤:٠٥:٣١ ١٢:٣٠:٥٩": NOON,
    "\u200e2024\u200e/\u200e05\u200e/\u200e31 \u200f12:30:59": NOON,
    "２０２４：０５：３１　１２：３０：５９": NOON,
    "1839:01:02 00:00:00": datetime(1839, 1, 2),
}
NO_DATES = [
    "",
    " ",
    "yesterday",
    "2024",
    "2024:05",
    "2024:13:31",
    "2024:02:30 01:00:00",
    "05/06/2024",
    "31-Mayor-2024",
    "30 February 2024",
    "0001:01:01 00:00:00",
    "1601-01-01T00:00:00Z",
]
NO_DATES += ["2024:05:31 99:00:00", "0000:00:00 00:00:00", "9999:12:31 24:00:00", "1:2:3", "٣" * 8]
UNSET = ["0000:00:00 00:00:00", "    :  :     :  :  ", "0000-00-00T00:00:00", "\0" * 20]
UNSET += ["0001:01:01 00:00:00", "0001-01-01T00:00:00Z", "1601:01:01 00:00:00", "----:--:--"]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_date_of_any_spelling_is_read(text: str) -> None:
    assert parse_date(text.replace("\0", " ")) == SPELLINGS[text]


@pytest.mark.parametrize("text", [text for text in SPELLINGS if text.isascii()])
def test_the_date_of_a_photo_of_any_spelling_is_read(text: str) -> None:
    data = with_exif(draw_smooth_colours(1, 20), {TAKEN: text, CHANGED: "2025:01:01 00:00:00"})
    assert decode.read_metadata(data).taken_at == SPELLINGS[text]


@pytest.mark.parametrize("text", [text for text in SPELLINGS if not text.isascii()])
@pytest.mark.parametrize("encode", [str.encode, lambda text: text.encode().decode("latin-1")])
def test_a_date_beyond_ascii_is_read_from_its_bytes(
    text: str, encode: Callable[[str], bytes | str]
) -> None:
    assert choose_date([encode(text)], "2025:01:01 00:00:00") == SPELLINGS[text]


def test_a_long_field_takes_no_longer_than_a_short_one() -> None:
    for start, middle in product(("", "2024:05:31", "2024:05:31T", "31 May"), " \0T,_:0-"):
        text = start + middle * 60_000 + "x"
        began = time.process_time()
        data = with_exif(draw_smooth_colours(1, 20), {TAKEN: text})
        decode.read_metadata(data)
        assert time.process_time() - began < 8


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize("field", [TAKEN, DIGITISED])
def test_the_date_of_editing_never_replaces_a_date_of_taking(field: int) -> None:
    for text in ("31st of May, 2024", "05/06/2024", "2024:13:31 12:00:00", "????:??:?? ??:??:??"):
        data = with_exif(draw_smooth_colours(1, 20), {field: text, CHANGED: "2025:01:01 00:00:00"})
        assert decode.read_metadata(data).taken_at is None


@pytest.mark.parametrize("text", UNSET)
def test_a_field_that_the_camera_left_unset_counts_as_missing(text: str) -> None:
    fields = {TAKEN: text, DIGITISED: text, CHANGED: "2024-05-31T12:30:59"}
    assert decode.read_metadata(with_exif(draw_smooth_colours(1, 20), fields)).taken_at == NOON
    fields = {TAKEN: text, DIGITISED: "2024-05-31", CHANGED: "2025:01:01 00:00:00"}
    assert decode.read_metadata(with_exif(draw_smooth_colours(1, 20), fields)).taken_at == DAY
