"""CIFAR-10 as label folders: 50,000 training and 10,000 test photos.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress, silent
from tagger.files import write_atomically
from tagger.images import decode

LABELS = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

Photos = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (N, 32, 32, 3), label numbers (N, 1)


def write(folder: Path, splits: dict[str, Photos], progress: Progress = silent) -> int:
    """Write each photo as `folder/SPLIT/LABEL/NUMBER.png`; the number of photos.

    Existing files are kept, so that an interrupted call can be repeated.
    """
    count = 0
    for split, (pixels, labels) in splits.items():
        for label in LABELS:
            (folder / split / label).mkdir(parents=True, exist_ok=True)
        numbers: Iterable[int] = range(len(pixels))
        for number in progress(numbers, len(pixels), f"Writing {split}"):
            path = folder / split / LABELS[int(labels[number, 0])] / f"{number:05}.png"
            if not path.exists():
                write_atomically(path, decode.encode(pixels[number]), durable=False)
        count += len(pixels)
    return count
