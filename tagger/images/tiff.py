"""TIFF: the header of a file's first picture.

Tags and values are those of TIFF 6.0; a magic number of 43 is that of BigTIFF.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGICS = (b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0")
MAX_TAGS = 4_096
MAX_TILE_PIXELS = 2**22  # or the picture's own, if it has more
MAX_PIECES = 2**18  # strips or tiles, of which Pillow lists each

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _PLANAR, _TILES, _FORMATS = 273, 277, 284, 324, 339
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_NO_DATA = 42113  # GDAL's, in ASCII
_UNSIGNED, _SIGNED = 1, 2
_UNCOMPRESSED = 1
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_SEPARATE_PLANES = 2
_CODES = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}  # of the types of whole numbers
_ASCII = 2
_MAX_VALUES = 64  # read of one tag
_MAX_BITS = 128  # of a complex number

_NUMBERS = {1: "whole", 2: "signed", 3: "float", 5: "complex", 6: "complex"}
_COLOURS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr"}
_COLOURS |= {8: "Lab", 9: "Lab", 10: "Lab", 32803: "raw camera", 34892: "raw camera"}
_COLOURS |= {32844: "logarithmic", 32845: "logarithmic"}


@dataclass(frozen=True)
class TiffHeader:
    """What the tags of a TIFF's first picture say. `no_data` is the value of missing pixels."""

    width: int
    height: int
    bits: tuple[int, ...]
    samples: int
    photometric: int | None
    number_format: int
    compression: int
    separate_planes: bool
    is_big: bool  # BigTIFF
    is_big_endian: bool
    no_data: float | None
    pieces: int
    tile_pixels: int

    @property
    def is_wide(self) -> bool:
        """Whether its values have more than eight bits."""
        return max(self.bits) > 8

    @property
    def is_signed(self) -> bool:
        return self.number_format == _SIGNED

    @property
    def is_white_zero(self) -> bool:
        """Whether 0 is white, in wide values: Pillow gives the negative, or nothing."""
        return self.photometric == _WHITE_IS_ZERO and self.is_wide

    @property
    def is_read(self) -> bool:
        """Whether Pillow does not misread it. Of others that it cannot read, it says so."""
        wide_planes = self.separate_planes and self.is_wide and self.compression == _UNCOMPRESSED
        return not wide_planes and not (self.is_big and self.is_big_endian)

    @property
    def piece_bytes(self) -> int:
        """The size of a strip or tile."""
        pixels = max(self.width * self.height // max(1, self.pieces), self.tile_pixels)
        return pixels * self.samples * max(self.bits) // 8

    @property
    def has_huge_tiles(self) -> bool:
        return self.tile_pixels > max(MAX_TILE_PIXELS, self.width * self.height)

    def describe(self) -> str:
        """Its kind: "3 samples of 12 bits, whole numbers, RGB, compression 1"."""
        samples = "1 sample" if self.samples == 1 else f"{self.samples} samples"
        bits = "/".join(map(str, [*dict.fromkeys(self.bits)][:4]))
        numbers = _NUMBERS.get(self.number_format, "unusual")
        colours = "no" if self.photometric is None else _COLOURS.get(self.photometric, "unusual")
        planes = ", a plane for each" if self.separate_planes else ""
        kind = f"{samples} of {bits} bits{planes}, {numbers} numbers, {colours} colours"
        layout = ", big-endian BigTIFF" if self.is_big and self.is_big_endian else ""
        return f"{kind}, compression {self.compression}{layout}"


@dataclass(frozen=True)
class _Tag:
    values: tuple[int, ...]
    text: bytes
    count: int
    position: int  # of its value, if that is in the tag itself
    code: str


def read_header(data: bytes) -> TiffHeader | None:
    """The header of the first picture; None for a file that is broken there."""
    tags = _read_tags(data)

    def value(number: int, default: int | None = None) -> int | None:
        values = tags[number].values if number in tags else ()
        return values[0] if values else default

    width, height = value(_WIDTH), value(_HEIGHT)
    pieces = max(tags[number].count if number in tags else 0 for number in (_STRIPS, _TILES))
    bits = (tags[_BITS].values if _BITS in tags else ()) or (1,)
    if not width or not height or max(bits) > _MAX_BITS:
        return None
    return TiffHeader(
        width=width,
        height=height,
        bits=bits,
        samples=value(_SAMPLES) or 1,
        photometric=value(_PHOTOMETRIC),
        number_format=value(_FORMATS) or _UNSIGNED,
        compression=value(_COMPRESSION) or 1,
        is_big=_is_big(data),
        is_big_endian=_order(data) == ">",
        separate_planes=value(_PLANAR) == _SEPARATE_PLANES,
        no_data=_number(tags[_NO_DATA].text) if _NO_DATA in tags else None,
        pieces=pieces,
        tile_pixels=(value(_TILE_WIDTH) or 0) * (value(_TILE_HEIGHT) or 0),
    )


def with_black_zero(data: bytes) -> bytes:
    """A file in which 0 is white, rewritten to say that 0 is black: its negative."""
    tag = _read_tags(data)[_PHOTOMETRIC]
    changed = bytearray(data)
    struct.pack_into(_order(data) + tag.code, changed, tag.position, _BLACK_IS_ZERO)
    return bytes(changed)


def native_raw_mode(raw_mode: str) -> str:
    """The name of a raw mode for values in this machine's byte order, as libtiff gives them.

    Pillow knows that of unsigned values alone, and would swap the bytes of the others.
    """
    number, _, kind = raw_mode.partition(";")
    if number not in ("I", "F") or kind[-1:] not in ("S", "F"):
        return raw_mode
    return f"{number};{kind.rstrip('BSF')}N{kind[-1]}"


def _order(data: bytes) -> str:
    return "<" if data[:2] == b"II" else ">"


def _is_big(data: bytes) -> bool:
    return 43 in data[2:4]


def _read_tags(data: bytes) -> dict[int, _Tag]:
    """The tags of the first picture, as far as they can be read."""
    order, is_big = _order(data), _is_big(data)
    count_code, entry_code = ("Q", "HHQ") if is_big else ("H", "HHL")
    entry_size, room = (20, 8) if is_big else (12, 4)
    tags: dict[int, _Tag] = {}
    try:
        (start,) = struct.unpack_from(order + ("Q" if is_big else "L"), data, 8 if is_big else 4)
        (count,) = struct.unpack_from(order + count_code, data, start)
        start += struct.calcsize(order + count_code)
        for position in range(start, start + min(count, MAX_TAGS) * entry_size, entry_size):
            number, kind, length = struct.unpack_from(order + entry_code, data, position)
            inline = position + entry_size - room
            if number not in tags and (tag := _read_tag(data, order, kind, length, inline, room)):
                tags[number] = tag
    except (struct.error, OverflowError):
        pass
    return tags


def _read_tag(
    data: bytes, order: str, kind: int, count: int, inline: int, room: int
) -> _Tag | None:
    """A tag of whole numbers or text whose value, or its position, is at `inline`."""
    code = _CODES.get(kind, "c" if kind == _ASCII else "")
    if not code:
        return None
    position = inline
    if count * struct.calcsize(order + code) > room:
        (position,) = struct.unpack_from(order + ("Q" if room == 8 else "L"), data, inline)
    read = min(count, _MAX_VALUES)
    if kind == _ASCII:
        return _Tag((), data[position : position + read], count, position, code)
    try:
        values = struct.unpack_from(f"{order}{read}{code}", data, position)
    except (struct.error, OverflowError):
        values = ()
    return _Tag(values, b"", count, position, code)


def _number(text: bytes) -> float | None:
    try:
        return float(text.strip(b"\0 "))
    except ValueError:
        return None
