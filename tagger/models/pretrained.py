"""Downloads through Keras into its cache: pretrained weights, and CIFAR-10.

Keras, and with it TensorFlow, is imported only where something has to be downloaded.
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

NO_WEIGHTS = "none"  # in place of a model to start from: a start from nothing

REASON_LENGTH = 120  # characters of what went wrong


def cached(file: str) -> Path:
    """Where Keras caches a file of that name: under KERAS_HOME or `~/.keras`."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / file


def fetch(what: str, download: Callable[[], object], *files: str) -> list[Path]:
    """Paths of cached `files`; if one is missing, `download` lets Keras fetch and check them.

    Raises WeightsUnavailableError, which says which files to put where, when they cannot be had;
    `what` begins its sentence: "ImageNet weights for resnet50 are".
    """
    paths = [cached(file) for file in files]
    missing = [path for path in paths if not path.is_file()]
    if not missing:
        return paths
    try:
        download_quietly(download)
    except DownloadError as error:
        names = " and ".join(path.name for path in missing)
        raise WeightsUnavailableError(
            f"{what} not cached and could not be downloaded ({error}); put {names} into"
            f" {missing[0].parent}"
        ) from None
    return paths


class DownloadError(Exception):
    """Why a download by Keras failed, on one line."""


def download_quietly(download: Callable[[], T]) -> T:
    """Let Keras download; standard output stays free for results. Raises DownloadError."""
    # Keras writes its progress to standard output.
    progress = sys.stderr if sys.stderr.isatty() else io.StringIO()
    try:
        with redirect_stdout(progress):
            return download()
    except Exception as error:  # noqa: BLE001 - a missing network raises many kinds
        raise DownloadError(" ".join(str(error).split())[:REASON_LENGTH]) from None


def cifar10() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """CIFAR-10's "train" and "test" from Keras's cache or a download of 170 MB.

    Each is pixels `uint8 (N, 32, 32, 3)` and label numbers `(N, 1)`. Raises DatasetError where it
    is neither cached nor downloadable.
    """
    import keras

    try:
        train, test = download_quietly(keras.datasets.cifar10.load_data)
    except DownloadError as error:
        raise DatasetError(
            f"CIFAR-10 is not in Keras's cache and could not be downloaded ({error})"
        ) from None
    return {"train": train, "test": test}
