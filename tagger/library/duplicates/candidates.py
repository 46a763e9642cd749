"""Pairs of photos that may be near copies, by their hashes and vectors.

All pairs are compared, in tiles that NumPy works on: 100,000 photos are five thousand million pairs
of hashes, and the vectors of one pair in a thousand are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagger.library.duplicates.hashes import Hashes
from tagger.library.vectors import Ids

NEAR_BITS = 10  # of 64, in which hashes of candidates differ at most
FAR_BITS = 20  # or so many, of photos whose vectors are alike
MIN_COSINE = 0.7  # of those; crops have 0.85 or more, crops that are edited as well fewer
MAX_CANDIDATES = 50  # of a photo, the nearest: there may be thousands of empty pages

ROWS = 256  # photos compared together
_TILE = 16_384  # with as many others

Cosines = Callable[[Ids, Ids], NDArray[np.float32]]  # of pairs (P,), by row; NaN without vectors


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of a few photos: rows `first (P,)` of those and `second (P,)` of others."""

    rows: Ids
    first: Ids
    second: Ids


def find_candidates(
    hashes: Hashes, is_new: NDArray[np.bool_], cosines: Cosines
) -> Iterator[Candidates]:
    """The candidates of each new photo, for `ROWS` of them at a time, each pair once.

    `hashes (N,)` and `is_new (N,)` are of all photos. Pairs of photos that are not new are left
    out.
    """
    new_rows = np.flatnonzero(is_new)
    for start in range(0, len(new_rows), ROWS):
        rows = new_rows[start : start + ROWS]
        tiles = [_compare(hashes, rows, begin, is_new, cosines) for begin in _tiles(len(hashes))]
        first, second, bits = (np.concatenate(parts) for parts in zip(*tiles, strict=True))
        kept = _nearest(first, second, bits)
        yield Candidates(rows, first[kept], second[kept])


def _tiles(count: int) -> range:
    return range(0, count, _TILE)


def _compare(
    hashes: Hashes, rows: Ids, begin: int, is_new: NDArray[np.bool_], cosines: Cosines
) -> tuple[Ids, Ids, NDArray[np.uint8]]:
    """The pairs of `rows` with photos from `begin` on, and in how many bits they differ."""
    tile = hashes[begin : begin + _TILE]
    bits = np.bitwise_count(hashes[rows, None] ^ tile)  # (rows, tile)
    lines, columns = np.nonzero(bits <= FAR_BITS)
    first, second, bits = rows[lines], columns + begin, bits[lines, columns]
    is_pair = ~is_new[second] | (second < first)  # or each would come twice
    first, second, bits = first[is_pair], second[is_pair], bits[is_pair]
    is_candidate = bits <= NEAR_BITS
    far = np.flatnonzero(~is_candidate)
    is_candidate[far] = cosines(first[far], second[far]) >= MIN_COSINE
    return first[is_candidate], second[is_candidate], bits[is_candidate]


def _nearest(first: Ids, second: Ids, bits: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The positions of the nearest MAX_CANDIDATES of each photo."""
    order = np.lexsort((second, bits, first))
    ranks = np.arange(len(order)) - np.searchsorted(first[order], first[order])
    return order[ranks < MAX_CANDIDATES]
