"""Augmentation of training photos; the same random generator gives the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError

MOSAIC_TILES = 4
MIDDLE_GREY = 128
_INSET = (0.35, 0.7)  # side of the second of two photos, as a share of the first's
_CORNER = (0.35, 0.65)  # where four tiles meet, as a share of the side

_JPEG_QUALITY = (40, 90)
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Augmentation:
    """Random flip, crop, rotation, colour and cutout of a photo.

    `flip`, `grey`, `cutout` and `blur` are probabilities; `crop` is the range of the area kept
    (above 1 zooms out); `stretch` the largest change of the aspect ratio; `rotation` the largest
    angle in degrees; `brightness` a share of full scale; `contrast` and `saturation` ranges of
    factors; `cutout_side` the range of the patch's sides as shares of the photo's
    (DeVries & Taylor, arXiv:1708.04552); `blurred_side` the range of the sides, as shares, that a
    photo is made smaller to before it is enlarged again, half of the times as a poor JPEG. Raises
    OptionError for ranges that make no sense.
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
    blur: float = 0.0
    blurred_side: tuple[float, float] = (0.5, 1.0)

    def __post_init__(self) -> None:
        if not 0 < self.crop[0] <= self.crop[1]:
            raise OptionError(f"crop {self.crop}: give a rising range of areas above 0")
        if self.stretch < 1 or self.rotation < 0:
            raise OptionError("stretch must be 1 or more, rotation 0 degrees or more")
        for share in (self.flip, self.grey, self.cutout, self.blur, *self.cutout_side):
            if not 0 <= share <= 1:
                raise OptionError(f"{share}: probabilities and shares lie in [0, 1]")
        for low, high in (self.contrast, self.saturation, self.cutout_side):
            if not 0 <= low <= high:
                raise OptionError(f"({low}, {high}): give a rising range from 0 on")

    def __call__(
        self, pixels: NDArray[np.uint8], rng: np.random.Generator, side: int | None = None
    ) -> NDArray[np.uint8]:
        """A random variant `(side, side, 3)` of square `pixels (S, S, 3)`, which are not changed.

        `side` is S by default.
        """
        side = side or pixels.shape[0]
        warped = cv2.warpAffine(
            pixels,
            _resize_map(self._affine_map(pixels.shape[0], rng), pixels.shape[0] / side),
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        if rng.random() < self.blur:
            warped = self._blur(warped, rng)
        coloured = cv2.transform(warped, self._colour_map(rng)).astype(np.uint8, copy=False)
        if rng.random() < self.cutout:
            self._cut_out(coloured, rng)
        return coloured

    def _affine_map(self, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Flip, crop, stretch and rotation as one affine map `(2, 3)` from variant to photo."""
        mirror = -1.0 if rng.random() < self.flip else 1.0
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        area = rng.uniform(*self.crop)
        aspect = np.exp(rng.uniform(-np.log(self.stretch), np.log(self.stretch)))
        width, height = np.sqrt(area * aspect), np.sqrt(area / aspect)
        room = np.abs(1 - np.array([width, height])) / 2 * side
        middle = (side - 1) / 2  # pixel centres are at integers
        centre = middle + rng.uniform(-room, room)
        cos, sin = np.cos(angle), np.sin(angle)
        linear = np.array(
            [[cos * width * mirror, -sin * height], [sin * width * mirror, cos * height]]
        )
        shift = centre - linear @ np.full(2, middle)
        return np.column_stack([linear, shift]).astype(np.float32)

    def _colour_map(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Saturation, contrast and brightness as one affine map `(3, 4)` of RGB."""
        offset = rng.uniform(-self.brightness, self.brightness) * 255
        contrast = rng.uniform(*self.contrast)
        saturation = 0.0 if rng.random() < self.grey else rng.uniform(*self.saturation)
        mix = contrast * (np.eye(3) * saturation + (1 - saturation) * _LUMA)
        return np.column_stack([mix, np.full(3, 128 * (1 - contrast) + offset)]).astype(np.float32)

    def _blur(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        side = max(1, round(pixels.shape[0] * rng.uniform(*self.blurred_side)))
        small: Any = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            quality = int(rng.integers(*_JPEG_QUALITY))
            jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            small = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        enlarged: NDArray[Any] = cv2.resize(small, pixels.shape[1::-1])
        return enlarged.astype(np.uint8, copy=False)

    def _cut_out(self, pixels: NDArray[np.uint8], rng: np.random.Generator) -> None:
        side = pixels.shape[0]
        height, width = (max(1, int(side * rng.uniform(*self.cutout_side))) for _ in range(2))
        top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
        pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3)


# For described photos of whole scenes: wide crops of any aspect, no patch over what is described.
# The side and quality of photos on the web vary.
SCENES = Augmentation(
    crop=(0.35, 1.0),
    stretch=1.4,
    rotation=0.0,
    brightness=0.1,
    contrast=(0.75, 1.25),
    saturation=(0.6, 1.4),
    cutout=0.0,
    blur=0.4,
)

# The same for features that words are fitted to: less is cut off, so that captions still fit.
VIEWS = replace(SCENES, crop=(0.55, 1.0), blur=0.0)


def _resize_map(affine: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """The affine map `(2, 3)` for a variant with `factor` times fewer pixels a side."""
    shift = affine[:, :2] @ np.full(2, (factor - 1) / 2) + affine[:, 2]  # centres are at integers
    return np.column_stack([affine[:, :2] * factor, shift]).astype(np.float32)


def mosaic(photos: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One photo `(S, S, 3)` of two, the second inset in the first, or of four tiles.

    Objects appear smaller and beside those of other collections, so that the network relies less
    on a collection's style (Bochkovskiy et al., "YOLOv4", 2020, arXiv:2004.10934).
    """
    side = photos[0].shape[0]
    combined = photos[0].copy()
    if len(photos) == 2:
        inset = int(side * rng.uniform(*_INSET))
        top, left = rng.integers(0, side - inset + 1, 2)
        combined[top : top + inset, left : left + inset] = _fit_tile(photos[1], inset, inset)
        return combined
    y, x = (int(side * rng.uniform(*_CORNER)) for _ in range(2))
    tiles = ((0, y, 0, x), (0, y, x, side), (y, side, 0, x), (y, side, x, side))
    for photo, (top, bottom, left, right) in zip(photos, tiles, strict=True):
        combined[top:bottom, left:right] = _fit_tile(photo, bottom - top, right - left)
    return combined


def _fit_tile(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a square photo to cover a tile, and crop its centre."""
    side = max(height, width)
    resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    top, left = (side - height) // 2, (side - width) // 2
    return resized[top : top + height, left : left + width].astype(np.uint8, copy=False)


@dataclass(frozen=True)
class ShiftAugmentation:
    """Shift by whole pixels, which blurs no small photo, and a grey cutout.

    `max_shift` and `cutout`, the side of the square, are shares of the photo's side (DeVries &
    Taylor 2017, arXiv:1708.04552). The caller mirrors every other epoch, so that two epochs show
    both ways (Jordan 2024, arXiv:2404.00498).
    """

    max_shift: float = 1 / 16
    cutout: float = 0.3

    def __call__(
        self, pixels: NDArray[np.uint8], rng: np.random.Generator, mirrored: bool
    ) -> NDArray[np.uint8]:
        """A random variant of square `pixels (S, S, 3)`, which are not changed."""
        side = pixels.shape[0]
        room = round(self.max_shift * side)
        padded = np.pad(pixels, ((room, room), (room, room), (0, 0)), mode="reflect")
        top, left = rng.integers(0, 2 * room + 1, 2)
        shifted = padded[top : top + side, left : left + side]
        variant = np.array(shifted[:, ::-1] if mirrored else shifted, order="C")
        cut = round(self.cutout * side)
        top, left = rng.integers(0, side - cut + 1, 2)
        variant[top : top + cut, left : left + cut] = MIDDLE_GREY
        return variant
