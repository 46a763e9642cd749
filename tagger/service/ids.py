"""Names for what happens: requests, and answers in the journal."""

from __future__ import annotations

import random
import time


def uuid7() -> str:
    """32 hexadecimal digits of a UUID, version 7 (RFC 9562): they sort by the millisecond.

    An index of them grows at its end, where one of random ids is written all over.
    """
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | random.getrandbits(12) << 64
    return f"{number | 0b10 << 62 | random.getrandbits(62):032x}"
