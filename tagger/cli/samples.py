"""Sample photos and sample collections, written into a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tagger import console
from tagger.datasets import cifar10, sample_photos
from tagger.errors import TaggerError
from tagger.models import pretrained


def main(argv: Sequence[str] | None = None) -> int:
    """Write four sample photos and print their paths. Exit status: 0 written, 2 nothing done."""
    parser = argparse.ArgumentParser(
        prog="image-tagger samples", description="Write sample photos."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("samples"))
    try:
        photos = sample_photos.write_samples(parser.parse_args(argv).folder)
    except (TaggerError, OSError) as error:
        return console.refuse(error)
    for photo in photos:
        print(photo)
    return 0


def main_cifar10(argv: Sequence[str] | None = None) -> int:
    """Write CIFAR-10 as label folders. Exit status: 0 written, 2 nothing to write."""
    parser = argparse.ArgumentParser(
        prog="python -m tagger.cifar10", description="Write CIFAR-10 as folders for train.py."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("cifar10"))
    folder = parser.parse_args(argv).folder
    try:
        with console.quiet_libraries():
            count = cifar10.write(folder, pretrained.cifar10(), console.progress)
    except (TaggerError, OSError) as error:
        return console.refuse(error)
    print(f"{folder}: {count:,} photos of {len(cifar10.LABELS)} labels")
    return 0
