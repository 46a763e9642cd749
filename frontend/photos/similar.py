"""Similar photos: those of the library that are near enough to another one."""

from __future__ import annotations

from collections.abc import Iterable

from tagger.library.records import Photo

# Of the pairs of ordinary photos with this cosine and more, most show the same thing; of those just
# below, fewer than half (bench/similar.py).
SIMILAR = 0.5


def caption_similar(neighbours: Iterable[tuple[Photo, float]]) -> list[tuple[Photo, str]]:
    """Those of the photos that are similar, by their cosine, each with a caption."""
    return [
        (photo, f"{min(cosine, 1.0):.0%} similar")
        for photo, cosine in neighbours
        if cosine >= SIMILAR
    ]
