"""Perceptual hashes of photos, and groups of near copies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.images import decode, hashing, transforms
from tagger.images.decode import Pixels
from tests.conftest import draw_smooth_colours

codes = st.integers(0, 2**64 - 1)
flips = st.lists(st.integers(0, 63), max_size=6).map(lambda bits: sum(1 << b for b in set(bits)))


@st.composite
def near_hashes(draw: st.DrawFn) -> list[int]:
    """Hashes of which many lie a few bits from each other."""
    bases = draw(st.lists(codes, min_size=1, max_size=4))
    return [draw(st.sampled_from(bases)) ^ draw(flips) for _ in range(draw(st.integers(0, 25)))]


def brute_groups(hashes: list[int], bits: int) -> set[frozenset[int]]:
    """Positions by group, from comparing every pair."""
    groups = [{index} for index in range(len(hashes))]
    for i, a in enumerate(hashes):
        for j, b in enumerate(hashes[:i]):
            if (a ^ b).bit_count() <= bits and groups[i] is not groups[j]:
                groups[i] |= groups[j]
                for member in groups[j]:
                    groups[member] = groups[i]
    return {frozenset(group) for group in groups}


def partition(groups: list[int]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(np.array(groups) == group).tolist()) for group in groups}


def distance(a: Pixels, b: Pixels) -> int:
    return (hashing.perceptual_hash(a) ^ hashing.perceptual_hash(b)).bit_count()


@pytest.mark.parametrize("seed", range(10))
def test_copies_have_close_hashes_and_different_photos_do_not(seed: int) -> None:
    original = draw_smooth_colours(seed)
    recoded = decode.read(decode.encode(original, "JPEG"))
    assert distance(original, recoded) <= 3
    assert distance(original, transforms.fit(original, 120)) <= 3
    assert distance(original, np.clip(original * 0.8 + 20, 0, 255).astype(np.uint8)) <= 4
    assert min(distance(original, draw_smooth_colours(number)) for number in range(100, 120)) > 10
    assert 0 <= hashing.perceptual_hash(original) < 2**64


@settings(deadline=None, max_examples=80)
@given(near_hashes(), st.integers(0, 7))
def test_groups_are_those_of_comparing_every_pair(hashes: list[int], bits: int) -> None:
    groups = hashing.group_near_copies(hashes, bits).tolist()
    assert len(groups) == len(hashes)
    assert partition(groups) == brute_groups(hashes, bits)


def test_a_chain_of_near_copies_is_one_group() -> None:
    hashes = [0, 0b111, 0b111_111, 0b111_111_111, 2**64 - 1]
    groups = hashing.group_near_copies(hashes)
    assert partition(groups.tolist()) == {frozenset(range(4)), frozenset([4])}
    groups = hashing.group_near_copies([0, 0b1111])
    assert partition(groups.tolist()) == {frozenset([0]), frozenset([1])}
