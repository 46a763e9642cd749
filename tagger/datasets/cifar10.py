"""CIFAR-10 as folders that `train.py` reads: 50,000 photos to train on, 10,000 to test with.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009). Keras downloads it
once, 170 MB.

    python -m tagger.cifar10 cifar10
    python train.py --data cifar10 --backbone small_cnn
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger import concurrency, console
from tagger.errors import DatasetError, TaggerError
from tagger.files import write_atomically
from tagger.images import decode

LABELS = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
REASON_LENGTH = 120  # characters of what went wrong

Photos = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (N, 32, 32, 3), label numbers (N, 1)


def load() -> dict[str, Photos]:
    """The photos of "train" and "test", from Keras's cache or the network.

    Raises DatasetError where there is neither.
    """
    import keras

    told = sys.stderr if sys.stderr.isatty() else io.StringIO()
    try:
        with redirect_stdout(told):
            train, test = keras.datasets.cifar10.load_data()
    except Exception as error:  # noqa: BLE001 - no network shows itself in many ways
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise DatasetError(
            f"CIFAR-10 is not in Keras's cache and could not be downloaded ({reason})"
        ) from None
    return {"train": train, "test": test}


def write(
    folder: Path, splits: dict[str, Photos], progress: concurrency.Progress = concurrency.silent
) -> int:
    """Write each photo as `folder/SPLIT/LABEL/NUMBER.png`, without loss; how many there are.

    Those already there stay as they are, so that an interrupted command can go on.
    """
    count = 0
    for split, (pixels, labels) in splits.items():
        for label in LABELS:
            (folder / split / label).mkdir(parents=True, exist_ok=True)
        numbered: Iterable[int] = range(len(pixels))
        for number in progress(numbered, len(pixels), f"Writing {split}"):
            path = folder / split / LABELS[int(labels[number, 0])] / f"{number:05}.png"
            if not path.exists():
                write_atomically(path, decode.encode(pixels[number]), durable=False)
        count += len(pixels)
    return count


def main(folder: Path) -> int:
    """Exit status: 0 written, 2 nothing to write."""
    try:
        with console.quiet_libraries():
            count = write(folder, load(), console.progress)
    except (TaggerError, OSError) as error:
        return console.refuse(error)
    print(f"{folder}: {count:,} photos of {len(LABELS)} labels")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "cifar10")))
