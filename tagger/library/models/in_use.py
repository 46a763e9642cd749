"""The models that tag new photos, in their order, and those whose tags are not shown.

A model that is not in use any more keeps the tags that it gave, until it is switched off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from tagger.errors import ModelError, OptionError
from tagger.inference import model_file, registry
from tagger.library import descriptions
from tagger.library.database.schema import models, predictions, tags
from tagger.library.derivation import MODEL
from tagger.library.descriptions import Space
from tagger.library.history import entries
from tagger.library.search.conditions import DELETED
from tagger.text import fold

IN_USE, OFF = "in_use", "off"  # keys of entries


def load_names(connection: Connection) -> list[str]:
    """The models in use, in order, as they were chosen; none if nobody chose any."""
    return list(entries.load_value(connection, "models", IN_USE) or ())


def find_paths(connection: Connection) -> list[Path]:
    """The files of the models in use; of the default model if none of them is there.

    Raises ModelNotFoundError if there is no model at all.
    """
    paths = []
    for name in load_names(connection):
        try:
            paths.append(registry.find_model(name))
        except ModelError:  # it was deleted or moved
            continue
    return paths or [registry.find_model()]


def find_names(connection: Connection) -> list[str]:
    """The names of the models that tag new photos, in order; the default if those are missing."""
    return [registry.model_name(path) for path in find_paths(connection)]


def change(connection: Connection, names: Sequence[str], off: str | None = None) -> dict[str, Any]:
    """The entries with which these models are in use, and `off` is switched off.

    Only what differs from now is in it. Raises OptionError if no model would be in use.
    """
    if not names:
        raise OptionError("one model has to be in use: use another one first")
    hidden = list(entries.load_value(connection, "models", OFF) or ())
    stems = [Path(name).stem for name in names]
    new_hidden = [name for name in hidden if name not in stems]
    if off is not None and off not in (*new_hidden, *stems):
        new_hidden.append(off)
    values: dict[str, Any] = {}
    if list(names) != load_names(connection):
        values[IN_USE] = list(names)
    if new_hidden != hidden:
        values[OFF] = new_hidden or None
    return values


def change_shown(connection: Connection, models: Sequence[str]) -> dict[str, Any]:
    """The entries with which the tags of these models show; none if they do already."""
    hidden = list(entries.load_value(connection, "models", OFF) or ())
    stems = [Path(name).stem for name in models]
    rest = [name for name in hidden if name not in stems]
    return {} if rest == hidden else {OFF: rest or None}


@dataclass(frozen=True)
class ModelUse:
    """What a model gave a library: the photos that it looked at, and the tags that are its own.

    Of a model that is `off` no tags show.
    """

    photos: int = 0
    tags: int = 0
    off: bool = False


def count_uses(connection: Connection) -> dict[str, ModelUse]:
    """The models that have looked at photos of the library, by name; versions count as one."""
    hidden = set(entries.load_value(connection, "models", OFF) or ())
    number = func.count().label("number")
    looked_at = (  # each model has one current prediction of a photo, whatever its version
        select(predictions.c.model_id, number)
        .where(predictions.c.ended_by.is_(None), predictions.c.photo_id.not_in(DELETED))
        .group_by(predictions.c.model_id)
    )
    tagged = (
        select(tags.c.model_id, number)
        .where(~tags.c.by_person, tags.c.photo_id.not_in(DELETED))
        .group_by(tags.c.model_id)
    )
    photo_counts, tag_counts = (
        {row[0]: row.number for row in connection.execute(query)} for query in (looked_at, tagged)
    )
    uses: dict[str, ModelUse] = {}
    for row in connection.execute(select(models.c.id, models.c.name).where(models.c.kind == MODEL)):
        if row.id in photo_counts:
            use = uses.get(row.name, ModelUse(off=row.name in hidden))
            uses[row.name] = ModelUse(
                use.photos + photo_counts[row.id], use.tags + tag_counts.get(row.id, 0), use.off
            )
    return uses


def normal_name(model: str) -> str:
    """The name of a model as entries have it: absolute, if it is a file."""
    return str(Path(model).absolute()) if model.endswith(".h5") else model


def used_spaces(connection: Connection) -> set[str]:
    """The spaces whose vectors are of use: the library's, and the bundled model's.

    Raises ModelError for a broken model file.
    """
    spaces = load_space(connection), descriptions.load_space([registry.BUNDLED_MODEL])
    return {space.sha256 for space in spaces if space is not None}


def load_space(connection: Connection) -> Space | None:
    """The space of `Library.space`. Raises ModelError for a broken model file."""
    try:
        paths = find_paths(connection)
    except ModelError:  # no model at all
        return None
    return descriptions.load_space(paths)


def load_labels(connection: Connection) -> frozenset[str]:
    """The folded labels of the models in use; none of those that cannot be loaded."""
    try:
        paths = find_paths(connection)
    except ModelError:
        return frozenset()
    names: set[str] = set()
    for path in paths:
        try:
            stat = path.stat()
            names |= _load_labels(path.absolute(), stat.st_mtime_ns, stat.st_size)
        except (ModelError, OSError):
            continue
    return frozenset(names)


@lru_cache(maxsize=8)
def _load_labels(path: Path, modified: int, size: int) -> frozenset[str]:
    return frozenset(fold(name) for name in model_file.load(path).labels.names)
