"""How much a photo differs from a copy of another: resized, recompressed, brightened, cropped.

One photo is laid over the other (Evangelidis and Psarakis, "Parametric Image Alignment Using
Enhanced Correlation Coefficient Maximization", 2008), its tones are matched, and what then differs
most in any small part counts. Photos of one scene taken after each other differ where something
moved, which no crop or other brightness explains. Measured in `bench/duplicates.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels

MAX_DIFFERENCE = 0.4  # of a copy from the photo; see `measure_difference`

_COARSE, _FINE = 40, 144  # pixels of a side: to align photos roughly, and to compare them
_MIN_FINE = 48  # pixels of a side, of very small photos
_DETAILED = 0.67  # of the smaller photo's pixels: what is finer is lost where it is reduced
_CELL = 10 / 144  # of the side of a part that is compared
_MIN_ROUGH = 0.75  # correlation of photos that are roughly aligned
_MIN_OVERLAP = 0.5  # of the area
_ROUGH_STEPS, _FINE_STEPS = 15, 20
_DARKEST, _BRIGHTEST = 5, 250  # of a colour: it may have been cut off
_CUT = 20  # of 255: a part of the picture counts as cut off if so much of it is
_MIN_WHOLE = 0.05  # of the pixels, without those
_MIN_CONTRAST = 6.0  # standard deviation of grey values; what differs in less is noise
_CROPS = (0.9,)  # of a side: where the alignment starts

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Matrix = NDArray[Any]  # (2, 3), from pixels of one picture to those of the other


@dataclass(frozen=True, eq=False)
class Sketch:
    """A photo in grey, squashed to squares: what is compared.

    `bright` and `dark` are where a colour is as bright or as dark as it can be: brightness beyond
    the scale is cut off there.
    """

    coarse: Grey
    fine: Grey  # of a small photo smaller
    bright: Grey  # as `fine`, 255 where it is so
    dark: Grey


def make_sketch(rgb: Pixels) -> Sketch:
    """The sketch of a photo or its thumbnail `(H, W, 3)`."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    side = max(_MIN_FINE, min(_FINE, round(max(rgb.shape[:2]) * _DETAILED)))
    bright = (rgb.max(axis=2) >= _BRIGHTEST).astype(np.uint8) * 255
    dark = (rgb.min(axis=2) <= _DARKEST).astype(np.uint8) * 255
    fine, bright, dark = (_resize(each, side) for each in (grey, bright, dark))
    return Sketch(_resize(grey, _COARSE), fine, bright, dark)


def is_near_copy(first: Sketch, second: Sketch) -> bool:
    """Whether one photo is a copy of the other, or both are copies of a third."""
    return measure_difference(first, second) <= MAX_DIFFERENCE


def measure_difference(first: Sketch, second: Sketch) -> float:
    """How much two photos differ in the part that differs most, where they overlap.

    In standard deviations of the photo's grey values: 0 for equal ones; infinite for photos that
    cannot be laid over each other.
    """
    matrix = _align_roughly(_to_float(first.coarse), _to_float(second.coarse))
    if matrix is None:
        return math.inf
    side = min(len(first.fine), len(second.fine))
    left, right = (_Picture.of(sketch, side) for sketch in (first, second))
    start = _rescale(matrix, side / _COARSE)
    correlation, matrix = _align(left.grey, right.grey, start, _FINE_STEPS)
    if correlation <= 0:
        return math.inf
    covered = _warp(np.ones_like(left.grey), matrix, cv2.BORDER_CONSTANT)
    mask: Any = cv2.erode(covered, np.ones((5, 5), np.uint8)) > 0.5
    if mask.mean() < _MIN_OVERLAP:
        return math.inf
    over = right.warp(matrix)
    return min(_residual(left, over, mask), _residual(over, left, mask))


@dataclass(frozen=True, eq=False)
class _Picture:
    """A sketch at the side at which two are compared."""

    grey: Floats
    bright: NDArray[np.bool_]
    dark: NDArray[np.bool_]

    @classmethod
    def of(cls, sketch: Sketch, side: int) -> _Picture:
        grey, bright, dark = (
            _to_float(_resize(each, side)) for each in (sketch.fine, sketch.bright, sketch.dark)
        )
        return cls(grey, bright > _CUT, dark > _CUT)

    def warp(self, matrix: Matrix) -> _Picture:
        """The picture laid over the one to which `matrix` leads from."""
        bright, dark = (
            _warp(each.astype(np.float32), matrix) > 0 for each in (self.bright, self.dark)
        )
        return _Picture(_warp(self.grey, matrix), bright, dark)


def _warp(picture: Floats, matrix: Matrix, border: int = cv2.BORDER_REPLICATE) -> Floats:
    size = picture.shape[1], picture.shape[0]
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=border))


def _resize(grey: Any, side: int) -> Grey:
    if grey.shape == (side, side):
        return np.asarray(grey)
    is_smaller = side < min(grey.shape)
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (side, side), interpolation=method), np.uint8)


def _to_float(grey: Grey) -> Floats:
    """A picture without its finest details, which compression changes."""
    return cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0).astype(np.float32, copy=False)


def _align_roughly(left: Floats, right: Floats) -> Matrix | None:
    """The best of a few alignments; None if none is good."""
    best, best_matrix = _MIN_ROUGH, None
    for scale in (1.0, *_CROPS, *(1 / crop for crop in _CROPS)):
        start = np.eye(2, 3, dtype=np.float32)
        start[:, :2] *= scale
        start[:, 2] = (1 - scale) * (len(left) - 1) / 2  # around the centre
        correlation, matrix = _align(left, right, start, _ROUGH_STEPS)
        if correlation > best:
            best, best_matrix = correlation, matrix
        if correlation > 0.97:
            break
    return best_matrix


def _align(left: Floats, right: Floats, start: Matrix, steps: int) -> tuple[float, Matrix]:
    """The correlation of `left` with `right` laid over it, and where; 0 if it gets nowhere."""
    everywhere = np.ones(right.shape, np.uint8)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-3)
    try:
        correlation, matrix = cv2.findTransformECC(
            left, right, start.copy(), cv2.MOTION_AFFINE, stop, everywhere, 1
        )
    except cv2.error:  # it does not converge, as of pictures that have nothing in common
        return 0.0, start
    return float(correlation), matrix


def _rescale(matrix: Matrix, factor: float) -> Matrix:
    """A matrix for pictures that have `factor` times the side."""
    scaled = matrix.copy()
    offset = matrix[:, 2] + 0.5 * (matrix[:, :2].sum(axis=1) - 1)  # of corners, not pixel centres
    scaled[:, 2] = factor * offset - 0.5 * (matrix[:, :2].sum(axis=1) - 1)
    return scaled


def _residual(target: _Picture, source: _Picture, mask: NDArray[np.bool_]) -> float:
    """What is left of `target` in the worst part, once the tones of `source` are matched to it."""
    rest = np.zeros_like(target.grey)
    contrast = max(float(target.grey[mask].std()), _MIN_CONTRAST)
    rest[mask] = _subtract(target, source, mask) / contrast
    side = max(3, round(_CELL * len(rest)))
    weights = cv2.boxFilter(mask.astype(np.float32), -1, (side, side))
    squares = cv2.boxFilter(rest * rest, -1, (side, side))
    is_inside = weights > 0.5
    return float(np.sqrt((squares[is_inside] / weights[is_inside]).max()))


def _subtract(target: _Picture, source: _Picture, mask: NDArray[np.bool_]) -> Floats:
    """`target` less what a smooth curve makes of `source`, but for what being cut off hides."""
    x, y = source.grey[mask], target.grey[mask]
    falls_short = (target.bright | source.dark)[mask]
    exceeds = (source.bright | target.dark)[mask]
    is_whole = ~(falls_short | exceeds)
    if is_whole.mean() < _MIN_WHOLE:
        is_whole[:] = True
    powers = np.vander(x / 255, 4)
    curve, *_ = np.linalg.lstsq(powers[is_whole], y[is_whole], rcond=None)
    rest: Floats = (y - powers @ curve).astype(np.float32)
    rest[falls_short] = np.maximum(rest[falls_short], 0)
    rest[exceeds] = np.minimum(rest[exceeds], 0)
    return rest
