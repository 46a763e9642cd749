"""Operations on the models in use: which tag new photos, in which order, and whose tags show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Connection

from tagger.errors import OptionError
from tagger.inference.registry import display_name
from tagger.library import derivation, operations
from tagger.library.database.database import Database
from tagger.library.history import entries
from tagger.library.models import in_use as used_models
from tagger.tagger import Tagger

_Decision = tuple[Sequence[str], str | None]  # the models in use; one that is switched off


def use(database: Database, model: str) -> int | None:
    """See `Library.use_model`."""
    name = _check(model)
    return _change(database, lambda _: ([name], None), f"Switched to {display_name(name)} alone")


def add(database: Database, model: str) -> int | None:
    """See `Library.add_model`."""
    name = _check(model)

    def decide(connection: Connection) -> _Decision:
        in_use = used_models.find_names(connection)
        return (in_use if name in in_use else [*in_use, name]), None

    return _change(database, decide, f"Added the model {display_name(name)}")


def move_up(database: Database, model: str) -> int | None:
    """See `Library.move_model_up`."""
    name = used_models.normal_name(model)

    def decide(connection: Connection) -> _Decision:
        in_use = used_models.find_names(connection)
        if name not in in_use:
            raise OptionError(f"{display_name(name)} is not in use: use it first")
        index = in_use.index(name)
        if index:
            in_use[index - 1 : index + 1] = [name, in_use[index - 1]]
        return in_use, None

    return _change(database, decide, f"Moved {display_name(name)} up")


def turn_off(database: Database, model: str) -> int | None:
    """See `Library.turn_off_model`."""
    name = used_models.normal_name(model)

    def decide(connection: Connection) -> _Decision:
        in_use = used_models.find_names(connection)
        return [each for each in in_use if each != name], Path(name).stem

    return _change(database, decide, f"Turned off {display_name(name)}")


def show(connection: Connection, operation_id: int, models: Sequence[str]) -> None:
    """Show the tags of models that are to tag photos, as part of an operation, if they are off."""
    values = used_models.change_shown(connection, models)
    if values:
        with derivation.entries_changing(connection):
            for key, value in values.items():
                entries.save(connection, operation_id, "models", key, value)


def _check(model: str) -> str:
    """The model's name as entries have it. Raises ModelError for one that cannot be used."""
    Tagger.load(model)
    return used_models.normal_name(model)


def _change(
    database: Database, decide: Callable[[Connection], _Decision], title: str
) -> int | None:
    with database.write_transaction() as connection:
        values = used_models.change(connection, *decide(connection))
        if not values:
            return None
        operation_id = operations.create(connection, "edit", title)
        with derivation.entries_changing(connection):
            for key, value in values.items():
                entries.save(connection, operation_id, "models", key, value)
    derivation.refresh_stale_soon(database)
    return operation_id
