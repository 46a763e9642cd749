"""Decoding of listed photos: pixels into the pixel store, hashes and quality into the samples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tagger.concurrency import Progress, ordered_map
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.errors import ImageError
from tagger.images import decode, hashing, quality, transforms


class DecodedSamples(NamedTuple):
    """Samples whose pixels are in the store, and the unreadable photos, each with the reason."""

    samples: list[Sample]
    unreadable: tuple[tuple[str, str], ...]


def decode_samples(
    root: Path, listed: Sequence[Sample], store: PixelStore, workers: int | None, progress: Progress
) -> DecodedSamples:
    """Decode each photo once, in order; unreadable ones are listed by their path in `root`."""

    def decode_sample(sample: Sample) -> tuple[Sample, decode.Pixels | ImageError]:
        try:
            data = decode.read_bytes(sample.path)
            rgb = decode.read(data, shorter_side=store.image_size)
            metadata = decode.read_metadata(data)  # takes a fortieth of the time of decoding
        except ImageError as error:
            return sample, error
        pixels = transforms.fit(rgb, store.image_size)
        sample = replace(
            sample,
            digest=hashlib.sha256(data).hexdigest(),
            perceptual_hash=hashing.perceptual_hash(pixels),
            quality=quality.measure(rgb, min(metadata.width, metadata.height)),
        )
        return sample, pixels

    samples: list[Sample] = []
    unreadable: list[tuple[str, str]] = []
    decoded = ordered_map(decode_sample, listed, workers)
    for sample, pixels in progress(decoded, len(listed), "Reading photos"):
        if isinstance(pixels, ImageError):
            unreadable.append((relative_path(root, sample.path), pixels.reason))
        else:
            samples.append(replace(sample, row=store.append(pixels)))
    return DecodedSamples(samples, tuple(unreadable))


def relative_path(root: Path, path: Path) -> str:
    """A photo's path in a dataset, with "/", as messages and lists show it; else its whole path."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
