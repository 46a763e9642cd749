"""Photos' own files, checked against what was added, and thumbnails made from them."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from tagger.errors import ImageError
from tagger.images import derived, images
from tagger.library.importing import THUMBNAIL_SIDE
from tagger.library.records import Photo
from tagger.library.shelf import Shelf

_GREY = 128


def read(photo: Photo) -> bytes:
    """See `Library.original`."""
    data = images.read_bytes(photo.path)
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise ImageError(f"{photo.path}: has changed since it was added; import it again")
    return data


def thumbnail(shelf: Shelf, photo: Photo) -> bytes:
    """See `Library.thumbnail`."""
    try:
        return shelf.thumbnail(photo.sha256).read_bytes()
    except FileNotFoundError:
        pass
    try:
        rgb = images.read(read(photo), shorter_side=THUMBNAIL_SIDE)
    except ImageError:
        return _grey()
    jpeg = images.encode(derived.thumbnail(rgb, THUMBNAIL_SIDE), "JPEG")
    shelf.keep_thumbnail(photo.sha256, jpeg)
    return jpeg


@cache
def _grey() -> bytes:
    """What is shown where there is no thumbnail and the photo's file is gone."""
    return images.encode(np.full((96, 96, 3), _GREY, np.uint8), "JPEG")
