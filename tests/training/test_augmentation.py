"""Augmentation: seeded, never in place, within its configured limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagger.errors import OptionError
from tagger.images.decode import Pixels
from tagger.training.augmentation import MIDDLE_GREY, Augmentation, ShiftAugmentation, mosaic

NO_CHANGE: dict[str, Any] = {
    "flip": 0.0,
    "crop": (1.0, 1.0),
    "stretch": 1.0,
    "rotation": 0.0,
    "brightness": 0.0,
    "contrast": (1.0, 1.0),
    "saturation": (1.0, 1.0),
    "grey": 0.0,
    "cutout": 0.0,
}


def photo(side: int = 64) -> Pixels:
    """Red on the left, blue on the right, on a ramp from dark to light downwards."""
    canvas = np.linspace(60, 160, side)[:, None, None].repeat(side, axis=1).repeat(3, axis=2)
    canvas[:, : side // 2, 0] += 60
    canvas[:, side // 2 :, 2] += 60
    return canvas.astype(np.uint8)


def variant(seed: int = 0, **changed: Any) -> Pixels:
    return Augmentation(**{**NO_CHANGE, **changed})(photo(), np.random.default_rng(seed))


def mean_change(pixels: Pixels) -> float:
    return float(np.abs(pixels.astype(int) - photo()).mean())


def test_the_same_seed_gives_the_same_pixels() -> None:
    augment = Augmentation()
    first, again, other = (augment(photo(), np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8


def test_the_photo_itself_is_not_changed() -> None:
    original = photo()
    original.setflags(write=False)
    for seed in range(20):
        Augmentation(cutout=1.0)(original, np.random.default_rng(seed))
    np.testing.assert_array_equal(original, photo())


def test_with_everything_off_nothing_changes() -> None:
    np.testing.assert_array_equal(variant(), photo())


def test_flip_mirrors_left_and_right() -> None:
    flipped = variant(flip=1.0).astype(int)
    assert (flipped[:, 4, 2] > flipped[:, 4, 0]).all()
    assert (flipped[:, -4, 0] > flipped[:, -4, 2]).all()
    np.testing.assert_array_equal(flipped[:, 8, 1], photo()[:, 8, 1])  # not upside down


@pytest.mark.parametrize(
    "changed",
    [
        {"crop": (0.3, 0.5)},
        {"crop": (1.5, 1.5)},
        {"stretch": 1.5},
        {"rotation": 40.0},
        {"brightness": 0.4},
        {"contrast": (0.4, 0.6)},
        {"saturation": (0.0, 0.3)},
        {"grey": 1.0},
        {"cutout": 1.0},
    ],
    ids=str,
)
def test_each_option_alone_changes_the_photo(changed: dict[str, Any]) -> None:
    assert np.mean([mean_change(variant(seed, **changed)) for seed in range(8)]) > 1


def test_grey_removes_all_colour() -> None:
    assert np.ptp(variant(grey=1.0).astype(int), axis=2).max() <= 1


def test_brightness_changes_by_no_more_than_its_share_of_full_scale() -> None:
    changes = [variant(seed, brightness=0.1).astype(int) - photo() for seed in range(40)]
    assert max(np.abs(change).max() for change in changes) <= 26
    means = [change.mean() for change in changes]
    assert min(means) < -10 and max(means) > 10


def test_a_crop_of_a_quarter_shows_half_of_the_ramp() -> None:
    ranges = [np.ptp(variant(seed, crop=(0.25, 0.25))[:, 10, 1].astype(int)) for seed in range(20)]
    assert all(45 <= size <= 56 for size in ranges)  # half of the ramp's 100


def test_cutout_hides_one_patch_of_one_colour() -> None:
    sizes = []
    for seed in range(30):
        hidden = (variant(seed, cutout=1.0, cutout_side=(0.25, 0.5)) != photo()).any(axis=2)
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        sizes.append((np.ptp(rows) + 1, np.ptp(columns) + 1))
        assert hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.9
    assert np.min(sizes) >= 15 and np.max(sizes) <= 32


@pytest.mark.parametrize(
    "changed", [{"crop": (0.0, 1.0)}, {"crop": (1.0, 0.5)}, {"stretch": 0.9}], ids=str
)
def test_invalid_options_are_refused_by_name(changed: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(changed))):
        Augmentation(**changed)


def test_a_flip_is_the_mirror_image() -> None:
    np.testing.assert_array_equal(variant(flip=1.0), photo()[:, ::-1])


@pytest.mark.parametrize(
    "changed",
    [{"flip": 1.5}, {"cutout_side": (0.1, 1.5)}, {"contrast": (1.3, 0.7)}, {"rotation": -5.0}],
    ids=str,
)
def test_invalid_options_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Augmentation(**changed)


# --- several photos as one


def plain(value: int) -> Pixels:
    return np.full((64, 64, 3), value, np.uint8)


def test_a_mosaic_of_two_has_the_second_within_the_first() -> None:
    pixels = mosaic([plain(10), plain(200)], np.random.default_rng(0))
    inset = (pixels == 200).all(axis=2)
    height, width = (int(inset.any(axis=axis).sum()) for axis in (1, 0))
    assert height == width == int(np.sqrt(inset.sum()))
    assert 0.35 * 64 <= height + 1 <= 0.7 * 64 + 1
    assert set(np.unique(pixels)) == {10, 200}


def test_a_mosaic_of_four_has_one_in_each_corner() -> None:
    pixels = mosaic([plain(value) for value in (10, 60, 120, 200)], np.random.default_rng(0))
    corners = [pixels[y, x, 0] for y in (0, -1) for x in (0, -1)]
    assert corners == [10, 60, 120, 200] and set(np.unique(pixels)) == {10, 60, 120, 200}
    assert all((pixels == value).all(axis=2).mean() > 0.1 for value in (10, 60, 120, 200))


def test_mosaics_are_seeded_and_photos_are_not_changed() -> None:
    photos = [photo(), plain(9)]
    first, again, other = (mosaic(photos, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(photos[0], photo())


def test_a_small_photo_is_shifted_by_whole_pixels_and_mirrored() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    before, shifts = pixels.copy(), set()
    for seed in range(200):
        shifted = ShiftAugmentation(cutout=0)(pixels, np.random.default_rng(seed), mirrored=False)
        mirrored = ShiftAugmentation(cutout=0)(pixels, np.random.default_rng(seed), mirrored=True)
        assert shifted.shape == pixels.shape
        assert np.array_equal(mirrored, shifted[:, ::-1])
        middle = shifted[2:30, 2:30]  # still in the photo after a shift by two pixels
        matches = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if np.array_equal(middle, pixels[down : down + 28, right : right + 28])
        ]
        assert len(matches) == 1
        shifts |= set(matches)
    assert len(shifts) == 25 and np.array_equal(pixels, before)
    no_change = ShiftAugmentation(0.0, 0.0)
    assert np.array_equal(no_change(pixels, np.random.default_rng(0), mirrored=False), pixels)


def test_a_grey_square_covers_any_part_of_a_small_photo() -> None:
    pixels = np.random.default_rng(3).integers(0, 100, (32, 32, 3)).astype(np.uint8)
    cut_out, covered = ShiftAugmentation(max_shift=0), np.zeros((32, 32), int)
    for seed in range(400):
        variant = cut_out(pixels, np.random.default_rng(seed), mirrored=False)
        cut = (variant == MIDDLE_GREY).all(axis=2)
        rows, columns = np.flatnonzero(cut.any(axis=1)), np.flatnonzero(cut.any(axis=0))
        assert cut.sum() == 100 and len(rows) == len(columns) == 10  # 0.3 of 32 pixels
        assert np.array_equal(variant[~cut], pixels[~cut])
        covered += cut
    edges = (covered[0], covered[-1], covered[:, 0], covered[:, -1])
    assert all(edge.any() for edge in edges)
