"""What is made of a photo's pixels: a small copy, a hash of its looks, a heatmap over it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels, Source, read

# What `prepare` does, as a model's card says it.
PREPROCESSING = "upright (EXIF), RGB, shorter side to image_size, centre crop, uint8"


def prepare(source: Source, size: int) -> Pixels:
    """The one preprocessing: shorter side to `size`, centre crop, `uint8 (size, size, 3)`."""
    return fit(read(source, shorter_side=size), size)


def fit(rgb: Pixels, size: int) -> Pixels:
    """The centre square of `rgb (H, W, 3)`, resized to `(size, size, 3)`.

    Shrinks by a whole factor averaging every pixel, then by the rest (under 2) bilinearly.
    """
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    factor = max(1, side // size)
    kept = side - side % factor
    square: Pixels = rgb[top : top + kept, left : left + kept]
    if factor > 1:
        square = _resized(square, kept // factor, cv2.INTER_AREA)
    if square.shape[0] != size:
        square = _resized(square, size, cv2.INTER_LINEAR)
    return np.ascontiguousarray(square)


def thumbnail(rgb: Pixels, longer_side: int) -> Pixels:
    """The whole photo, `rgb (H, W, 3)`, no side longer than `longer_side` pixels."""
    share = min(1.0, longer_side / max(rgb.shape[:2]))
    if share == 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * share)), max(1, round(rgb.shape[0] * share)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def overlay(rgb: Pixels, heat: NDArray[np.float32], opacity: float = 0.6) -> Pixels:
    """`rgb (H, W, 3)` with `heat (h, w)` in [0, 1] over the centre square the network saw.

    Where there is no heat the photo stays as it is; outside the square it is darker.
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


def _resized(square: Pixels, side: int, interpolation: int) -> Pixels:
    return cv2.resize(square, (side, side), interpolation=interpolation).astype(
        np.uint8, copy=False
    )
