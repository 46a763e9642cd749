"""Random variants of a prepared photo, for training: the same seed gives the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError

MOSAIC_TILES = 4
MIDDLE_GREY = 128
_INSET = (0.35, 0.7)  # side of a photo laid into another, as a share
_MIDDLE = (0.35, 0.65)  # where four tiles meet

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Augmentation:
    """How far a variant may be from its photo.

    `flip`, `grey` and `cutout` are probabilities; `crop` is the range of the area kept (above 1
    zooms out); `stretch` the most one side may gain on the other; `rotation` is in degrees;
    `brightness` is a share of full scale; `contrast` and `saturation` are factors around 1.
    `cutout_side` is the range of the patch's sides as shares of the photo's
    (DeVries & Taylor, arXiv:1708.04552).
    """

    flip: float = 0.5
    crop: tuple[float, float] = (0.5, 1.1)
    stretch: float = 1.25
    rotation: float = 15.0
    brightness: float = 0.2
    contrast: tuple[float, float] = (0.75, 1.3)
    saturation: tuple[float, float] = (0.5, 1.5)
    grey: float = 0.05
    cutout: float = 0.5
    cutout_side: tuple[float, float] = (0.1, 0.4)

    def __post_init__(self) -> None:
        if not 0 < self.crop[0] <= self.crop[1]:
            raise OptionError(f"crop {self.crop}: give a rising range of areas above 0")
        if self.stretch < 1 or self.rotation < 0:
            raise OptionError("stretch must be 1 or more, rotation 0 degrees or more")
        for chance in (self.flip, self.grey, self.cutout, *self.cutout_side):
            if not 0 <= chance <= 1:
                raise OptionError(f"{chance}: probabilities and shares lie in [0, 1]")
        for low, high in (self.contrast, self.saturation, self.cutout_side):
            if not 0 <= low <= high:
                raise OptionError(f"({low}, {high}): give a rising range from 0 on")

    def __call__(self, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """A variant of square `pixels (S, S, 3)`, same shape; the input is left alone."""
        moved = cv2.warpAffine(
            pixels,
            self._placement(pixels.shape[0], rng),
            pixels.shape[1::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        coloured = cv2.transform(moved, self._colour(rng)).astype(np.uint8, copy=False)
        if rng.random() < self.cutout:
            self._cut_out(coloured, rng)
        return coloured

    def _placement(self, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Flip, crop, zoom, stretch and rotation as one `(2, 3)` map from variant to photo."""
        mirror = -1.0 if rng.random() < self.flip else 1.0
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        area = rng.uniform(*self.crop)
        aspect = np.exp(rng.uniform(-np.log(self.stretch), np.log(self.stretch)))
        wide, high = np.sqrt(area * aspect), np.sqrt(area / aspect)
        room = np.abs(1 - np.array([wide, high])) / 2 * side
        middle = (side - 1) / 2  # pixel centres lie on whole numbers
        centre = middle + rng.uniform(-room, room)
        cos, sin = np.cos(angle), np.sin(angle)
        linear = np.array([[cos * wide * mirror, -sin * high], [sin * wide * mirror, cos * high]])
        shift = centre - linear @ np.full(2, middle)
        return np.column_stack([linear, shift]).astype(np.float32)

    def _colour(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Saturation, contrast and brightness as one `(3, 4)` map over RGB."""
        offset = rng.uniform(-self.brightness, self.brightness) * 255
        contrast = rng.uniform(*self.contrast)
        saturation = 0.0 if rng.random() < self.grey else rng.uniform(*self.saturation)
        mix = contrast * (np.eye(3) * saturation + (1 - saturation) * _LUMA)
        return np.column_stack([mix, np.full(3, 128 * (1 - contrast) + offset)]).astype(np.float32)

    def _cut_out(self, pixels: NDArray[np.uint8], rng: np.random.Generator) -> None:
        side = pixels.shape[0]
        high, wide = (max(1, int(side * rng.uniform(*self.cutout_side))) for _ in range(2))
        top, left = rng.integers(0, side - high + 1), rng.integers(0, side - wide + 1)
        pixels[top : top + high, left : left + wide] = rng.integers(0, 256, 3)


def mosaic(photos: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Several square photos `(S, S, 3)` as one: two, the second laid into the first; or four tiles.

    Things come smaller, and beside things of other collections, so that a network can go less by
    a collection's style (the mosaic of Bochkovskiy et al., "YOLOv4", 2020, arXiv:2004.10934).
    """
    side = photos[0].shape[0]
    made = photos[0].copy()
    if len(photos) == 2:
        inset = int(side * rng.uniform(*_INSET))
        top, left = rng.integers(0, side - inset + 1, 2)
        made[top : top + inset, left : left + inset] = _shrunk(photos[1], inset, inset)
        return made
    y, x = (int(side * rng.uniform(*_MIDDLE)) for _ in range(2))
    places = ((0, y, 0, x), (0, y, x, side), (y, side, 0, x), (y, side, x, side))
    for photo, (top, bottom, left, right) in zip(photos, places, strict=True):
        made[top:bottom, left:right] = _shrunk(photo, bottom - top, right - left)
    return made


def _shrunk(pixels: NDArray[np.uint8], high: int, wide: int) -> NDArray[np.uint8]:
    """The middle of a square photo at that size."""
    side = max(high, wide)
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    top, left = (side - high) // 2, (side - wide) // 2
    return small[top : top + high, left : left + wide].astype(np.uint8, copy=False)


@dataclass(frozen=True)
class Nudge:
    """A mild variant for small photos: moved by whole pixels, so that none is blurred.

    `most` is how far, as a share of the side. Whoever trains mirrors each photo every other
    epoch, so that two epochs show both ways (Jordan 2024, arXiv:2404.00498). A square of
    `cutout` of the side turns grey (DeVries & Taylor 2017, arXiv:1708.04552), somewhere in it.
    """

    most: float = 1 / 16
    cutout: float = 0.3

    def __call__(
        self, pixels: NDArray[np.uint8], rng: np.random.Generator, mirrored: bool
    ) -> NDArray[np.uint8]:
        """A variant of square `pixels (S, S, 3)`, same shape; the input is left alone."""
        side = pixels.shape[0]
        room = round(self.most * side)
        wide = np.pad(pixels, ((room, room), (room, room), (0, 0)), mode="reflect")
        top, left = rng.integers(0, 2 * room + 1, 2)
        moved = wide[top : top + side, left : left + side]
        made = np.array(moved[:, ::-1] if mirrored else moved, order="C")
        cut = round(self.cutout * side)
        top, left = rng.integers(0, side - cut + 1, 2)
        made[top : top + cut, left : left + cut] = MIDDLE_GREY
        return made
