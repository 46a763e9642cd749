"""PNG: a file without the chunks that decoding can do without, and that may be broken.

Chunk names and layouts are those of the PNG specification, third edition.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

MAGIC = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 200_000  # 256 MB in pieces of 1.3 KB; encoders write 8 KB and more
MAX_INFLATED = 2**20  # bytes of a profile or text: above that, Pillow refuses the whole photo

_TRANSPARENCY_LENGTHS = {0: 2, 2: 6, 3: 1}  # at least, by the header's colour type
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_XMP = b"XML:com.adobe.xmp\0"  # may hold the orientation
_EXIF_AS_TEXT = b"Raw profile type exif\0"


def clean(data: bytes) -> bytes | None:
    """A PNG without animation, texts, and profiles or EXIF that are broken or too large.

    A broken critical chunk is left to the decoder. None for more than MAX_CHUNKS chunks.
    """
    pieces = []
    texts: set[bytes] = set()  # a file needs none twice
    begin = 0  # of what is kept; neighbours are kept as one piece
    for number, (start, end) in enumerate(_chunks(data)):
        if number >= MAX_CHUNKS:
            return None
        kind = data[start + 4 : start + 8]
        if not kind[0] & 0x20 or (kind not in texts and _is_kept(data, start, end)):
            if kind in _TEXTS:
                texts.add(kind)
            continue  # critical, or of use
        pieces.append(data[begin:start])
        begin = end
    return b"".join([*pieces, data[begin:]]) if pieces else data


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """The start and end of each chunk that is whole."""
    start = len(MAGIC)
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            return
        yield start, end
        start = end


def _is_kept(data: bytes, start: int, end: int) -> bool:
    """Whether an ancillary chunk is of use to decoding, and whole."""
    kind, body = data[start + 4 : start + 8], data[start + 8 : end - 4]
    match kind:
        case b"tRNS":
            useful = len(body) >= _TRANSPARENCY_LENGTHS.get(data[25], 0)
        case b"eXIf":
            useful = True
        case b"iCCP":
            after = body.find(b"\0") + 1
            useful = 1 < after < len(body) and not body[after] and _inflates(body[after + 1 :])
        case b"tEXt":
            useful = body.startswith(_EXIF_AS_TEXT) and len(body) <= MAX_INFLATED
        case b"zTXt":
            packed = body.removeprefix(_EXIF_AS_TEXT)
            useful = packed != body and packed[:1] == b"\0" and _inflates(packed[1:])
        case b"iTXt":
            useful = body.startswith(_XMP) and _is_small_text(body[len(_XMP) :])
        case _:
            useful = False
    return (
        useful and zlib.crc32(data[start + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end]
    )


def _is_small_text(body: bytes) -> bool:
    """Whether the rest of an international text, behind its keyword, is whole and not too large."""
    fields = body[2:].split(b"\0", 2)  # language, keyword in that language, text
    if len(fields) < 3:
        return False
    if body[:2] == b"\1\0":
        return _inflates(fields[2])
    return body[0] == 0 and len(fields[2]) <= MAX_INFLATED


def _inflates(packed: bytes) -> bool:
    """Whether zlib data are whole and not too large."""
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(packed, MAX_INFLATED)
    except zlib.error:
        return False
    return inflater.eof
