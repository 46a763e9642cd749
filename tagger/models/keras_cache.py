"""Downloads through Keras into its cache: pretrained weights and CIFAR-10.

Keras, and with it TensorFlow, is imported only when something must be downloaded.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tagger.errors import DatasetError, WeightsUnavailableError

T = TypeVar("T")

MAX_REASON_LENGTH = 120  # characters of a download error


class DownloadError(Exception):
    """A download by Keras failed; the message is one line."""


def cached_path(file: str) -> Path:
    """The path of a weights file in Keras's cache, under KERAS_HOME or `~/.keras`."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / file


def fetch(subject: str, download: Callable[[], object], *files: str) -> list[Path]:
    """Paths of cached `files`; if one is missing, `download` lets Keras fetch and check them.

    `subject` begins the error message: "ImageNet weights for resnet50 are". Raises
    WeightsUnavailableError, which says which files to put where.
    """
    paths = [cached_path(file) for file in files]
    missing = [path for path in paths if not path.is_file()]
    if not missing:
        return paths
    try:
        _download_quietly(download)
    except DownloadError as error:
        names = " and ".join(path.name for path in missing)
        raise WeightsUnavailableError(
            f"{subject} not cached and could not be downloaded ({error}); put {names} into"
            f" {missing[0].parent}"
        ) from None
    return paths


def load_cifar10() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """CIFAR-10's "train" and "test" from Keras's cache or a download of 170 MB.

    Each is pixels `uint8 (N, 32, 32, 3)` and label numbers `(N, 1)`. Raises DatasetError if it
    is neither cached nor downloadable.
    """
    import keras

    try:
        train, test = _download_quietly(keras.datasets.cifar10.load_data)
    except DownloadError as error:
        raise DatasetError(
            f"CIFAR-10 is not in Keras's cache and could not be downloaded ({error})"
        ) from None
    return {"train": train, "test": test}


def _download_quietly(download: Callable[[], T]) -> T:
    # Keras prints its progress to standard output, which is for results.
    progress = sys.stderr if sys.stderr.isatty() else io.StringIO()
    try:
        with redirect_stdout(progress):
            return download()
    except Exception as error:  # noqa: BLE001 - a missing network raises many kinds
        raise DownloadError(" ".join(str(error).split())[:MAX_REASON_LENGTH]) from None
