"""Files that a stranger may send, built byte by byte: small, and hard to decode."""

from __future__ import annotations

import struct


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
