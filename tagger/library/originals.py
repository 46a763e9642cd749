"""Photos' own files, checked against what was added, and thumbnails made from them."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from tagger.errors import ImageError
from tagger.images import decode, transforms
from tagger.library.importer import THUMBNAIL_SIDE
from tagger.library.records import Photo
from tagger.library.storage import Storage

_GREY = 128


def read(photo: Photo) -> bytes:
    """See `Library.original`."""
    data = decode.read_bytes(photo.path)
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise ImageError(str(photo.path), "has changed since it was added; import it again")
    return data


def thumbnail(shelf: Storage, photo: Photo) -> bytes:
    """See `Library.thumbnail`."""
    try:
        return shelf.thumbnail_path(photo.sha256).read_bytes()
    except FileNotFoundError:
        pass
    try:
        rgb = decode.read(read(photo), shorter_side=THUMBNAIL_SIDE)
    except ImageError:
        return _grey()
    jpeg = decode.encode(transforms.thumbnail(rgb, THUMBNAIL_SIDE), "JPEG")
    shelf.write_thumbnail(photo.sha256, jpeg)
    return jpeg


@cache
def _grey() -> bytes:
    """What is shown where there is no thumbnail and the photo's file is gone."""
    return decode.encode(np.full((96, 96, 3), _GREY, np.uint8), "JPEG")
