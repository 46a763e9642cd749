"""Values of more than eight bits a channel, as eight: whole numbers by the bits in use, others by
their range.

Images are taken in strips, so that no copy of a large one is ever whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

STRIP_PIXELS = 2**20

# Hot pixels of a sensor say nothing of its bits. They are few, far above the others, and alone,
# where a lamp in a dark photo is a spot of many.
MAX_HOT = 0.03  # of all pixels
_HOT_GAP = 1.5  # ranges of the others, that most of them are above
_NEIGHBOURS = 3  # of a pixel that is not alone: as bright
_MAX_IN_SPOTS = 0.25  # of the pixels that stand out
_TINY_SPOTS = 1e-5  # of all pixels

MIN_HALF_BITS = 15  # with fewer, the high bytes alone are too dark
_ALPHA_BITS = (8, 10, 12, 14, 16)
_SAMPLE = 2**17  # values, to learn the range from
_SENTINEL_GAP = 2  # ranges of the other values
_FULL_SCALES = (1, 255)  # of floats that are shares, or the values of eight bits
_MAX_VALUE = 65_535
_MARGIN = 0.05  # of the range, beyond its ends

Strips = Callable[[], Iterator[NDArray[np.uint16]]]


def bits_in_use(strips: Strips) -> int:
    """How many of 16 bits, from 8 on, hold the values `(rows, W)` but for hot pixels.

    A value of exactly 2 ** bits counts as white: Photoshop's go from 0 to 32768.
    """
    thresholds = np.array([1 << bits for bits in range(8, 16)])
    above, far = np.zeros(len(thresholds), np.int64), np.zeros(len(thresholds), np.int64)
    size, low_bits = 0, 0
    for strip in strips():
        size += strip.size
        low_bits |= int(np.bitwise_or.reduce(strip, axis=None)) & 0xFF
        for n, threshold in enumerate(thresholds):
            above[n] += np.count_nonzero(strip > threshold)
            far[n] += np.count_nonzero(strip > _HOT_GAP * threshold) if above[n] else 0
    if not low_bits:
        return 16  # eight bits, in the upper half
    for bits, threshold, outside, farther in zip(range(8, 16), thresholds, above, far, strict=True):
        if not outside:
            return bits
        are_few = outside <= MAX_HOT * size and 2 * farther >= outside
        if are_few and _are_alone(strips, int(threshold), int(outside), size):
            return bits
    return 16


def _are_alone(strips: Strips, threshold: int, outside: int, size: int) -> bool:
    """Whether the pixels above a threshold, `outside` of `size`, are single ones."""
    in_spots = 0
    for strip in strips():
        mask = (strip > threshold).astype(np.uint8)
        around = cv2.boxFilter(
            mask, cv2.CV_8U, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        in_spots += int(np.count_nonzero(mask & (around > _NEIGHBOURS)))
    return in_spots <= max(_MAX_IN_SPOTS * outside, _TINY_SPOTS * size)


def grey_from_16_bits(image: Image.Image, transparent: int | None, background: int) -> Pixels:
    """`(H, W)` of an image of 16-bit grey, `transparent` values as `background`."""
    bits = bits_in_use(lambda: (strip.astype(np.uint16, copy=False) for _, strip in _strips(image)))
    grey = np.empty(image.size[::-1], np.uint8)
    for row, strip in _strips(image):
        part = grey[row : row + len(strip)]
        part[:] = np.minimum(strip >> (bits - 8), 255)
        if transparent is not None:
            part[strip == transparent] = background
    return grey


def has_bright_halves(high: Image.Image) -> bool:
    """Whether the high bytes of 16-bit channels are enough to say that all bits are in use."""
    counts = np.reshape(high.histogram(), (-1, 256))
    colours = counts[: 1 if len(counts) < 3 else 3]
    return bool(colours[:, 129:].sum(axis=1).max() > MAX_HOT * high.width * high.height)


def bits_of_halves(high: Image.Image) -> int:
    """About how many bits the values have of which these are the high bytes."""
    return bits_in_use(
        lambda: (strip.max(axis=2).astype(np.uint16) << 8 | 1 for _, strip in _strips(high))
    )


def narrow_halves(high: Image.Image, low: Image.Image, bands: Sequence[int]) -> None:
    """Scale an image's high bytes of 16-bit channels, in place.

    `low` has the low byte of each channel in one of its own, listed in `bands`. The last of two or
    four channels is alpha. It has the bits of the colours, or more.
    """
    channels = len(high.getbands())
    colours = channels - 1 if channels in (2, 4) else channels

    def values() -> Iterator[tuple[int, NDArray[np.uint16]]]:
        for (row, upper), (_, lower) in zip(_strips(high), _strips(low), strict=True):
            yield row, upper.astype(np.uint16) << 8 | lower[..., bands]

    bits = bits_in_use(lambda: (strip[..., :colours].max(axis=2) for _, strip in values()))
    shifts = np.full(channels, bits - 8, np.uint16)
    if colours < channels:
        largest = int(high.getextrema()[-1][1])  # type: ignore[index]
        if largest > 1 << (bits - 8):
            shifts[-1] = next(more - 8 for more in _ALPHA_BITS if largest < 1 << (more - 8))
    for row, strip in values():
        narrow = np.minimum(strip >> shifts, 255).astype(np.uint8)
        high.paste(Image.fromarray(narrow), (0, row))


def grey_from_range(
    image: Image.Image, no_data: float | None, type_: type[np.generic] | None = None
) -> Pixels:
    """`(H, W)` of numbers, whole or not, of the type that the image has or the one that is passed.

    Their range goes from black to white. What is no number, `no_data`, and outliers (see
    `_find_range`) are left out of it, and become black or white. If all are alike, they are taken
    for shares, values of eight bits, or white. Raises ValueError for an image without any number.
    """

    def strips() -> Iterator[tuple[int, NDArray[np.float64]]]:
        for row, strip in _strips(image):
            values = (strip if type_ is None else strip.view(type_)).astype(np.float64)
            if no_data is not None:
                values[np.isclose(values, no_data, rtol=1e-6, atol=0)] = np.nan
            yield row, values

    step = max(1, int((image.width * image.height / _SAMPLE) ** 0.5))
    sample = np.concatenate([_sample(strip, step) for _, strip in strips()])
    bounds = _find_range(np.sort(sample))
    low, high = bounds[::-1]
    for _, strip in strips():
        inside = strip[(strip >= bounds[0]) & (strip <= bounds[1])]
        low, high = inside.min(initial=low), inside.max(initial=high)
    if low == high:
        low, high = 0.0, next((float(full) for full in _FULL_SCALES if high <= full), high)
    grey = np.empty(image.size[::-1], np.uint8)
    for row, strip in strips():
        share = (np.clip(strip, low, high) - low) * (255 / (high - low))
        grey[row : row + len(strip)] = np.nan_to_num(share)
    return grey


def _sample(strip: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """The numbers of every `step`-th row and column; hot pixels like the second brightest around.

    A thin line stays: each of its pixels has two neighbours in it.
    """
    height, width = strip.shape
    padded = np.pad(strip, 1, "reflect")
    shifts = [(y, x) for y in range(3) for x in range(3)]
    near = [padded[y : y + height : step, x : x + width : step].ravel() for y, x in shifts]
    middle = near.pop(len(shifts) // 2)
    is_number = np.isfinite(middle)
    middle = middle[is_number]
    around = np.stack([values[is_number] for values in near])
    around = np.sort(np.where(np.isfinite(around), around, middle), axis=0)
    return np.clip(middle, around[1], around[-2])


def _find_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Bounds of sorted values without outliers.

    Outliers are farther from the middle 98 % than these reach, or one in a thousand and farther
    than the others by a margin; and a value at one end, however often it is repeated, that stands
    for missing ones.
    """
    if not values.size:
        raise ValueError("it holds no numbers")
    values = _without_sentinels(values)
    low, high = np.percentile(values, (1, 99))
    if low == high:
        low, high = values[0], values[-1]
    reach = high - low
    values = values[(values >= low - reach) & (values <= high + reach)]
    low, high = np.percentile(values, (0.1, 99.9))
    margin = _MARGIN * (high - low)
    return float(low - margin), float(high + margin)


def _without_sentinels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sorted values without those at the ends that stand for missing ones, as -9999 does."""
    while True:
        above = values[np.searchsorted(values, values[0], "right") :]
        below = values[: np.searchsorted(values, values[-1], "left")]
        if _is_sentinel(float(values[0]), above, values.size):
            values = above
        elif _is_sentinel(float(values[-1]), below, values.size):
            values = below
        else:
            return values


def _is_sentinel(value: float, rest: NDArray[np.float64], count: int) -> bool:
    """Whether a value is far from the rest, which is sorted, and none that a picture would have."""
    if rest.size < 2:
        return False
    if value < rest[0]:
        gap, spread = rest[0] - value, np.percentile(rest, 99) - rest[0]
    else:
        gap, spread = value - rest[-1], rest[-1] - np.percentile(rest, 1)
    if not 0 < _SENTINEL_GAP * spread < gap:
        return False
    if min(value, rest[0]) < 0:
        return True
    full = next((full for full in _FULL_SCALES if rest[-1] <= full), 0)
    is_paper = rest.size < count / 2 and value <= _MAX_VALUE
    return not (value <= full or is_paper)


def _strips(image: Image.Image) -> Iterator[tuple[int, NDArray[Any]]]:
    """An image's rows in arrays of about STRIP_PIXELS, each with the number of its first row."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield top, np.asarray(image.crop(box))
