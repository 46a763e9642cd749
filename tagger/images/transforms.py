"""The one preprocessing for every network, thumbnails, and heatmaps over photos."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels, Source, read

PANORAMA_RATIO = 2.5  # of the sides: from here on, tagging looks at more than the centre
MAX_SQUARES = 9

PREPROCESSING = "upright (EXIF), RGB, shorter side to image_size, centre crop, uint8"


def prepare(source: Source, size: int) -> Pixels:
    """A photo as networks take it, `uint8 (size, size, 3)`: see PREPROCESSING.

    Training, validation, tagging and export all use it, so they see the same pixels. Raises
    ImageError.
    """
    return fit(read(source, shorter_side=size), size)


def prepare_squares(source: Source, size: int) -> Pixels:
    """A photo as tagging takes it: `fit_squares` of its pixels. Raises ImageError."""
    return fit_squares(read(source, shorter_side=size), size)


def fit_squares(rgb: Pixels, size: int) -> Pixels:
    """Squares of `rgb (H, W, 3)`, each as `fit` resizes one, side by side `(size, N * size, 3)`.

    One of an ordinary photo, the centre; of a panorama an odd number up to MAX_SQUARES, evenly
    spaced from end to end, with the centre in the middle. Squares side by side stay as they are.
    """
    count = count_squares(rgb)
    squares = [_fit_square(rgb, size, number, count) for number in range(count)]
    return squares[0] if count == 1 else np.concatenate(squares, axis=1)


def count_squares(rgb: Pixels) -> int:
    """How many squares tagging looks at."""
    ratio = max(rgb.shape[:2]) / min(rgb.shape[:2])
    return 1 if ratio < PANORAMA_RATIO else min(MAX_SQUARES, math.ceil(ratio) | 1)


def fit(rgb: Pixels, size: int) -> Pixels:
    """The centre square of `rgb (H, W, 3)`, resized to `(size, size, 3)`.

    Averages blocks of a whole number of pixels, then resizes the rest (by under 2) bilinearly.
    """
    return _fit_square(rgb, size, 0, 1)


def _fit_square(rgb: Pixels, size: int, number: int, count: int) -> Pixels:
    """Square `number` of `count` evenly spaced ones, resized."""
    side = min(rgb.shape[:2])
    top, left = _corner(rgb, number, count)
    factor = max(1, side // size)
    cropped = side - side % factor
    square: Pixels = rgb[top : top + cropped, left : left + cropped]
    if factor > 1:
        square = _resize(square, cropped // factor, cropped // factor, cv2.INTER_AREA)
    if square.shape[0] != size:
        square = _resize(square, size, size, cv2.INTER_LINEAR)
    return np.ascontiguousarray(square)


def _corner(rgb: Pixels, number: int, count: int) -> tuple[int, int]:
    """Top and left of square `number` of `count`."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    share, of = (number, count - 1) if count > 1 else (1, 2)
    return (height - side) * share // of, (width - side) * share // of


def thumbnail(rgb: Pixels, longer_side: int) -> Pixels:
    """The whole of `rgb (H, W, 3)`, reduced until no side exceeds `longer_side` pixels."""
    share = min(1.0, longer_side / max(rgb.shape[:2]))
    if share == 1:
        return rgb
    height, width = (max(1, round(side * share)) for side in rgb.shape[:2])
    return _resize(rgb, height, width, cv2.INTER_AREA)


def overlay(
    rgb: Pixels, heat: NDArray[np.float32], opacity: float = 0.6, square: tuple[int, int] = (0, 1)
) -> Pixels:
    """`rgb (H, W, 3)` with `heat (h, w)` in [0, 1] painted over one of its squares.

    `square` is its number and how many there are: by default the centre alone. Zero heat leaves
    the photo unchanged; outside the square it is darker.
    """
    side = min(rgb.shape[:2])
    top, left = _corner(rgb, *square)
    smooth = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = (smooth * opacity)[..., None]
    painted = rgb // 2
    inside = rgb[top : top + side, left : left + side]
    painted[top : top + side, left : left + side] = inside * (1 - share) + colours * share
    return painted


def _resize(rgb: Pixels, height: int, width: int, interpolation: int) -> Pixels:
    return cv2.resize(rgb, (width, height), interpolation=interpolation).astype(
        np.uint8, copy=False
    )
