"""Listed photos, each decoded once: its prepared pixels kept, and what else is told from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tagger.concurrency import Progress, ordered_map
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.errors import ImageError
from tagger.images import decode as images
from tagger.images import hashing, quality, transforms

Readable = tuple[list[Sample], tuple[tuple[str, str], ...]]  # and the unreadable, with reasons


def decode_samples(
    root: Path,
    listed: Sequence[Sample],
    store: PixelStore,
    workers: int | None,
    progress: Progress,
) -> Readable:
    """The photos that can be read, in order, their pixels in `store`.

    And those that cannot, relative to `root`, each with its reason.
    """

    def decode(sample: Sample) -> tuple[Sample, images.Pixels | None, str]:
        try:
            data = images.read_bytes(sample.path)
            rgb = images.read(data, shorter_side=store.image_size)
            metadata = images.read_metadata(data)  # again: a fortieth of what decoding takes
        except ImageError as error:
            return sample, None, error.reason
        pixels = transforms.fit(rgb, store.image_size)
        seen = replace(
            sample,
            digest=hashlib.sha256(data).hexdigest(),
            perceptual_hash=hashing.perceptual_hash(pixels),
            quality=quality.measure(rgb, min(metadata.width, metadata.height)),
        )
        return seen, pixels, ""

    samples: list[Sample] = []
    unreadable: list[tuple[str, str]] = []
    decoded = ordered_map(decode, listed, workers)
    for sample, pixels, error in progress(decoded, len(listed), "Reading photos"):
        if pixels is None:
            unreadable.append((relative_paths(root, [sample.path])[0], error))
        else:
            samples.append(replace(sample, row=store.append(pixels)))
    return samples, tuple(unreadable)


def relative_paths(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    """Paths as a person knows them, from the collection on."""
    return tuple(path.relative_to(root).as_posix() for path in paths)
