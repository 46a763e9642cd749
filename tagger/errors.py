"""The library's own errors: each says what came and what would work."""

from __future__ import annotations

import unicodedata


class TaggerError(Exception):
    """Anything this library refuses on purpose. The message is one readable sentence."""


class ImageError(TaggerError):
    """A photo that cannot be read: missing, broken, too large, or of an unsupported format.

    `source` names the photo (its path, or "photo" for bytes), `reason` says what is wrong with it.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


class ImageFormatError(ImageError):
    """Bytes that are not a photo of a supported format."""


class ImageTooLargeError(ImageError):
    """A photo above the limits on bytes or pixels."""


class BusyError(TaggerError):
    """More work than can be done now: try again in a moment."""


class DatasetError(TaggerError):
    """A collection nobody could learn from: no folder, too few labels, too few photos."""


class ModelError(TaggerError):
    """A model that cannot be found, read or trusted."""


class ModelNotFoundError(ModelError):
    """A model that is not there."""


class ModelChangedError(ModelError):
    """A model whose file holds another by now."""


class OptionError(TaggerError):
    """An option outside what it may be."""


class WeightsUnavailableError(TaggerError):
    """Pretrained weights are neither cached here nor downloadable."""


class LibraryError(TaggerError):
    """A photo library that cannot be opened: newer than this version, or not a database."""


class DatabaseUnavailableError(LibraryError):
    """A database that cannot be read or written now. The message holds the driver's own words."""


class QueryError(TaggerError):
    """A search that cannot be understood.

    `position` is the place in the text, from 0; at the end, the text's length.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message)
        self.text = text
        self.position = position

    def pointed(self) -> str:
        """The text near the place on one line, and a caret below the place on the next."""
        start, end = max(0, self.position - _BEFORE), self.position + _AFTER
        before, after = self.text[start : self.position], self.text[self.position : end]
        before = "…" + before if start else before
        after = after + "…" if end < len(self.text) else after
        shown = "".join(c if c.isprintable() else " " for c in before + after)
        width = sum(_width(c) for c in before)
        return f"{shown}\n{' ' * width}^"


_BEFORE, _AFTER = 60, 20  # characters shown on either side of the place


def _width(character: str) -> int:
    """Columns that a character takes where all are equally wide."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
