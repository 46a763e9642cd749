"""Values of more than eight bits a channel, as eight: whole numbers by the bits in use, others by
their range.

Images are taken in strips, so that no copy of a large one is ever whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

BITS = (8, 10, 12, 14, 16)  # in use, of 16: what cameras, scanners and microscopes give
STRIP_PIXELS = 2**20

_SAMPLE = 2**17  # values, to learn the range from
_SENTINEL_GAP = 2  # ranges of the other values


def bits_in_use(largest: int) -> int:
    """How many of 16 bits hold values up to `largest`: one of BITS."""
    return next(bits for bits in BITS if largest < 1 << bits or bits == BITS[-1])


def grey_from_16_bits(image: Image.Image, transparent: int | None, background: int) -> Pixels:
    """`(H, W)` of an image of 16-bit grey, `transparent` values as `background`."""
    bits = bits_in_use(max(int(strip.max()) for _, strip in _strips(image)))
    grey = np.empty(image.size[::-1], np.uint8)
    for row, strip in _strips(image):
        part = grey[row : row + len(strip)]
        part[:] = strip >> (bits - 8)
        if transparent is not None:
            part[strip == transparent] = background
    return grey


def rgb_from_halves(high: Image.Image, low: Image.Image) -> Pixels:
    """`(H, W, C)` of the high and the low bytes of an image of 16-bit channels.

    The last of two or four channels, alpha, is scaled by the bits that it uses itself.
    """
    channels = len(high.getbands())
    is_alpha = np.arange(channels) == (channels - 1 if channels in (2, 4) else -1)
    largest = np.max(
        [
            (upper.astype(np.uint16) << 8 | lower).max(axis=(0, 1))
            for (_, upper), (_, lower) in zip(_strips(high), _strips(low), strict=True)
        ],
        axis=0,
    )
    shifts = np.where(
        is_alpha,
        bits_in_use(int(largest[is_alpha].max(initial=0))) - 8,
        bits_in_use(int(largest[~is_alpha].max())) - 8,
    ).astype(np.uint16)
    rgb = np.empty((*high.size[::-1], channels), np.uint8)
    for (row, upper), (_, lower) in zip(_strips(high), _strips(low), strict=True):
        rgb[row : row + len(upper)] = (upper.astype(np.uint16) << 8 | lower) >> shifts
    return rgb


def grey_from_range(
    image: Image.Image, no_data: float | None, type_: type[np.generic] | None = None
) -> Pixels:
    """`(H, W)` of numbers, whole or not, of the type that the image has or the one that is passed.

    Their range goes from black to white. What is no number, `no_data`, and outliers (see
    `_find_range`) are left out of it, and become black or white. Raises ValueError for an image
    without any number.
    """

    def strips() -> Iterator[tuple[int, NDArray[np.float64]]]:
        for row, strip in _strips(image):
            values = (strip if type_ is None else strip.view(type_)).astype(np.float64)
            if no_data is not None:
                values[np.isclose(values, no_data, rtol=1e-6, atol=0)] = np.nan
            yield row, values

    step = max(1, int((image.width * image.height / _SAMPLE) ** 0.5))
    sample = np.concatenate([strip[::step, ::step].ravel() for _, strip in strips()])
    bounds = _find_range(np.sort(sample[np.isfinite(sample)]))
    low, high = bounds[::-1]
    for _, strip in strips():
        inside = strip[(strip >= bounds[0]) & (strip <= bounds[1])]
        low, high = inside.min(initial=low), inside.max(initial=high)
    scale = 255 / (high - low) if high > low else 0.0
    grey = np.empty(image.size[::-1], np.uint8)
    for row, strip in strips():
        grey[row : row + len(strip)] = np.nan_to_num((np.clip(strip, low, high) - low) * scale)
    return grey


def _find_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Bounds of sorted values without outliers.

    Outliers are farther from the middle 98 % than these reach; and a value at one end, however
    often it is repeated, that is farther from the others than twice their range.
    """
    if not values.size:
        raise ValueError("it holds no numbers")
    values = _without_sentinels(values)
    values = -_without_sentinels(-values[::-1])[::-1]
    low, high = np.percentile(values, (1, 99))
    if low == high:
        low, high = values[0], values[-1]
    return float(low - (high - low)), float(high + (high - low))


def _without_sentinels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sorted values without those at the lower end that stand for missing ones, as -9999 does."""
    while True:
        rest = values[np.searchsorted(values, values[0], "right") :]
        if rest.size < 2:
            return values
        spread = np.percentile(rest, 99) - rest[0]
        if not 0 < _SENTINEL_GAP * spread < rest[0] - values[0]:
            return values
        values = rest


def _strips(image: Image.Image) -> Iterator[tuple[int, NDArray[Any]]]:
    """An image's rows in arrays of about STRIP_PIXELS, each with the number of its first row."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield top, np.asarray(image.crop(box))
