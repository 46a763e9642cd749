"""Photo decoding: a path, bytes or an array to upright RGB `uint8 (H, W, 3)`, or an ImageError.

The supported formats and the limits on file and image size are constants of this module.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tagger.concurrency import worker_count
from tagger.errors import ImageError, ImageFormatError, ImageTooLargeError
from tagger.files import PHOTO_EXTENSIONS, Skipped, has_photo_extension, walk_files
from tagger.images import colour, dates, depth, jpeg, modes, png, tiff
from tagger.images.budget import ByteBudget
from tagger.images.jpeg import JpegHeader
from tagger.images.tiff import TiffHeader
from tagger.text import escape_controls

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB
Source = str | os.PathLike[str] | bytes | Pixels

MAX_BYTES = 256 * 2**20  # of a file
MAX_PIXELS = 120_000_000  # a 108-megapixel phone photo fits
MAX_JPEG_PIXELS = 210_000_000  # JPEG is decoded at a reduced size
MAX_PROGRESSIVE_PIXELS = 64_000_000  # of JPEGs whose every coefficient is kept: 384 MB
MAX_WIDE_PIXELS = 60_000_000  # of more than eight bits a channel
MAX_RUN_LENGTH_PIXELS = 8_000_000  # of run-length BMP, which Pillow decodes in Python
MAX_SIDE = 65_500  # pixels; the limit of the JPEG format

EXTENSIONS = PHOTO_EXTENSIONS

FORMAT_NAMES = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
_NOT_READ = f"not a {FORMAT_NAMES} photo, or broken at its start"
_CUT_SHORT = "cut short: its data end before the picture does"

# Memory that decoding takes at its peak, in bytes a pixel: measured. Other formats take what
# Pillow keeps of a pixel, and a little for the strips in which they are converted.
_DECODER_BYTES = {"WEBP": 15, "AVIF": 9, "HEIF": 7}
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 3, "I;16B": 3, "I": 5, "F": 5}  # by mode; else 4
_HALVES_BYTES = 12  # of 16 bits a channel, if the low bytes are read too
MAX_DECODING_BYTES = 768 * 2**20  # of one photo
_BUDGET = ByteBudget(max(MAX_DECODING_BYTES, worker_count() * 128 * 2**20), free=32 * 2**20)

_WIDE_RAW_MODES = {  # and those that give the low bytes
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBX", "RGBA")
    for order, other in (("L", "B"), ("B", "L"), ("N", "B" if sys.byteorder == "little" else "L"))
}
_WIDE_RAW_MODES["LA;16B"] = "RGBA"  # its four bytes
_ORIENTATION = 0x0112
_FIRST_ROTATED = 5  # orientations from here on swap width and height
_EXIF_IFD = 0x8769
_TAKEN, _DIGITISED, _CHANGED = 0x9003, 0x9004, 0x0132
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A reduced decode may be this much smaller than requested, and is then enlarged by as much: a
# 375-pixel side (half is 188) can serve a 192-pixel network at half the work.
_REDUCED_DECODE_TOLERANCE = 0.95


def read(source: Source, shorter_side: int | None = None, longer_side: int | None = None) -> Pixels:
    """Upright RGB `uint8 (H, W, 3)` of a photo's first frame; transparent pixels become white.

    With `shorter_side` in pixels the photo may be decoded at a reduced size: the smallest that
    the decoder offers cheaply with about that shorter side or more; or, of a long photo, with
    about that `longer_side`. Raises ImageError.
    """
    if isinstance(source, np.ndarray):
        return _check_array(source)
    with _reading(source) as (name, data):
        photo = _open(data, name, full_size=shorter_side is None)
        if photo.jpeg is not None and not jpeg.has_end(data, photo.jpeg):
            return _decode_without_end(photo, photo.jpeg, name, shorter_side, longer_side)
        rgb = _decode(photo, shorter_side, longer_side)
        if photo.jpeg is not None and _may_lack_data(photo, photo.jpeg):
            filled = jpeg.with_filler(data, photo.jpeg)
            if not np.array_equal(rgb, _decode(_open(filled, name), shorter_side, longer_side)):
                raise ImageError(name, _CUT_SHORT)
        return rgb


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a photo's file, up to MAX_BYTES. Raises ImageError."""
    name = escape_controls(os.fsdecode(path))
    try:
        info = os.stat(path)
        if stat.S_ISDIR(info.st_mode):
            raise ImageError(name, "a folder, not a photo")
        if not stat.S_ISREG(info.st_mode):
            raise ImageError(name, "not a regular file")
        if info.st_size > MAX_BYTES:
            size, limit = (f"{count / 2**20:.0f} MB" for count in (info.st_size, MAX_BYTES))
            raise ImageTooLargeError(name, f"{size}; photos up to {limit} are opened")
        with open(path, "rb") as file:
            return file.read(info.st_size + 1)
    except FileNotFoundError:
        raise ImageError(name, "no such file") from None
    except (OSError, ValueError) as error:
        raise ImageError(name, f"cannot be opened ({_shorten(error)})") from None


@dataclass(frozen=True)
class Metadata:
    """A photo's size in pixels, upright, and the camera's local time of capture, if recorded."""

    width: int
    height: int
    taken_at: datetime | None


def read_metadata(source: str | os.PathLike[str] | bytes) -> Metadata:
    """A photo's size and date from its header, without decoding it. Raises ImageError."""
    with _reading(source) as (name, data):
        image = _open(data, name).image
        width, height = image.size
        # Pillow gives the upright size of a TIFF.
        if image.format != "TIFF" and _orientation(image) >= _FIRST_ROTATED:
            width, height = height, width
        return Metadata(width, height, _taken_at(image))


@dataclass(frozen=True)
class Cost:
    """What decoding takes: bytes beside the file's own, and pixels, each as often as it is sent."""

    memory: int
    pixels: int


def estimate_cost(data: bytes, shorter_side: int) -> Cost:
    """About what `read` takes, by the photo's header. Raises ImageError."""
    with _reading(data) as (name, content):
        photo = _open(content, name)
        width, height = photo.image.size
        scans = 1 if photo.jpeg is None else photo.jpeg.scans
        _draft(photo.image, shorter_side)
        ended = photo.jpeg is None or jpeg.has_end(content, photo.jpeg)
        memory = _decoding_bytes(photo) + (0 if ended else len(content))
        return Cost(memory, width * height * scans)


def find_photos(folder: str | os.PathLike[str], skipped: Skipped | None = None) -> Iterator[Path]:
    """Photos under a folder by their extension, as `files.walk_folders` finds and orders them.

    What it leaves out is added to `skipped`.
    """
    return (path for path in walk_files(folder, skipped) if has_photo_extension(path.name))


def encode(rgb: Pixels, format: str = "PNG") -> bytes:
    """`rgb (H, W, 3)` as the content of a "PNG" or "JPEG" file."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, format, quality=85)
    return out.getvalue()


def _check_array(array: NDArray[np.generic]) -> Pixels:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        name = f"an array of {array.dtype} {array.shape}"
        raise ImageError(name, "pass RGB pixels, uint8 (height, width, 3)")
    return array.astype(np.uint8, copy=False)


@dataclass(frozen=True)
class _Photo:
    """An open photo, its file's content, and what we read of its header ourselves."""

    image: ImageFile
    data: bytes
    name: str
    jpeg: JpegHeader | None = None
    tiff: TiffHeader | None = None


@contextmanager
def _reading(source: str | os.PathLike[str] | bytes) -> Iterator[tuple[str, bytes]]:
    """A photo's name and content; every error while it is read becomes an ImageError."""
    if isinstance(source, bytes):
        name, data = "photo", source
    else:
        name, data = escape_controls(os.fsdecode(source)), read_bytes(source)
    try:
        yield name, data
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(name, "not enough memory to decode it") from None
    except Exception as error:  # decoders raise any type of exception on broken files
        raise ImageError(name, f"the file is damaged ({_shorten(error)})") from error


def _open(data: bytes, name: str, full_size: bool = False) -> _Photo:
    """Open a photo within the limits, without decoding it."""
    if not data:
        raise ImageError(name, "an empty file")
    if len(data) > MAX_BYTES:
        raise ImageTooLargeError(name, f"larger than {MAX_BYTES / 2**20:.0f} MB")
    open_photo = _identify(data)
    if open_photo is None:
        raise ImageFormatError(name, _NOT_READ)
    try:
        photo = open_photo(data, name)
    except Image.DecompressionBombError:
        reason = f"too many pixels: photos of up to {MAX_PIXELS // 10**6} megapixels are opened"
        raise ImageTooLargeError(name, reason) from None
    except (SyntaxError, IndexError, TypeError, KeyError, struct.error):  # as Pillow tells it
        raise ImageFormatError(name, _NOT_READ) from None
    _check_size(photo, name, full_size)
    return photo


def _identify(data: bytes) -> Callable[[bytes, str], _Photo] | None:
    """The function that opens photos of this format, by the bytes at the start.

    A format's class is called by itself: Pillow would try every one it has, and its class for EPS
    starts Ghostscript; and it has limits of its own.
    """
    if data.startswith(jpeg.MAGIC):
        return _open_jpeg
    if data.startswith(png.MAGIC):
        return _open_png
    if data.startswith(tiff.MAGICS):
        return _open_tiff
    if data.startswith((b"GIF87a", b"GIF89a")):
        return lambda data, name: _Photo(GifImageFile(io.BytesIO(data)), data, name)
    if data.startswith(b"BM"):
        return lambda data, name: _Photo(BmpImageFile(io.BytesIO(data)), data, name)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return lambda data, name: _Photo(WebPImageFile(io.BytesIO(data)), data, name)
    if data[4:8] == b"ftyp":
        return _open_avif if _is_avif(data) else _open_heif
    return None


def _open_jpeg(data: bytes, name: str) -> _Photo:
    header = jpeg.read_header(data)
    if header is None:
        raise ImageFormatError(name, _NOT_READ)
    if header.bits != 8 or len(header.samples) not in (1, 3, 4):
        kind = f"{header.bits} bits, {len(header.samples)} channels"
        raise ImageFormatError(name, f"a JPEG, but of a kind that is not read: {kind}")
    if header.scans > jpeg.MAX_SCANS:
        raise ImageTooLargeError(name, f"a JPEG of more than {jpeg.MAX_SCANS} scans")
    return _Photo(JpegImageFile(io.BytesIO(data)), data, name, jpeg=header)


def _open_png(data: bytes, name: str) -> _Photo:
    cleaned = png.clean(data)
    if cleaned is None:
        raise ImageTooLargeError(name, f"a PNG of more than {png.MAX_CHUNKS:,} pieces")
    return _Photo(PngImageFile(io.BytesIO(cleaned)), cleaned, name)


def _open_tiff(data: bytes, name: str) -> _Photo:
    header = tiff.read_header(data)
    if header is None:
        raise ImageFormatError(name, _NOT_READ)
    if header.pieces > tiff.MAX_PIECES:
        raise ImageTooLargeError(name, f"a TIFF of more than {tiff.MAX_PIECES:,} pieces")
    if header.has_huge_tiles:
        raise ImageTooLargeError(name, "a TIFF of tiles much larger than its picture")
    if header.is_white_zero:
        data = tiff.with_black_zero(data)
    try:
        image = TiffImageFile(io.BytesIO(data)) if header.is_read else None
    except (SyntaxError, OSError):
        image = None
    if image is None:
        raise _not_read(name, header)
    if image.tile and image.tile[0].codec_name == "libtiff":
        _change_raw_mode(image, tiff.native_raw_mode(_raw_mode(image)))
    return _Photo(image, data, name, tiff=header)


def _not_read(name: str, header: TiffHeader, more: str = "") -> ImageFormatError:
    kind = f"a valid TIFF, but of a kind that is not read: {header.describe()}{more}"
    return ImageFormatError(name, kind)


def _open_avif(data: bytes, name: str) -> _Photo:
    return _Photo(AvifImageFile(io.BytesIO(data)), data, name)


def _open_heif(data: bytes, name: str) -> _Photo:
    import pillow_heif

    pillow_heif.options.THUMBNAILS = False
    return _Photo(pillow_heif.HeifImageFile(io.BytesIO(data)), data, name)  # type: ignore[no-untyped-call]


def _is_avif(data: bytes) -> bool:
    """Whether the file type box lists AVIF as its brand or a compatible one."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return any(box[start : start + 4] in (b"avif", b"avis") for start in range(0, len(box), 4))


def _check_size(photo: _Photo, name: str, full_size: bool) -> None:
    width, height = photo.image.size
    if width < 1 or height < 1:
        raise ImageError(name, f"{width}x{height} pixels")
    kind, limit = _pixel_limit(photo)
    if width * height > limit or max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(
            name,
            f"{width}x{height} pixels; {kind} photos up to {limit // 10**6} megapixels"
            f" and {MAX_SIDE} pixels a side are opened",
        )
    if full_size and width * height > MAX_PIXELS:
        reason = f"over {MAX_PIXELS // 10**6} megapixels, too large to show whole"
        raise ImageTooLargeError(name, reason)


def _pixel_limit(photo: _Photo) -> tuple[str, int]:
    """A photo's kind, and how many pixels photos of that kind may have."""
    kind = str(photo.image.format)
    if photo.jpeg is not None:
        if photo.jpeg.in_memory:
            return "progressive JPEG", MAX_PROGRESSIVE_PIXELS
        return kind, MAX_JPEG_PIXELS
    if photo.image.mode[0] in "IF" or _raw_mode(photo.image) in _WIDE_RAW_MODES:
        return f"wide {kind}", MAX_WIDE_PIXELS
    if photo.image.tile and photo.image.tile[0].codec_name == "bmp_rle":
        return f"run-length {kind}", MAX_RUN_LENGTH_PIXELS
    limit = MAX_DECODING_BYTES // _DECODER_BYTES.get(kind, 1)
    return kind, min(limit, MAX_PIXELS)


def _raw_mode(image: ImageFile) -> str:
    """How the file holds a pixel, in Pillow's words; "" where it does not tell."""
    args = image.tile[0].args if image.tile else ""
    raw_mode = args[0] if isinstance(args, tuple) and args else args
    return raw_mode if isinstance(raw_mode, str) else ""


def _change_raw_mode(image: ImageFile, raw_mode: str) -> None:
    """Read the pixels of a file as if they were held like this."""
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]


def _decoding_bytes(photo: _Photo) -> int:
    """About how much memory decoding takes; ask after `draft`."""
    image, width, height = photo.image, *photo.image.size
    each = _DECODER_BYTES.get(str(image.format)) or _PIXEL_BYTES.get(image.mode, 4)
    if _raw_mode(image) in _WIDE_RAW_MODES:
        each = _HALVES_BYTES
    total = width * height * each
    if photo.jpeg is not None and photo.jpeg.in_memory:
        total += photo.jpeg.coefficient_bytes
    if photo.tiff is not None:
        total += photo.tiff.piece_bytes
    return total


def _decode_without_end(
    photo: _Photo,
    header: JpegHeader,
    name: str,
    shorter_side: int | None,
    longer_side: int | None,
) -> Pixels:
    """A JPEG that lacks its end marker; ImageError if it lacks some of its picture as well."""
    rgb, other = (
        _decode(_open(ended, name), shorter_side, longer_side)
        for ended in jpeg.with_ends(photo.data, header)
    )
    if not header.covered or not np.array_equal(rgb, other):
        raise ImageError(name, _CUT_SHORT)
    return rgb


def _may_lack_data(photo: _Photo, header: JpegHeader) -> bool:
    """Whether a decoded JPEG may lack some of its picture: a decoder fills up with mid grey."""
    image = photo.image
    block = max(1, 8 * image.width // header.width)
    left, top = ((side - 1) // block * block for side in image.size)
    last = image.crop((left, top, *image.size))
    last = last.getchannel("K") if image.mode == "CMYK" else last.convert("L")
    return jpeg.may_lack_data(photo.data, header) or not np.any(
        np.abs(np.asarray(last, np.int16) - 128) > 2
    )


def _decode(photo: _Photo, shorter_side: int | None, longer_side: int | None) -> Pixels:
    image: Image.Image = photo.image
    if shorter_side is not None:
        if longer_side is not None:
            shorter_side = min(shorter_side, longer_side * min(image.size) // max(image.size) + 1)
        _draft(image, shorter_side)
    with _BUDGET.hold(_decoding_bytes(photo)):
        raw_mode = _raw_mode(photo.image)
        image.load()
        orientation, profile = _orientation(image), image.info.get("icc_profile")
        factor = 1 if shorter_side is None else max(1, min(image.size) // (2 * shorter_side))
        image = modes.to_small_rgb(_to_eight_bits(photo, raw_mode), factor)
    image = colour.to_srgb(image, profile)
    if orientation in _TO_UPRIGHT:
        image = image.transpose(_TO_UPRIGHT[orientation])
    return np.asarray(image)


def _draft(image: Image.Image, shorter_side: int) -> None:
    """Have it decoded at a reduced size; only JPEG can, other formats ignore it."""
    smallest = max(1, int(shorter_side * _REDUCED_DECODE_TOLERANCE))
    image.draft("RGB", (smallest, smallest))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return 1


def _taken_at(image: Image.Image) -> datetime | None:
    try:
        exif = image.getexif()
        fields = exif.get_ifd(_EXIF_IFD)
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return None
    taken = [ifd.get(tag) for tag in (_TAKEN, _DIGITISED) for ifd in (fields, exif)]
    return dates.choose_date(taken, exif.get(_CHANGED))


def _to_eight_bits(photo: _Photo, raw_mode: str) -> Image.Image:
    """A decoded image with eight bits a channel."""
    image, header = photo.image, photo.tiff
    if image.mode.startswith("I;16"):
        grey = depth.grey_from_16_bits(image, image.info.get("transparency"), modes.BACKGROUND[0])
    elif header is not None and (image.mode in ("I", "F") or header.is_signed):
        type_: type[np.generic] | None = None
        if image.mode == "L":
            type_ = np.int8
        elif image.mode == "I" and not header.is_signed:
            type_ = np.uint32
        grey = depth.grey_from_range(image, header.no_data, type_)
    elif raw_mode in _WIDE_RAW_MODES:
        if depth.has_bright_halves(image):
            return image
        if header is None or not header.separate_planes:
            low = _read_low_bytes(photo, raw_mode)
            bands = range(len(low.getbands())) if raw_mode != "LA;16B" else (1, 1, 1, 3)
            depth.narrow_halves(image, low, bands)
        elif depth.bits_of_halves(image) < depth.MIN_HALF_BITS:
            raise _not_read(photo.name, header, ", few of them in use")
        return image
    else:
        return image
    if header is not None and header.is_white_zero:
        np.subtract(255, grey, out=grey)
    return Image.fromarray(grey)


def _read_low_bytes(photo: _Photo, raw_mode: str) -> Image.Image:
    """The low bytes of a photo of 16 bits a channel, of which Pillow gives the high ones."""
    image = type(photo.image)(io.BytesIO(photo.data))
    _change_raw_mode(image, _WIDE_RAW_MODES[raw_mode])
    image.load()
    return image


def _shorten(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
