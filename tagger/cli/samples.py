"""Write sample photos, or CIFAR-10 as a sample collection, into a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tagger import console
from tagger.datasets import cifar10, sample_photos
from tagger.models import keras_cache


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write four sample photos and print their paths. Exit status: 0 written, 2 nothing done."""
    parser = argparse.ArgumentParser(prog=prog, description="Write four sample photos.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("samples"))
    folder = parser.parse_args(argv).folder

    def write() -> int:
        for photo in sample_photos.write_samples(folder):
            console.write(str(photo))
        return 0

    return console.run(write)


def main_cifar10(argv: Sequence[str] | None = None) -> int:
    """Write CIFAR-10 as label folders. Exit status: 0 written, 2 nothing to write."""
    parser = argparse.ArgumentParser(
        prog="python -m tagger.cifar10", description="Write CIFAR-10 as folders for train.py."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("cifar10"))
    folder = parser.parse_args(argv).folder

    def write() -> int:
        count = cifar10.write(folder, keras_cache.load_cifar10(), console.progress)
        console.write(f"{folder}: {count:,} photos of {len(cifar10.LABELS)} labels")
        return 0

    return console.run(write)
