"""Copies of photos, and other photos of their scenes."""

from __future__ import annotations

import math
from itertools import combinations

import cv2
import numpy as np
import pytest

from tagger.images import decode
from tagger.images.decode import Pixels
from tagger.images.near_copy import is_near_copy, make_sketch, measure_difference
from tests.conftest import draw_scene, draw_smooth_colours
from tests.images.test_same_picture import adjust, crop

EDITS = {
    "recompressed": lambda rgb: decode.read(decode.encode(rgb, "JPEG")),
    "smaller": lambda rgb: cv2.resize(rgb, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
    "cropped": lambda rgb: crop(rgb, 0.9),
    "brighter": lambda rgb: adjust(rgb, 1.25, 15),
    "darker": lambda rgb: adjust(rgb, 0.6, -10),
    "all of it": lambda rgb: adjust(cv2.resize(crop(rgb, 0.9), None, fx=0.7, fy=0.7), 1.15, 10),
    "of another shape": lambda rgb: np.ascontiguousarray(rgb[:, 10:-10]),
}


def move_something(rgb: Pixels) -> Pixels:
    """The photo with a part of it elsewhere."""
    moved = rgb.copy()
    moved[60:110, 70:130] = rgb[150:200, 150:210]
    return moved


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("draw", [draw_scene, draw_smooth_colours])
def test_a_copy_is_one_in_either_order(draw, edit) -> None:  # type: ignore[no-untyped-def]
    for seed in range(3):
        photo = draw(seed, 256)
        first, second = make_sketch(photo), make_sketch(edit(photo).astype(np.uint8))
        assert is_near_copy(first, second) and is_near_copy(second, first)


def test_photos_in_which_something_moved_are_no_copies() -> None:
    for seed in range(5):
        photo = draw_scene(seed, 256)
        for other in (move_something(photo), crop(move_something(photo), 0.95)):
            assert not is_near_copy(make_sketch(photo), make_sketch(other))


def test_other_photos_are_no_copies() -> None:
    pictures = [draw_scene(seed, 256) for seed in range(5)]
    pictures += [draw_smooth_colours(seed) for seed in range(4)]
    sketches = [make_sketch(picture) for picture in pictures]
    assert not any(is_near_copy(*pair) for pair in combinations(sketches, 2))


def test_differences_are_numbers_for_all_kinds_of_pictures() -> None:
    odd = [
        np.zeros((200, 300, 3), np.uint8),
        np.full((2, 900, 3), 255, np.uint8),
        np.full((1, 1, 3), 90, np.uint8),
        draw_scene(1, 256),
        np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8),
    ]
    for first in odd:
        for second in odd:
            difference = measure_difference(make_sketch(first), make_sketch(second))
            assert difference >= 0 and not math.isnan(difference)
    assert measure_difference(make_sketch(odd[3]), make_sketch(odd[3])) < 0.01
