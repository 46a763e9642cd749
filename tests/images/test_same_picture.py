"""Edited copies of a photo, and other photos."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from tagger.images import decode
from tagger.images.decode import Pixels
from tagger.images.same_picture import shows_same_picture
from tests.conftest import draw_scene, draw_smooth_colours


def crop(rgb: Pixels, share: float) -> Pixels:
    height, width = (int(side * share) for side in rgb.shape[:2])
    top, left = (rgb.shape[0] - height) // 3, (rgb.shape[1] - width) // 2
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def adjust(rgb: Pixels, gain: float, offset: float) -> Pixels:
    return np.clip(rgb.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8)


def straighten(rgb: Pixels) -> Pixels:
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 4, 1.1)
    return cv2.warpAffine(rgb, matrix, (width, height)).astype(np.uint8)


def in_grey(rgb: Pixels) -> Pixels:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "saved again": lambda rgb: decode.read(decode.encode(rgb, "JPEG")),
    "cropped a little": lambda rgb: crop(rgb, 0.9),
    "cropped": lambda rgb: crop(rgb, 0.6),
    "brighter": lambda rgb: adjust(rgb, 1.3, 15),
    "darker": lambda rgb: adjust(rgb, 0.55, 0),
    "more contrast": lambda rgb: adjust(rgb, 1.5, -64),
    "grey": in_grey,
    "turned": lambda rgb: np.ascontiguousarray(np.rot90(rgb)),
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "straightened": straighten,
    "smaller": lambda rgb: cv2.resize(rgb, None, fx=0.5, fy=0.5).astype(np.uint8),
    "cropped and darker": lambda rgb: adjust(crop(rgb, 0.7), 0.6, 0),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_copy_shows_the_same_picture(edit: Callable[[Pixels], Pixels]) -> None:
    for seed in range(3):
        scene = draw_scene(seed, 256)
        assert shows_same_picture(scene, edit(scene)) and shows_same_picture(edit(scene), scene)


@pytest.mark.parametrize("edit", ["saved again", "cropped", "brighter", "grey", "smaller"])
def test_so_does_one_of_a_picture_without_details(edit: str) -> None:
    for seed in range(3):
        colours = draw_smooth_colours(seed)
        assert shows_same_picture(colours, EDITS[edit](colours))


def test_other_pictures_are_others() -> None:
    pictures = [draw_scene(seed, 256) for seed in range(5)]
    pictures += [draw_smooth_colours(seed) for seed in range(3)]
    pictures += [np.full((200, 300, 3), 90, np.uint8), crop(draw_scene(9, 256), 0.1)]
    assert not any(shows_same_picture(*pair) for pair in combinations(pictures, 2))


def test_real_photos_and_their_edits(data: Path) -> None:
    paths = sorted((data / "everyday" / "images").iterdir())[::900]
    photos = [decode.read(path, 320) for path in paths[:6]]
    for photo in photos:
        assert [
            name for name, edit in EDITS.items() if not shows_same_picture(photo, edit(photo))
        ] == []
    assert not any(shows_same_picture(*pair) for pair in combinations(photos, 2))
