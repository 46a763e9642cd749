"""Perceptual hashes of photos, and groups of near copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels

NEAR_BITS = 3  # of 64: photos whose hashes differ in no more bits are near copies


def perceptual_hash(rgb: Pixels) -> int:
    """A 64-bit hash that differs in few bits between copies of a photo.

    The signs, against their median, of the 8x8 lowest frequencies of a 32x32 grey copy
    (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
    """
    grey = cv2.cvtColor(cv2.resize(rgb, (32, 32), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    low = cv2.dct(grey.astype(np.float32))[:8, :8].ravel()
    bits = low > np.median(low[1:])  # without the mean brightness, which is no part of the content
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def group_near_copies(hashes: Sequence[int], bits: int = NEAR_BITS) -> NDArray[np.int64]:
    """A group number for each 64-bit hash `(N,)`; hashes within `bits` bits share a group.

    Hashes that close are equal in at least one of `bits + 1` bands, so only hashes that share a
    band are compared (Norouzi et al. 2012, arXiv:1307.2982).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes, positions = np.unique(np.array(hashes, dtype=np.uint64), return_inverse=True)
    pairs = [pair for band in _bands(codes, bits + 1) for pair in _close_pairs(codes, band, bits)]
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(codes), len(codes)))
    groups = connected_components(links, directed=False)[1]
    return np.asarray(groups[positions], dtype=np.int64)


def _bands(codes: NDArray[np.uint64], count: int) -> Iterator[NDArray[np.uint64]]:
    width = 64 // count
    for band in range(count):
        yield (codes >> np.uint64(band * width)) & np.uint64((1 << width) - 1)


def _close_pairs(
    codes: NDArray[np.uint64], band: NDArray[np.uint64], bits: int
) -> Iterator[tuple[int, int]]:
    order = np.argsort(band, kind="stable")
    edges = np.flatnonzero(np.diff(band[order])) + 1
    for bucket in np.split(order, edges):
        for position, index in enumerate(bucket[:-1]):
            rest = bucket[position + 1 :]
            near = rest[np.bitwise_count(codes[rest] ^ codes[index]) <= bits]
            yield from ((int(index), int(neighbour)) for neighbour in near)
