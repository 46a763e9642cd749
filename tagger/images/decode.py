"""Photo decoding: a path, bytes or an array to upright RGB `uint8 (H, W, 3)`, or an ImageError.

The supported formats and the limits on file and image size are constants of this module.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import (  # noqa: F401 - the plugins register their formats
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from tagger.errors import ImageError, ImageFormatError, ImageTooLargeError
from tagger.files import PHOTO_EXTENSIONS, Skipped, has_photo_extension, walk_files
from tagger.text import escape_controls

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB
Source = str | os.PathLike[str] | bytes | Pixels

MAX_BYTES = 256 * 2**20  # of a file
MAX_PIXELS = 120_000_000  # formats decoded at full size; a 108-megapixel phone photo fits
MAX_JPEG_PIXELS = 178_000_000  # JPEG is decoded at a reduced size; Pillow's own limit is near this
MAX_SIDE = 65_500  # pixels; the limit of the JPEG format

EXTENSIONS = PHOTO_EXTENSIONS
BACKGROUND = (255, 255, 255)  # behind transparent pixels

# An explicit list: Pillow would otherwise try every plugin it has, and its EPS plugin starts
# Ghostscript. Importing these plugins above lets `formats=` find them without loading the rest.
_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]
FORMAT_NAMES = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"

_REDUCIBLE_MODES = ("RGB", "RGBA", "L", "LA", "CMYK", "YCbCr")
_ORIENTATION = 0x0112
_FIRST_ROTATED = 5  # orientations from here on swap width and height
_EXIF_IFD = 0x8769
_DATES = ((_EXIF_IFD, 0x9003), (_EXIF_IFD, 0x9004), (None, 0x0132))  # taken, digitised, changed
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


def read(source: Source, shorter_side: int | None = None) -> Pixels:
    """Upright RGB `uint8 (H, W, 3)` of a photo's first frame; transparent pixels become white.

    With `shorter_side` in pixels the photo may be decoded at a reduced size: the smallest that
    the decoder offers cheaply with about that shorter side or more. Raises ImageError.
    """
    if isinstance(source, np.ndarray):
        return _check_array(source)
    with _open_photo(source, full_size=shorter_side is None) as image:
        return _decode(image, shorter_side)


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
    with _open_photo(source) as image:
        width, height = image.size
        if _orientation(image) >= _FIRST_ROTATED:
            width, height = height, width
        return Metadata(width, height, _taken_at(image))


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


@contextmanager
def _open_photo(
    source: str | os.PathLike[str] | bytes, full_size: bool = False
) -> Iterator[Image.Image]:
    """A photo within the limits; every error while it is open becomes an ImageError."""
    if isinstance(source, bytes):
        name, data = "photo", source
    else:
        name, data = escape_controls(os.fsdecode(source)), read_bytes(source)
    try:
        with _open_image(data, name) as image:
            _check_size(image, name, full_size)
            yield image
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(name, "not enough memory to decode it") from None
    except Exception as error:  # decoders raise any type of exception on broken files
        raise ImageError(name, f"cannot be decoded ({_shorten(error)})") from error


def _open_image(data: bytes, name: str) -> Image.Image:
    if not data:
        raise ImageError(name, "an empty file")
    if len(data) > MAX_BYTES:
        raise ImageTooLargeError(name, f"larger than {MAX_BYTES / 2**20:.0f} MB")
    formats = _FORMATS
    if data[4:8] == b"ftyp" and not _is_avif(data):
        formats = ["HEIF"]
        _register_heif()
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        reason = f"not a {FORMAT_NAMES} photo, or broken at its start"
        raise ImageFormatError(name, reason) from None
    except Image.DecompressionBombError:
        limits = f"{MAX_PIXELS // 10**6} megapixels, JPEGs of {MAX_JPEG_PIXELS // 10**6}"
        reason = f"too many pixels: photos of up to {limits} are opened"
        raise ImageTooLargeError(name, reason) from None


def _is_avif(data: bytes) -> bool:
    """Whether the file type box lists AVIF as its brand or a compatible one."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return any(box[start : start + 4] in (b"avif", b"avis") for start in range(0, len(box), 4))


def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def _check_size(image: Image.Image, name: str, full_size: bool) -> None:
    width, height = image.size
    limit = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
    if width < 1 or height < 1:
        raise ImageError(name, f"{width}x{height} pixels")
    if width * height > limit or max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(
            name,
            f"{width}x{height} pixels; {image.format} photos up to {limit // 10**6} megapixels"
            f" and {MAX_SIDE} pixels a side are opened",
        )
    if full_size and width * height > MAX_PIXELS:
        reason = f"over {MAX_PIXELS // 10**6} megapixels, too large to show whole"
        raise ImageTooLargeError(name, reason)


def _decode(image: Image.Image, shorter_side: int | None) -> Pixels:
    if shorter_side is not None:
        smallest = max(1, int(shorter_side * _REDUCED_DECODE_TOLERANCE))
        image.draft("RGB", (smallest, smallest))  # only JPEG; other formats ignore it
    image.load()
    orientation = _orientation(image)
    opaque = "transparency" not in image.info  # averaging would blend the transparent colour away
    if shorter_side is not None and opaque and image.mode in _REDUCIBLE_MODES:
        factor = min(image.size) // (2 * shorter_side)
        if factor > 1:  # reduce before converting: it saves memory on huge photos
            image = image.reduce(factor)
    rgb = _to_rgb(image)
    if orientation in _TO_UPRIGHT:
        rgb = rgb.transpose(_TO_UPRIGHT[orientation])
    return np.asarray(rgb)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return 1


def _taken_at(image: Image.Image) -> datetime | None:
    try:
        exif = image.getexif()
        fields = {_EXIF_IFD: exif.get_ifd(_EXIF_IFD), None: exif}
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return None
    for ifd, tag in _DATES:
        try:
            return datetime.strptime(str(fields[ifd][tag]).strip("\0 "), "%Y:%m:%d %H:%M:%S")
        except (KeyError, ValueError):
            continue
    return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGB", rgba.size, BACKGROUND)
        canvas.paste(rgba, mask=rgba.getchannel("A"))
        return canvas
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """The high byte of 16-bit grey; 32-bit and float values, stretched from their own range."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        grey = (values >> 8).astype(np.uint8)
        grey[values == image.info.get("transparency", -1)] = BACKGROUND[0]
        return Image.fromarray(grey)
    finite = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    low, high = float(finite.min()), float(finite.max())
    scaled = (finite - low) * (255 / (high - low)) if high > low else finite * 0
    return Image.fromarray(scaled.astype(np.uint8))


def _shorten(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
