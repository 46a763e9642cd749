"""What reading and tagging a file resulted in, before it is written to the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tagger.inference.embeddings import Embedding
from tagger.library.contents import PhotoAtPath
from tagger.library.job_files import ImportFile
from tagger.library.photos import NewPhoto
from tagger.tagger import Prediction


@dataclass(frozen=True)
class Failed:
    """A file that could not be read or stored.

    The photos in `replaced` were at its path, with a content that is no longer there.
    """

    file: ImportFile
    reason: str
    replaced: tuple[int, ...] = ()


@dataclass(frozen=True)
class Duplicate:
    """A file whose content, of this digest, is in the library.

    `path` and `stored` are set if the library should use this file from now on: the photo's own
    file is missing, or a copy is wanted. The photos in `replaced` were at the file's path, and are
    missing now.
    """

    file: ImportFile
    photo_id: int
    sha256: str
    path: str | None = None
    stored: bool = False
    replaced: tuple[int, ...] = ()


@dataclass(frozen=True)
class Postponed:
    """A file with the content of a photo whose own file has another one now.

    If that is imported too, as an edited copy, the photo gets its content, and this file is new.
    """

    file: ImportFile


# A prediction and a vector by each model, by its position; without models that tagged it before.
Answers = Mapping[int, tuple[Prediction, Embedding]]


@dataclass(frozen=True)
class New:
    """A new photo, or one that was deleted, with the models' answers.

    If it is an edited copy of a photo of the library, at the same path, it is the new content of
    that `edited` one. The photos in `replaced` were at this path, and are missing now.
    """

    file: ImportFile
    photo: NewPhoto
    answers: Answers
    edited: PhotoAtPath | None = None
    replaced: tuple[int, ...] = ()


@dataclass(frozen=True)
class Retagged:
    """A photo of the library with new answers."""

    file: ImportFile
    photo_id: int
    answers: Answers


@dataclass(frozen=True)
class Unchanged:
    """A photo to tag again that has a current prediction by each of the models already."""

    file: ImportFile
    photo_id: int


ImportResult = Failed | Duplicate | Postponed | New | Retagged | Unchanged
