"""JPEG: a file's markers and scans, and whether one without an end holds all of its picture.

Marker names are those of ITU-T T.81, Annex B.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\xff\xd8\xff"
END = b"\xff\xd9"  # EOI

MAX_SEGMENTS = 5_000  # before the picture: Pillow keeps each, and looks for them byte by byte
MAX_JUNK = 2**16  # bytes between segments
MAX_SCANS = 100  # cameras and encoders write up to about 20; each costs a pass over every pixel

_SOS, _EOI = 0xDA, 0xD9
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # SOF0 to SOF15
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # without restarts
_BLOCK = 2**16
_ALL_COEFFICIENTS = (1 << 64) - 1
_PADDING = 64  # zeros at the end from here on are no picture
# Bytes that are read as picture if some is missing, and are skipped if none is.
_FILLER = b"".join(
    bytes(n * 37 % 255 for n in range(64)) + bytes((0xFF, 0xD0 + n)) for n in range(8)
)


@dataclass(frozen=True)
class JpegHeader:
    """What the markers of a JPEG say.

    `samples` are the horizontal and vertical sampling factors of each component. `in_memory`:
    whether the decoder keeps the whole picture's coefficients, as it does for progressive files
    and others of several scans. `scans` counts up to MAX_SCANS + 1. `covered`: whether the scans
    send every coefficient of every component.
    """

    bits: int
    width: int
    height: int
    samples: tuple[tuple[int, int], ...]
    in_memory: bool
    scans: int
    covered: bool
    picture: int  # position of the first scan's data

    @property
    def coefficient_bytes(self) -> int:
        """Memory for the coefficients, if all are kept: two bytes each."""
        widest = max(h for h, _ in self.samples) * max(v for _, v in self.samples)
        return 2 * self.width * self.height * sum(h * v for h, v in self.samples) // widest


def read_header(data: bytes) -> JpegHeader | None:
    """The header of a JPEG; None for a file without one, or with more segments than it needs."""
    frame: tuple[int, bytes] | None = None
    position, junk = 2, 0
    for _ in range(MAX_SEGMENTS):
        match = _MARKER.search(data, position)
        if match is None or (junk := junk + match.start(1) - 1 - position) > MAX_JUNK:
            return None
        code = match[1][0]
        position = match.end()
        if code in _ALONE:
            continue
        body = _segment(data, position)
        position += 2 + len(body)
        if code in _FRAMES:
            frame = code, body
        elif code == _SOS:
            return None if frame is None else _header(data, *frame, body, position)
        elif code == _EOI:
            return None
    return None


def _segment(data: bytes, position: int) -> bytes:
    """The content of the segment whose length is at this position."""
    length = int.from_bytes(data[position : position + 2], "big")
    return data[position + 2 : position + max(2, length)]


def _header(data: bytes, code: int, frame: bytes, scan: bytes, position: int) -> JpegHeader | None:
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5] or not frame[5] or not scan:
        return None
    ids = [frame[6 + 3 * n] for n in range(frame[5])]
    factors = [divmod(frame[7 + 3 * n], 16) for n in range(frame[5])]
    if any(h < 1 or v < 1 for h, v in factors):
        return None
    in_memory = code in _PROGRESSIVE or scan[0] < len(ids)
    sent = dict.fromkeys(ids, 0)
    count = 0
    for body in _scans(data, scan, position) if in_memory else iter([scan]):
        count += 1
        _mark_sent(sent, body, code in _PROGRESSIVE)
        if count > MAX_SCANS:
            break
    return JpegHeader(
        bits=frame[0],
        height=int.from_bytes(frame[1:3], "big"),
        width=int.from_bytes(frame[3:5], "big"),
        samples=tuple(factors),
        in_memory=in_memory,
        scans=count,
        covered=all(mask == _ALL_COEFFICIENTS for mask in sent.values()),
        picture=position,
    )


def _scans(data: bytes, first: bytes, position: int) -> Iterator[bytes]:
    """The header of every scan up to the end of the picture."""
    yield first
    for code, start in _markers(data, position):
        if code == _SOS:
            yield _segment(data, start)
        elif code is None:  # so many markers that scans may hide behind them
            yield from [b""] * (MAX_SCANS + 1)


def _markers(data: bytes, position: int) -> Iterator[tuple[int | None, int]]:
    """The markers behind a position in a picture, up to its end, each with where its content is.

    None stands for those beyond MAX_SEGMENTS.
    """
    for _ in range(MAX_SEGMENTS):
        match = _MARKER_AFTER_SCAN.search(data, position)
        if match is None:
            return
        code, position = match[1][0], match.end()
        yield code, position
        if code == _EOI:
            return
        if code not in _ALONE:
            position += 2 + len(_segment(data, position))
    yield None, position


def _mark_sent(sent: dict[int, int], scan: bytes, progressive: bool) -> None:
    """Set the bits of the coefficients that a scan sends to their last bit."""
    count = scan[0] if scan else 0
    if len(scan) < 1 + 2 * count + 3:
        return
    first, last, approximation = scan[1 + 2 * count : 4 + 2 * count]
    if not progressive:
        first, last, approximation = 0, 63, 0
    if approximation & 15 == 0 and first <= last <= 63:
        mask = (1 << (last + 1)) - (1 << first)
        for component in scan[1 : 1 + 2 * count : 2]:
            sent[component] = sent.get(component, 0) | mask


def has_end(data: bytes, header: JpegHeader) -> bool:
    """Whether an end marker follows the picture."""
    return data.rfind(END, header.picture) >= 0


def may_lack_data(data: bytes, header: JpegHeader) -> bool:
    """Whether a file with an end marker should be checked, as its data hardly cover the picture."""
    end = data.find(END, header.picture)
    return not header.covered or not any(data[max(header.picture, end - _PADDING) : end])


def find_end(data: bytes, header: JpegHeader) -> int:
    """Where the end marker of the picture is, or the file ends."""
    for code, position in _markers(data, header.picture):
        if code == _EOI:
            return data.rindex(b"\xff", 0, position)
    return len(data)


def with_ends(data: bytes, header: JpegHeader) -> Iterator[bytes]:
    """A file without an end marker with two endings: the pictures differ if some of it is missing.

    After the one, a decoder takes what is missing as zeros; after the other, as other bytes.
    """
    for filler in (b"", _FILLER):
        yield with_filler(data, header, filler)


def with_filler(data: bytes, header: JpegHeader, filler: bytes = _FILLER) -> bytes:
    """A file with other bytes before its end marker, which are only read if some are missing."""
    whole = find_end(data, header)
    end = _strip(data, header.picture, whole, b"\0")
    end = _strip(data, header.picture, whole if whole - end < _PADDING else end, b"\xff")
    return b"".join((memoryview(data)[:end], filler, END))


def _strip(data: bytes, start: int, end: int, byte: bytes) -> int:
    """Where a part of a file ends without one repeated byte at its end; copies little of it."""
    while end > start:
        block = data[max(start, end - _BLOCK) : end]
        kept = len(block.rstrip(byte))
        end -= len(block) - kept
        if kept:
            break
    return end
