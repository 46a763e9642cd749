"""The jobs that tag: importing files, and tagging photos again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from tagger import images, plans
from tagger.claims import Claim
from tagger.errors import OptionError
from tagger.history import counts
from tagger.importing import File, Importer, model_id, waiting_files
from tagger.parallel import chunks, ordered_map
from tagger.schema import files
from tagger.shelf import plain_name
from tagger.tagger import Tagger

Result = dict[str, Any]

TOGETHER = 16  # files looked at, and recorded, at a time
_LISTED = 512  # rows read at a time


def tag_files(claim: Claim) -> Result:
    """Import the files of a run, or tag its photos again; how many came to which outcome."""
    options = claim.run.options
    tagger = Tagger.load(options["model"])
    if not options["listed"]:
        _list_folder(claim, Path(options["folder"]))
    library = claim.library
    copy = bool(options.get("copy"))
    importer = Importer(library.catalogue, library.shelf, tagger, copy)
    with claim.writing() as connection:
        model = model_id(connection, tagger)
    claim.begin_stage("Tagging")
    for seen in ordered_map(importer.look, chunks(_waiting(claim), TOGETHER)):
        with claim.writing() as connection:
            importer.write(connection, claim.run_id, model, seen)
            claim.advance(connection, len(seen))
    if uploads := options.get("uploads"):
        shutil.rmtree(uploads, ignore_errors=True)
    with library.catalogue.reading() as connection:
        return dict(counts(connection, claim.run_id))


def _list_folder(claim: Claim, folder: Path) -> None:
    """Write down every photo of a folder, all anew if a crash left the list half written."""
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder on this machine")
    with claim.writing() as connection:
        connection.execute(delete(files).where(files.c.run_id == claim.run_id))
    claim.tell(stage="Looking for photos")
    own = claim.library.home.resolve()
    outside = (
        (str(path), plain_name(path.name), None)
        for path in images.walk(folder)
        if folder.is_relative_to(own) or not path.is_relative_to(own)
    )
    total = 0
    for some in chunks(outside, _LISTED):
        with claim.writing() as connection:
            plans.list_files(connection, claim.run_id, some)
        total += len(some)
    claim.tell(total=total, options={**claim.run.options, "listed": True})


def _waiting(claim: Claim) -> Iterator[File]:
    after = 0
    while True:
        with claim.library.catalogue.reading() as connection:
            some = waiting_files(connection, claim.run_id, _LISTED, after)
        if not some:
            return
        yield from some
        after = some[-1].id
