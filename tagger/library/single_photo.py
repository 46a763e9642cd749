"""Adding one photo at once, rather than as a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tagger.errors import ImageError, OptionError
from tagger.library import derivation, descriptions, edits, operations, tags, vectors
from tagger.library.database.database import Database
from tagger.library.descriptions import Space
from tagger.library.import_results import Duplicate, Failed
from tagger.library.importer import Importer, register_model
from tagger.library.job_files import ImportFile, add_files, pending_files
from tagger.library.labels.names import validate_label
from tagger.library.models import edits as model_edits
from tagger.library.storage import Storage, base_name
from tagger.library.teaching.predictions import ActiveHead, predict
from tagger.tagger import Tagger


@dataclass(frozen=True)
class Added:
    """The photo that has the content now; a duplicate may have changed nothing."""

    photo_id: int
    is_duplicate: bool
    operation_id: int | None


def add(
    database: Database,
    storage: Storage,
    name: str,
    data: bytes,
    taggers: Sequence[Tagger],
    space: Space | None,
    heads: Sequence[ActiveHead] = (),
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> Added:
    """See `Library.add_photo`; `space` is the library's, and `heads` are those that tag too."""
    present, absent = (list(map(validate_label, names)) for names in (add, remove))
    file = ImportFile(0, "", base_name(name), data=data)
    sha256 = space.sha256 if space else None
    importer = Importer(database, storage, taggers, copy=True, space=sha256, heads=heads)
    (result,) = importer.read_and_tag([file])
    if isinstance(result, Failed):
        raise ImageError(file.name, result.reason)
    if isinstance(result, Duplicate) and result.path is None:
        ids = [result.photo_id]
        edit_id = edits.edit_tags(database, ids, add, remove) if present or absent else None
        return Added(result.photo_id, True, edit_id)
    vector = None
    if space is not None and sha256 not in [tagger.space for tagger in taggers]:
        vector = descriptions.embed(space, data)
    with database.write_transaction() as connection:
        options = {"model": taggers[0].name, "copy": True, "listed": True}
        operation_id = operations.create(
            connection, "import", f"Import {file.name}", options, total=1
        )
        add_files(connection, operation_id, [("", file.name, None)])
        (row,) = pending_files(connection, operation_id, 1)
        result = replace(result, file=replace(file, id=row.id))
        model_ids = [register_model(connection, tagger) for tagger in taggers]
        model_edits.show(connection, operation_id, [tagger.name for tagger in taggers])
        outcomes = importer.record(connection, operation_id, model_ids, [result])
        if not outcomes:
            raise OptionError(f"{file.name}: its photo was changed meanwhile; try again")
        (outcome,) = outcomes
        (added,) = operations.list_files(connection, operation_id, outcome, 1)
        photo_id = added.photo_id or 0
        if vector is not None and added.photo_id is not None:
            embedding, used_space = vector
            space_id = vectors.register_space(connection, used_space)
            vectors.add(connection, space_id, {photo_id: embedding})
            comparable = [each for each in heads if each.head.space == used_space]
            by_head = predict(connection, comparable, {photo_id: embedding})
            tags.save_predictions_of_models(connection, operation_id, by_head)
        if present or absent:
            tags.save_annotations(connection, operation_id, [photo_id], present, absent)
    derivation.refresh_stale_soon(database)
    return Added(photo_id, outcome == "duplicate", operation_id)
