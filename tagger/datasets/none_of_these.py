"""Photos that show none of a collection's labels, so that a model learns to say that, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagger.datasets.readers.listing import Listing
from tagger.datasets.sample import Sample
from tagger.errors import DatasetError
from tagger.images import decode

_EVERY = 5  # one in so many is validated on, where a collection names its validation photos


def add_photos(listing: Listing, folder: Path) -> Listing:
    """A listing with all photos under a folder, as photos with none of its labels.

    Its labels become tags, as a photo may have none of them; a photo with one label has none of
    the others. Photos that are listed already are left as they are. Raises DatasetError for a
    folder without photos.
    """
    listed = {sample.path.resolve() for sample in listing.samples}
    paths = [path for path in decode.find_photos(folder) if path.resolve() not in listed]
    if not paths:
        raise DatasetError(f"{folder}: found 0 photos of other things in it")
    has_validation = any(sample.split == "val" for sample in listing.samples)
    samples = [
        Sample(path, (), "val" if has_validation and number % _EVERY == 0 else "train")
        for number, path in enumerate(sorted(paths))
    ]
    return replace(listing, kind="multi", samples=(*listing.samples, *samples))


def drop_copies(samples: list[Sample], folder: Path) -> list[Sample]:
    """Decoded samples without those under a folder whose content is that of another one."""
    digests = {sample.digest for sample in samples if not sample.path.is_relative_to(folder)}
    return [
        sample
        for sample in samples
        if not (sample.path.is_relative_to(folder) and sample.digest in digests)
    ]
