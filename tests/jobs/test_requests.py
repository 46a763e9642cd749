"""Job requests: queued with all that the job needs, or refused with a message."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import OptionError
from tagger.images import decode
from tagger.jobs import worker
from tagger.jobs.requests import (
    CheckRequest,
    ImportFolderRequest,
    ImportUploadsRequest,
    JobRequest,
    RetagRequest,
    TrainRequest,
    load_request,
    resume,
    submit,
)
from tagger.library import operations
from tagger.library.library import Library
from tagger.library.operations import Kind, Operation
from tests.conftest import draw, import_folder


def open_upload(seed: int) -> tuple[str, io.BytesIO]:
    return f"{seed}.png", io.BytesIO(decode.encode(draw("disc", seed), "PNG"))


def queue(library: Library, request: JobRequest) -> Operation:
    return library.operation(submit(library, request))


def test_a_folder_import_is_queued_with_its_options(library: Library, tmp_path: Path) -> None:
    job = queue(library, ImportFolderRequest(f" {tmp_path} ", copy=True, model="pets"))
    assert (job.status, job.kind, job.title) == ("queued", "import", f"Import {tmp_path}")
    options = {"folder": str(tmp_path), "copy": True, "model": "pets"}
    assert job.options == {**options, "listed": False, "watched": False}
    assert not job.stale, "its process has time to start"
    assert library.operations(active=True) == [job]


def test_uploads_wait_in_the_library_until_the_import(library: Library) -> None:
    job = queue(library, ImportUploadsRequest([open_upload(1), open_upload(2)], "pets"))
    assert (job.title, job.total, job.done) == ("Import 2 photos", 2, 0)
    folder = Path(job.options["uploads"])
    assert folder.is_relative_to(library.home)
    assert len(list(folder.iterdir())) == 2
    job = queue(library, ImportUploadsRequest([open_upload(3)], "pets"))
    assert job.title == "Import 3.png"
    with pytest.raises(OptionError, match="choose some photos first"):
        submit(library, ImportUploadsRequest([], "pets"))


def test_photos_to_tag_again_are_chosen_by_query_or_ids(library: Library) -> None:
    uploads = [open_upload(1), open_upload(2)]
    worker.run(library, submit(library, ImportUploadsRequest(uploads, "pets")))
    ids = [photo.id for photo in library.photos()]
    library.delete(ids[:1])
    assert queue(library, RetagRequest("", "pets")).total == 1
    assert queue(library, RetagRequest(model="pets", ids=ids)).title.startswith("Re-tag 1 photo ")
    library.edit_tags(ids[1:], add=["golden_retriever"])
    assert queue(library, RetagRequest("animals", "pets")).total == 1
    for query, deleted in (("nothing", None), ("", ids[:1])):
        with pytest.raises(OptionError, match="no photos to tag again"):
            submit(library, RetagRequest(query, "pets", deleted))


def test_queued_and_finished_jobs_cannot_be_resumed(library: Library, tmp_path: Path) -> None:
    queued = submit(library, ImportFolderRequest(str(tmp_path), model="pets"))
    with pytest.raises(OptionError, match="is queued: nothing to go on with"):
        resume(library, queued)
    finished = import_folder(library, tmp_path)
    with pytest.raises(OptionError, match="is done: nothing to go on with"):
        resume(library, finished.id)


def test_a_model_name_is_trained_by_one_job_at_a_time(library: Library, shapes: Path) -> None:
    submit(library, TrainRequest(str(shapes), "shapes"))
    with pytest.raises(OptionError, match="is being trained already"):
        submit(library, TrainRequest(str(shapes), "Shapes"))


@pytest.mark.parametrize("name", ["", "a/b", "..", "é", "x" * 61, "pets", "Pets", "a b", "a.h5"])
def test_model_names_that_are_reserved_or_unsafe_are_refused(
    library: Library, shapes: Path, name: str
) -> None:
    with pytest.raises(OptionError, match=r"a model's name is|is built in"):
        submit(library, TrainRequest(str(shapes), name))
    assert library.operations() == []


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("", "give the full path"),
        ("relative/here", "give the full path"),
        ("/no/such/x", "no such folder"),
    ],
)
def test_a_folder_that_cannot_be_imported_is_refused(
    library: Library, folder: str, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        submit(library, ImportFolderRequest(folder))
    assert library.operations() == []


FOLDER = {"folder": "/photos", "copy": False, "model": "pets", "listed": True}
UPLOADS = {"uploads": "/library/uploads/1", "copy": True, "model": "pets", "listed": True}
TRAINING = {"data": "/cups", "name": "cups", "epochs": 8, "image_size": 192, "weights": "imagenet"}
TRAINING |= {"seed": 42, "about": "Cups."}


@pytest.mark.parametrize(
    ("kind", "options", "request_type"),
    [
        ("import", FOLDER, ImportFolderRequest),
        ("import", UPLOADS, ImportUploadsRequest),
        ("retag", {"model": "pets", "query": "cat", "listed": True}, RetagRequest),
        ("check", {"data": "/cups"}, CheckRequest),
        ("train", TRAINING, TrainRequest),
        ("train", {**TRAINING, "folder": "/runs/1-cups"}, TrainRequest),
    ],
)
def test_stored_jobs_of_existing_libraries_give_their_requests_back(
    library: Library, kind: Kind, options: dict[str, Any], request_type: type
) -> None:
    with library.database.write_transaction() as connection:
        job_id = operations.create(connection, kind, "A job", options, queued=True)
    request = load_request(library.operation(job_id))
    assert isinstance(request, request_type)
    written = request.to_options()
    assert {name: written[name] for name in options} == options
    assert not any(written[name] for name in written.keys() - options), "newer options are off"
