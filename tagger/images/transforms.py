"""What is made of a photo's pixels: a small copy, a hash of its looks, a heatmap over it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels


def thumbnail(rgb: Pixels, longer_side: int) -> Pixels:
    """The whole photo, `rgb (H, W, 3)`, no side longer than `longer_side` pixels."""
    share = min(1.0, longer_side / max(rgb.shape[:2]))
    if share == 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * share)), max(1, round(rgb.shape[0] * share)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def perceptual_hash(rgb: Pixels) -> int:
    """64 bits that differ in few places between copies of one photo.

    The signs, against their median, of the 8x8 lowest frequencies of a 32x32 grey copy
    (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
    """
    grey = cv2.cvtColor(cv2.resize(rgb, (32, 32), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    low = cv2.dct(grey.astype(np.float32))[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the mean brightness says nothing of what is in it
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


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
