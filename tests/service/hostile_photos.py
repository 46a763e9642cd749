"""Files that a stranger may send, built byte by byte: small, and hard to decode."""

from __future__ import annotations

import io
import os
import struct
import zlib

from PIL import Image

STRIP_ROWS = 100


def scan_jpeg(side: int, scans: int) -> bytes:
    """A progressive JPEG, grey, with many scans that each go over every block and hold nothing."""
    tables = _segment(0xDB, b"\0" + b"\x10" * 64)
    frame = _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\x00")
    one_code = bytes([1] + [0] * 15) + b"\0"
    codes = _segment(0xC4, b"\x00" + one_code) + _segment(0xC4, b"\x10" + one_code)
    scan = _segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + b"\0"
    return b"\xff\xd8" + tables + frame + codes + scan * scans + b"\xff\xd9"


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def float_tiff(side: int) -> bytes:
    """A TIFF of 32-bit numbers, whose strips are all the same compressed zeros."""
    rows = -(-side // STRIP_ROWS)
    strip = zlib.compress(bytes(4 * side * STRIP_ROWS), 9)
    offset_of_strip = 8
    offset_of_offsets = offset_of_strip + len(strip) + len(strip) % 2
    offset_of_counts = offset_of_offsets + 4 * rows
    offset_of_tags = offset_of_counts + 4 * rows
    long, short = 4, 3
    tags = [
        *((256, long, 1, side), (257, long, 1, side), (258, short, 1, 32)),
        *((259, short, 1, 8), (262, short, 1, 1), (273, long, rows, offset_of_offsets)),
        *((277, short, 1, 1), (278, long, 1, STRIP_ROWS), (279, long, rows, offset_of_counts)),
        (339, short, 1, 3),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", offset_of_tags)
    body = (
        strip
        + b"\0" * (len(strip) % 2)
        + struct.pack(f"<{rows}I", *[offset_of_strip] * rows)
        + struct.pack(f"<{rows}I", *[len(strip)] * rows)
    )
    return head + body + struct.pack("<H", len(tags)) + entries + bytes(4)


def grey_png(side: int) -> bytes:
    """A PNG of one grey, in a few hundred bytes a megapixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\0" + b"\x80" * 3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", rows + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def profile_jpeg(size: int) -> bytes:
    """A small JPEG with a colour profile of random bytes."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(out, "JPEG", icc_profile=os.urandom(size))
    return out.getvalue()
