"""Photos in: a path, bytes or an array becomes upright RGB `uint8 (H, W, 3)`, or an ImageError.

Every photo that is trained on, validated on, tagged or exported passes through `prepare`, so a
network sees the same pixels everywhere. The limits on what is opened are here, named.
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
from PIL import (
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
from tagger.files import walk_files
from tagger.text import escape_controls

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB
Source = str | os.PathLike[str] | bytes | Pixels

MAX_BYTES = 256 * 2**20  # of a file
MAX_PIXELS = 120_000_000  # decoded whole: PNG, HEIC, TIFF, ... (a 108-megapixel phone photo fits)
MAX_JPEG_PIXELS = 178_000_000  # decoded at a fraction of its size; Pillow itself stops near here
MAX_SIDE = 65_500  # pixels; the most that JPEG itself can say

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
EXTENSIONS = frozenset(
    (*_JPEG, ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")
)
BACKGROUND = (255, 255, 255)  # behind transparent pixels

# An explicit list: Pillow would otherwise try every plugin it has, and its EPS plugin starts
# Ghostscript. Importing the plugins here lets `formats=` find them without loading the rest.
_PLUGINS = (
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    GifImagePlugin,
    BmpImagePlugin,
    TiffImagePlugin,
    AvifImagePlugin,
)
_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]
FORMAT_NAMES = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"

_REDUCIBLE = ("RGB", "RGBA", "L", "LA", "CMYK", "YCbCr")
_ORIENTATION = 0x0112
_FIRST_LYING = 5  # orientations from here on turn the photo by a quarter
_EXIF_IFD = 0x8769
_DATES = ((_EXIF_IFD, 0x9003), (_EXIF_IFD, 0x9004), (None, 0x0132))  # taken, digitised, changed
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A scaled decode may come out this much short of the size asked for, and is then enlarged by as
# little: it lets a 375-pixel side (half is 188) serve a 192-pixel network at half the work.
_SCALED_DECODE_SLACK = 0.95


def read(source: Source, shorter_side: int | None = None) -> Pixels:
    """Upright RGB `uint8 (H, W, 3)` of a photo: the first frame, on white where transparent.

    `shorter_side` in pixels lets the decoder stop early: the result is then the smallest that
    the decoder gives cheaply whose shorter side is about that or more. Raises ImageError.
    """
    if isinstance(source, np.ndarray):
        return _checked_array(source)
    with _opened(source, whole=shorter_side is None) as image:
        return _pixels(image, shorter_side)


@dataclass(frozen=True)
class Metadata:
    """What a photo's header tells: its size in pixels, upright, and when it was taken.

    `taken_at` is by the camera's clock, without a time zone; None where the photo does not say.
    """

    width: int
    height: int
    taken_at: datetime | None


def read_metadata(source: str | os.PathLike[str] | bytes) -> Metadata:
    """A photo's size and date, without decoding it. Raises ImageError."""
    with _opened(source) as image:
        width, height = image.size
        if _orientation(image) >= _FIRST_LYING:
            width, height = height, width
        return Metadata(width, height, _taken_at(image))


def find_photos(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Photos under a folder, by extension, sorted, hidden files and folders left out."""
    return filter(has_photo_extension, walk_files(folder))


def has_photo_extension(path: Path) -> bool:
    """Whether a file's name ends as a photo's does."""
    return os.path.splitext(path.name)[1].lower() in EXTENSIONS


def encode(rgb: Pixels, format: str = "PNG") -> bytes:
    """An encoded file ("PNG" or "JPEG") of `rgb (H, W, 3)`."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, format, quality=85)
    return out.getvalue()


def _checked_array(array: NDArray[np.generic]) -> Pixels:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ImageError(
            f"an array of {array.dtype} {array.shape}",
            "pass RGB pixels, uint8 (height, width, 3)",
        )
    return array.astype(np.uint8, copy=False)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file as it is, within the limit of size. Raises ImageError."""
    name = escape_controls(os.fsdecode(path))
    try:
        info = os.stat(path)
        if stat.S_ISDIR(info.st_mode):
            raise ImageError(name, "a folder, not a photo")
        if not stat.S_ISREG(info.st_mode):
            raise ImageError(name, "not a regular file")
        if info.st_size > MAX_BYTES:
            raise ImageTooLargeError(
                name,
                f"{info.st_size / 2**20:.0f} MB; photos up to {MAX_BYTES / 2**20:.0f} MB"
                " are opened",
            )
        with open(path, "rb") as file:
            return file.read(info.st_size + 1)
    except FileNotFoundError:
        raise ImageError(name, "no such file") from None
    except (OSError, ValueError) as error:
        raise ImageError(name, f"cannot be opened ({_short(error)})") from None


@contextmanager
def _opened(source: str | os.PathLike[str] | bytes, whole: bool = False) -> Iterator[Image.Image]:
    """A photo within the limits; whatever goes wrong while it is open is an ImageError."""
    if isinstance(source, bytes):
        name, data = "photo", source
    else:
        name, data = escape_controls(os.fsdecode(source)), read_bytes(source)
    try:
        with _open(data, name) as image:
            _check_size(image, name, whole)
            yield image
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(name, "not enough memory to decode it") from None
    except Exception as error:  # decoders raise every kind on broken files
        raise ImageError(name, f"cannot be decoded ({_short(error)})") from error


def _open(data: bytes, name: str) -> Image.Image:
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
    """Whether the file type box names AVIF as its brand, or as one it is compatible with."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return any(box[place : place + 4] in (b"avif", b"avis") for place in range(0, len(box), 4))


def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def _check_size(image: Image.Image, name: str, whole: bool) -> None:
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
    if whole and width * height > MAX_PIXELS:
        reason = f"over {MAX_PIXELS // 10**6} megapixels, too large to show whole"
        raise ImageTooLargeError(name, reason)


def _pixels(image: Image.Image, shorter_side: int | None) -> Pixels:
    if shorter_side is not None:
        least = max(1, int(shorter_side * _SCALED_DECODE_SLACK))
        image.draft("RGB", (least, least))  # JPEG alone; others ignore it
    image.load()
    orientation = _orientation(image)
    opaque = "transparency" not in image.info  # one colour, or a palette's: gone once mixed
    if shorter_side is not None and opaque and image.mode in _REDUCIBLE:
        factor = min(image.size) // (2 * shorter_side)
        if factor > 1:  # shrink before converting: it keeps huge photos within memory
            image = image.reduce(factor)
    rgb = _to_rgb(image)
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    return np.asarray(rgb)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return 1


def _taken_at(image: Image.Image) -> datetime | None:
    try:
        exif = image.getexif()
        folders = {_EXIF_IFD: exif.get_ifd(_EXIF_IFD), None: exif}
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return None
    for folder, field in _DATES:
        try:
            return datetime.strptime(str(folders[folder][field]).strip("\0 "), "%Y:%m:%d %H:%M:%S")
        except (KeyError, ValueError):
            continue
    return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGB", rgba.size, BACKGROUND)
        canvas.paste(rgba, mask=rgba.getchannel("A"))
        return canvas
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey by its high byte; 32-bit and float, which have no fixed range, by their own."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        grey = (values >> 8).astype(np.uint8)
        grey[values == image.info.get("transparency", -1)] = BACKGROUND[0]
        return Image.fromarray(grey)
    finite = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    low, high = float(finite.min()), float(finite.max())
    scaled = (finite - low) * (255 / (high - low)) if high > low else finite * 0
    return Image.fromarray(scaled.astype(np.uint8))


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
