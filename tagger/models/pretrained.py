"""Files of pretrained weights: from Keras's cache, or downloaded into it once.

Keras, and with it TensorFlow, is imported only where something has to be downloaded.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from tagger.errors import WeightsUnavailableError

REASON_LENGTH = 120  # characters of what went wrong


def cached(file: str) -> Path:
    """Where Keras caches a file of that name: under KERAS_HOME or `~/.keras`."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / file


def fetch(what: str, download: Callable[[], object], *files: str) -> list[Path]:
    """Where `files` are cached; `download`, if one is missing, lets Keras fetch and check them.

    Raises WeightsUnavailableError, which says which to put where, when they are not to be had;
    `what` begins its sentence: "ImageNet weights for resnet50 are".
    """
    places = [cached(file) for file in files]
    missing = [place for place in places if not place.is_file()]
    if not missing:
        return places
    # Keras tells how far it is on standard output, which is for answers.
    told = sys.stderr if sys.stderr.isatty() else io.StringIO()
    try:
        with redirect_stdout(told):
            download()
    except Exception as error:  # noqa: BLE001 - no network shows itself in many ways
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        names = " and ".join(place.name for place in missing)
        raise WeightsUnavailableError(
            f"{what} not cached and could not be downloaded ({reason}); put {names} into"
            f" {missing[0].parent}"
        ) from None
    return places
