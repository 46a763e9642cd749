"""The errors of this library. A message says what was given, what is allowed and what to do."""

from __future__ import annotations

import unicodedata
from pathlib import Path


class TaggerError(Exception):
    """Base class. `str(error)` is one sentence for the user."""


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
    """Too much work is queued: try again in a moment."""


class DatasetError(TaggerError):
    """A labelled collection that cannot be trained on: no folder, too few labels or photos."""


class ModelError(TaggerError):
    """A model that cannot be found or read, or whose digests do not match."""


class ModelNotFoundError(ModelError):
    """No model of that name or path."""


class ForeignFileError(ModelError):
    """A file that is no model file at all."""


class ModelChangedError(ModelError):
    """A model file that was replaced since it was loaded."""


class OptionError(TaggerError):
    """An option outside its allowed values."""


class NothingLeftError(OptionError):
    """An undo of an operation of which everything was changed later."""


class DescriptionError(OptionError):
    """A description that a model cannot read: empty, too long, or without a word it knows.

    `unknown_words` are the words of a description of which the model knows none.
    """

    def __init__(self, message: str, unknown_words: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.unknown_words = unknown_words


class NoWordsError(ModelError):
    """A model that does not understand descriptions."""


class WeightsUnavailableError(TaggerError):
    """Pretrained weights that are neither cached nor downloadable."""


class LibraryError(TaggerError):
    """A photo library that cannot be opened: of a newer version, or not a database."""


class VocabularyError(LibraryError):
    """A vocabulary that cannot be used: the file `path` is wrong for this `reason`.

    `line` is where; None if the file cannot be read.
    """

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        super().__init__(path, line, reason)
        self.path = path
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}{self.detail}"

    @property
    def detail(self) -> str:
        """What is wrong and where in the file, to follow its name or path."""
        return f"{'' if self.line is None else f', line {self.line}'}: {self.reason}"


class DatabaseUnavailableError(LibraryError):
    """A database that cannot be read or written now. The message quotes the driver."""


class QueryError(TaggerError):
    """A search query that cannot be parsed.

    `position` is the index in the text where parsing failed; the text's length at its end.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message)
        self.text = text
        self.position = position

    def with_caret(self) -> str:
        """The text around the position, and a caret below the position on the next line."""
        start, end = max(0, self.position - _BEFORE), self.position + _AFTER
        before, after = self.text[start : self.position], self.text[self.position : end]
        before = "…" + before if start else before
        after = after + "…" if end < len(self.text) else after
        line = "".join(c if c.isprintable() else " " for c in before + after)
        width = sum(_width(c) for c in before)
        return f"{line}\n{' ' * width}^"


_BEFORE, _AFTER = 60, 20  # characters on either side of the position


def _width(character: str) -> int:
    """Columns of a character in a monospaced font."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def describe_error(error: Exception) -> str:
    """An error's message for a user: of an OSError the file and what is wrong, without a number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
