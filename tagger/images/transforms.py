"""The one preprocessing for every network, thumbnails, and heatmaps over photos."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels, Source, read

PREPROCESSING = "upright (EXIF), RGB, shorter side to image_size, centre crop, uint8"


def prepare(source: Source, size: int) -> Pixels:
    """A photo as networks take it, `uint8 (size, size, 3)`: see PREPROCESSING.

    Training, validation, tagging and export all use it, so they see the same pixels. Raises
    ImageError.
    """
    return fit(read(source, shorter_side=size), size)


def fit(rgb: Pixels, size: int) -> Pixels:
    """The centre square of `rgb (H, W, 3)`, resized to `(size, size, 3)`.

    Averages blocks of a whole number of pixels, then resizes the rest (by under 2) bilinearly.
    """
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    factor = max(1, side // size)
    cropped = side - side % factor
    square: Pixels = rgb[top : top + cropped, left : left + cropped]
    if factor > 1:
        square = _resize(square, cropped // factor, cropped // factor, cv2.INTER_AREA)
    if square.shape[0] != size:
        square = _resize(square, size, size, cv2.INTER_LINEAR)
    return np.ascontiguousarray(square)


def thumbnail(rgb: Pixels, longer_side: int) -> Pixels:
    """The whole of `rgb (H, W, 3)`, reduced until no side exceeds `longer_side` pixels."""
    share = min(1.0, longer_side / max(rgb.shape[:2]))
    if share == 1:
        return rgb
    height, width = (max(1, round(side * share)) for side in rgb.shape[:2])
    return _resize(rgb, height, width, cv2.INTER_AREA)


def overlay(rgb: Pixels, heat: NDArray[np.float32], opacity: float = 0.6) -> Pixels:
    """`rgb (H, W, 3)` with `heat (h, w)` in [0, 1] painted over its centre square.

    Zero heat leaves the photo unchanged; outside the square, which no network sees, it is darker.
    """
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    smooth = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = (smooth * opacity)[..., None]
    painted = (rgb * 0.5).astype(np.uint8)
    inside = rgb[top : top + side, left : left + side]
    painted[top : top + side, left : left + side] = inside * (1 - share) + colours * share
    return painted


def _resize(rgb: Pixels, height: int, width: int, interpolation: int) -> Pixels:
    return cv2.resize(rgb, (width, height), interpolation=interpolation).astype(
        np.uint8, copy=False
    )
