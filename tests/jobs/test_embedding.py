"""Embedding jobs: photos tagged by other models get vectors for descriptions, and no new tags."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from tagger.jobs import worker
from tagger.jobs.requests import (
    EMBED_TITLE,
    EmbedRequest,
    ImportFolderRequest,
    resume,
    submit,
    submit_embedding,
)
from tagger.library.database.schema import spaces, vectors
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw_collection, import_folder
from tests.words import copy_to_other_space

pytestmark = pytest.mark.usefixtures("wordless")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_collection(tmp_path / "photos", 12)


@pytest.fixture
def tagged_by_pets(library: Library, folder: Path, worded: Path) -> Library:
    """A library of photos tagged by `pets`, in which `worded` tags from now on."""
    import_folder(library, folder, model="pets")
    library.use_model(str(worded))
    return library


def embed(library: Library) -> int:
    """Run the job that looks at photos without a vector; its id."""
    job_id = submit_embedding(library)
    assert job_id is not None
    worker.run(library, job_id)
    return job_id


def not_compared(library: Library) -> int:
    description = library.search("like:ball").description
    assert description is not None
    return description.not_compared


def test_every_photo_gets_a_vector_and_no_tag_changes(tagged_by_pets: Library) -> None:
    library = tagged_by_pets
    before = list(library.photos(sort="oldest"))
    predictions = [library.prediction(photo.id) for photo in before]
    assert not_compared(library) == 36
    job = library.operation(embed(library))
    assert (job.kind, job.status, job.title) == ("embed", "done", EMBED_TITLE)
    assert (job.done, job.total, job.result) == (36, 36, {"photos": 36, "unreadable": 0})
    assert not job.undoable
    assert list(library.photos(sort="oldest")) == before
    assert [library.prediction(photo.id) for photo in before] == predictions
    assert not_compared(library) == 0
    best = library.search("like:ball", limit=10).photos
    assert {photo.path.parent.name for photo in best} == {"disc"}
    assert submit_embedding(library) is None


def test_the_vectors_are_those_of_an_import(
    tagged_by_pets: Library, folder: Path, worded: Path, tmp_path: Path
) -> None:
    embed(tagged_by_pets)
    direct = Library.open(tmp_path / "direct")
    direct.use_model(str(worded))
    import_folder(direct, folder, model=str(worded))
    assert submit_embedding(direct) is None
    pages = [opened.search("like:ball", limit=50) for opened in (tagged_by_pets, direct)]
    names = [[(p.path, page.likeness[p.id]) for p in page.photos] for page in pages]
    assert names[0] == names[1]
    direct.close()


def test_vectors_of_spaces_that_are_not_used_are_deleted(
    tagged_by_pets: Library, pets: Tagger, worded: Path
) -> None:
    def stored() -> set[str]:
        with tagged_by_pets.database.read_transaction() as connection:
            used = select(spaces.c.sha256).join(vectors, vectors.c.space_id == spaces.c.id)
            return set(connection.scalars(used))

    assert stored() == {pets.space}
    embed(tagged_by_pets)
    assert stored() == {Tagger.load(worded).space}
    photo = next(tagged_by_pets.photos())
    assert len(tagged_by_pets.find_similar_to(photo, 5)) == 5


def test_a_photo_whose_file_is_gone_is_looked_at_in_its_thumbnail(
    tagged_by_pets: Library, folder: Path
) -> None:
    shutil.rmtree(folder / "disc")
    first, *_ = tagged_by_pets.photos("folder:/square")
    first.path.write_bytes(b"changed")
    lost, *_ = tagged_by_pets.photos("folder:/stripes")
    lost.path.unlink()
    tagged_by_pets.storage.thumbnail_path(lost.sha256).unlink()
    job = tagged_by_pets.operation(embed(tagged_by_pets))
    assert job.result == {"photos": 36, "unreadable": 1}
    page = tagged_by_pets.search("like:ball", limit=50)
    assert len([p for p in page.photos if p.path.parent.name == "disc"]) == 12
    assert not_compared(tagged_by_pets) == 0  # there is nothing to wait for
    assert submit_embedding(tagged_by_pets) is None
    assert lost.id not in tagged_by_pets.find_ids("like:zebra")


def test_a_photo_that_was_unreadable_is_looked_at_when_its_file_is_back(
    tagged_by_pets: Library, folder: Path, tmp_path: Path
) -> None:
    library = tagged_by_pets
    copy = shutil.copytree(folder, tmp_path / "copy")
    lost, *_ = library.photos("folder:/disc")
    lost.path.unlink()
    library.storage.thumbnail_path(lost.sha256).unlink()
    embed(library)
    assert lost.id not in library.find_ids("like:ball")
    assert import_folder(library, copy / "disc", model="pets").counts == {"duplicate": 12}
    assert not_compared(library) == 1
    embed(library)
    assert lost.id in library.find_ids("like:ball")
    assert not_compared(library) == 0


def test_a_photo_that_was_unreadable_is_looked_at_when_it_is_restored(
    tagged_by_pets: Library, folder: Path, tmp_path: Path
) -> None:
    library = tagged_by_pets
    copy = shutil.copytree(folder / "disc", tmp_path / "copy")
    lost, *_ = library.photos("folder:/disc")
    lost.path.unlink()
    library.storage.thumbnail_path(lost.sha256).unlink()
    embed(library)
    library.delete([lost.id])
    assert import_folder(library, copy, model="pets").counts["restored"] == 1
    embed(library)
    assert lost.id in library.find_ids("like:ball")


def test_a_stopped_job_goes_on_when_it_is_told_to(tagged_by_pets: Library) -> None:
    library = tagged_by_pets
    job_id = submit_embedding(library)
    assert job_id is not None
    assert submit_embedding(library) is None  # one at a time
    library.stop(job_id)
    worker.run(library, job_id)
    assert library.operation(job_id).status == "stopped"
    assert not_compared(library) == 36
    assert submit_embedding(library) is None  # nobody wants it now
    assert library.operation(job_id).resumable
    resume(library, job_id)
    worker.run(library, job_id)
    assert library.operation(job_id).status == "done"
    assert not_compared(library) == 0


def test_photos_that_are_added_later_are_looked_at_alone(
    tagged_by_pets: Library, tmp_path: Path
) -> None:
    library = tagged_by_pets
    embed(library)
    later = draw_collection(tmp_path / "later", 2, first=900)
    import_folder(library, later, model="pets")
    library.delete(library.find_ids("folder:/later/disc"))
    assert not_compared(library) == 4
    job = library.operation(embed(library))
    assert (job.done, job.total, job.result) == (4, 4, {"photos": 4, "unreadable": 0})
    assert len(library.operations(kinds=["embed"])) == 1  # the same one again


def test_photos_are_looked_at_after_an_import_and_not_beside_it(
    tagged_by_pets: Library, folder: Path
) -> None:
    library = tagged_by_pets
    job_id = submit(library, ImportFolderRequest(str(folder)))
    assert submit_embedding(library) is None
    worker.run(library, job_id)
    embed(library)
    assert not_compared(library) == 0


def test_another_active_model_has_a_job_of_its_own(
    tagged_by_pets: Library, worded: Path, tmp_path: Path
) -> None:
    library = tagged_by_pets
    other = copy_to_other_space(worded, tmp_path / "other.h5")
    first = submit_embedding(library)
    library.use_model(str(other))
    second = submit_embedding(library)
    assert first is not None and second is not None and first != second
    assert library.operation(first).stop_asked and not library.operation(second).stop_asked
    assert submit_embedding(library) is None
    for job_id, status in ((first, "stopped"), (second, "done")):
        worker.run(library, job_id)
        assert library.operation(job_id).status == status
    assert not_compared(library) == 0
    photo = next(library.photos())
    assert len(library.find_similar_to(photo, 50)) == 35
    library.use_model(str(worded))  # back again, though a job of its was stopped
    assert not_compared(library) == 36
    embed(library)
    assert not_compared(library) == 0
    similar = [each.id for each, _ in library.find_similar_to(photo, 50)]
    assert len(similar) == len(set(similar)) == 35
    assert submit_embedding(library) is None


def test_a_model_that_is_active_during_an_import_stops_no_job_for_good(
    tagged_by_pets: Library, worded: Path, folder: Path, tmp_path: Path
) -> None:
    library = tagged_by_pets
    first = submit_embedding(library)
    assert first is not None
    imported = submit(library, ImportFolderRequest(str(folder)))
    library.use_model(str(copy_to_other_space(worded, tmp_path / "other.h5")))
    assert submit_embedding(library) is None
    worker.run(library, imported)
    library.use_model(str(worded))
    assert submit_embedding(library) is None  # the first is still to run
    worker.run(library, first)
    assert library.operation(first).status == "done"
    assert not_compared(library) == 0


def test_no_vectors_are_deleted_while_the_active_model_is_broken(
    tagged_by_pets: Library, worded: Path, tmp_path: Path
) -> None:
    library = tagged_by_pets
    embed(library)
    own = copy_to_other_space(worded, tmp_path / "own.h5")
    library.use_model(str(own))
    job_id = submit_embedding(library)
    assert job_id is not None
    broken = Path(shutil.copy(own, tmp_path / "broken.h5"))
    library.use_model(str(broken))
    broken.write_bytes(b"broken")
    assert submit_embedding(library) is None
    worker.run(library, job_id)
    assert library.operation(job_id).status == "done"
    library.use_model(str(worded))
    assert not_compared(library) == 0


def test_a_model_that_is_gone_gives_a_message(tagged_by_pets: Library, tmp_path: Path) -> None:
    job_id = submit(tagged_by_pets, EmbedRequest(str(tmp_path / "gone.h5"), "0" * 64))
    worker.run(tagged_by_pets, job_id)
    job = tagged_by_pets.operation(job_id)
    assert job.status == "failed" and "gone.h5: no such model file" in (job.error or "")
    assert submit_embedding(tagged_by_pets) is not None  # with the model that is there


def test_without_a_model_that_knows_words_there_is_nothing_to_do(
    library: Library, folder: Path
) -> None:
    import_folder(library, folder, model="pets")
    library.use_model("pets")
    assert submit_embedding(library) is None
    assert library.find_similar_to(next(library.photos()))
