"""Importing files and tagging photos again: outcomes, copies, names, limited memory."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from tagger.errors import ImageError
from tagger.files import Skipped
from tagger.images import decode
from tagger.jobs import worker
from tagger.jobs.requests import ImportUploadsRequest, RetagRequest, submit
from tagger.library import operations
from tagger.library.importer import (
    BATCH_BYTES,
    Failed,
    FileContent,
    Importer,
    read_batches,
    register_model,
)
from tagger.library.job_files import ImportFile
from tagger.library.library import Library
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw_collection, draw_png, import_folder
from tests.trees import Tree, is_skipped, reachable_photos, trees

HOSTILE_NAMES = (
    "<script>alert(1)</script>.png",
    "../../escaped.png",
    "=cmd()|' /C calc'!A0.png",
    "'; DROP TABLE photos;--.png",
    "C:\\windows\\system32\\evil.png",
    ":red[x] **bold** $x$.png",
    "a\nb\x1b[31m.png",
    "nul\0byte.png",
    "\udcff\udcfe.png",
    "é" * 400 + ".png",
    "",
    "..",
)
THIRD = BATCH_BYTES // 3 + 1  # three of these fill a batch


def make_files(folder: Path, sizes: list[int]) -> list[ImportFile]:
    files = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}.jpg"
        path.write_bytes(bytes([number]) * size)
        files.append(ImportFile(number, str(path), path.name))
    return files


def test_a_batch_of_files_fits_into_memory(tmp_path: Path) -> None:
    sizes = [1, THIRD, THIRD, THIRD, 2 * BATCH_BYTES, 5, 0]
    batches = list(read_batches(make_files(tmp_path, sizes)))
    assert [[c.file.id for c in batch] for batch in batches] == [[0, 1, 2, 3], [4], [5, 6]]


def test_a_file_is_read_only_when_its_batch_is_due(tmp_path: Path) -> None:
    files = make_files(tmp_path, [BATCH_BYTES, 1])
    batches = read_batches(files)
    next(batches)
    Path(files[1].path).write_bytes(b"changed")
    ((changed,),) = batches
    assert isinstance(changed, FileContent) and changed.data == b"changed"


def test_the_digest_is_of_the_bytes_on_disk_or_in_memory(tmp_path: Path) -> None:
    (on_disk,) = make_files(tmp_path, [9])
    in_memory = ImportFile(1, "", "upload.png", data=b"in memory")
    digests = [hashlib.sha256(data).hexdigest() for data in (bytes(9), b"in memory")]
    assert list(read_batches([on_disk, in_memory])) == [
        [
            FileContent(on_disk, bytes(9), digests[0]),
            FileContent(in_memory, b"in memory", digests[1]),
        ]
    ]


def test_an_unreadable_file_has_a_reason_and_the_others_are_read(tmp_path: Path) -> None:
    folder, (file,) = tmp_path / "a.jpg", make_files(tmp_path, [1])
    folder.mkdir()
    missing = ImportFile(1, str(tmp_path / "missing.jpg"), "missing.jpg")
    directory = ImportFile(2, str(folder), "a.jpg")
    ((first, second, third),) = read_batches([missing, directory, file])
    assert first == Failed(missing, "no such file")
    assert second == Failed(directory, "a folder, not a photo")
    assert isinstance(third, FileContent) and third.data == bytes(1)


def test_a_folder_is_imported_in_place(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 4)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    operation = import_folder(library, folder)
    assert operation.status == "done"
    assert operation.counts == {"added": 12}
    page = library.search(sort="name")
    assert page.total == 12
    assert {p.path for p in page.photos} == set(before)
    assert not any(p.stored for p in page.photos)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert not list((library.home / "photos").rglob("*.jpg"))


def test_a_photo_is_added_once_however_often_it_is_imported(
    library: Library, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 3)
    shutil.copytree(folder, folder / "again")
    operation = import_folder(library, folder)
    assert operation.counts == {"added": 9, "duplicate": 9}
    assert import_folder(library, folder).counts == {"duplicate": 18}
    assert library.count() == 9
    for file in library.operation_files(operation.id, "duplicate"):
        photo = library.photo(file.photo_id or 0)
        assert photo.path.read_bytes() == Path(file.path).read_bytes()


def test_importing_a_deleted_photo_restores_it_once(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 3)
    import_folder(library, folder)
    deleted = library.search("name:001").photos
    library.delete([photo.id for photo in deleted])
    moved = folder.rename(tmp_path / "moved")
    shutil.copytree(moved, moved / "again")
    (moved / "broken.jpg").write_bytes(b"not a photo")
    operation = import_folder(library, moved)
    assert operation.counts == {"restored": 3, "duplicate": 15, "failed": 1}
    assert library.count() == 9
    for photo in library.photos():
        assert library.read_original(photo)
    assert library.undo(operation.id).changed == 3
    assert library.count() == 6


def test_large_files_are_imported_in_small_batches(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 4)
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        path.write_bytes(path.read_bytes() + bytes(BATCH_BYTES * (number % 3) // 2))
    (folder / "disc" / "001.jpg").write_bytes(b"not a photo")
    assert import_folder(library, folder).counts == {"added": 11, "failed": 1}
    paths = set(folder.rglob("*.jpg")) - {folder / "disc" / "001.jpg"}
    assert {photo.path for photo in library.photos()} == paths


def test_copies_remain_when_the_originals_are_deleted(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 2)
    import_folder(library, folder, copy=True)
    shutil.rmtree(folder)
    for photo in library.photos():
        assert photo.stored
        assert photo.path.is_relative_to(library.home)
        assert decode.read(library.read_original(photo)).shape == (120, 120, 3)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_file_name_is_stored_as_text(library: Library, pets: Tagger, name: str) -> None:
    root = library.home.parent
    outside = {p for p in root.rglob("*") if not p.is_relative_to(library.home)}
    added = library.add_photo(name, draw_png(1), pets)
    job_id = submit(library, ImportUploadsRequest([(name, io.BytesIO(draw_png(2)))], "pets"))
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"added": 1}
    assert {p for p in root.rglob("*") if not p.is_relative_to(library.home)} == outside
    assert library.count() == 2
    assert added.photo.path.is_relative_to(library.home / "photos")
    assert "/" not in added.photo.name
    assert "\\" not in added.photo.name.replace("\\udc", "")


def test_uploads_are_copied_and_their_folder_is_deleted(library: Library) -> None:
    uploads = [(f"{n}.png", io.BytesIO(draw_png(n))) for n in range(3)]
    uploads.append(("broken.png", io.BytesIO(b"not a photo")))
    job_id = submit(library, ImportUploadsRequest(uploads, "pets"))
    assert library.operation(job_id).status == "queued"
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"added": 3, "failed": 1}
    (failed,) = library.operation_files(job_id, "failed")
    assert failed.name == "broken.png"
    assert (
        failed.reason
        == "not a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF photo, or broken at its start"
    )
    assert not list((library.home / "uploads").iterdir())
    assert all(p.stored for p in library.photos())


def test_retagging_skips_photos_tagged_by_the_same_model(
    library: Library, tmp_path: Path, trained: TrainingResult
) -> None:
    folder = draw_collection(tmp_path / "photos", 2)
    import_folder(library, folder)
    library.add_photo("more.png", draw_png(900), Tagger.load(trained.model))
    job_id = submit(library, RetagRequest(model=str(trained.model)))
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"tagged": 6, "same": 1}
    assert {p.model for p in library.photos()} == {"shapes"}
    undone = library.undo(job_id)
    assert (undone.changed, undone.left_alone) == (6, 0)
    assert sorted(str(p.model) for p in library.photos()) == ["pets"] * 6 + ["shapes"]


def test_retagging_lists_missing_and_changed_files_as_failed(
    library: Library, tmp_path: Path, trained: TrainingResult
) -> None:
    folder = draw_collection(tmp_path / "photos", 2)
    import_folder(library, folder)
    (folder / "disc" / "000.jpg").unlink()
    (folder / "disc" / "001.jpg").write_bytes(draw_png(77))
    job_id = submit(library, RetagRequest(model=str(trained.model)))
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"tagged": 4, "failed": 2}
    reasons = {file.name: file.reason for file in library.operation_files(job_id, "failed")}
    assert reasons == {
        "000.jpg": "no such file",
        "001.jpg": "has changed since it was added; import it again",
    }


def test_importing_a_moved_file_updates_the_photos_path(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    import_folder(library, folder)
    photo = library.search("name:000", limit=1).photos[0]
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(ImageError, match="no such file"):
        library.read_original(photo)
    assert import_folder(library, moved).counts == {"duplicate": 3}
    photo = library.photo(photo.id)
    assert library.read_original(photo) == photo.path.read_bytes()
    assert photo.path.is_relative_to(moved)


def test_importing_again_with_copies_adds_copies(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    import_folder(library, folder)
    assert import_folder(library, folder, copy=True).counts == {"duplicate": 3}
    shutil.rmtree(folder)
    assert all(library.read_original(p) for p in library.photos())


def test_a_missing_copy_is_written_again(library: Library, pets: Tagger) -> None:
    first = library.add_photo("one.jpeg", draw_png(1), pets).photo
    first.path.unlink()
    again = library.add_photo("one.png", draw_png(1), pets)
    assert again.duplicate
    assert library.read_original(library.photo(first.id)) == draw_png(1)
    library.delete([first.id])
    for copy in (library.home / "photos").rglob("*.*"):
        copy.unlink()
    restored = library.add_photo("one.png", draw_png(1), pets).photo
    assert library.read_original(restored) == draw_png(1)


def test_a_purge_during_an_import_does_not_lose_its_photos(library: Library, pets: Tagger) -> None:
    deleted = library.add_photo("one.png", draw_png(1), pets).photo
    library.delete([deleted.id])
    importer = Importer(library.database, library.storage, [pets], copy=True)
    results = importer.read_and_tag([ImportFile(0, "", "one.png", data=draw_png(1))])
    library.trash.empty()
    with library.database.write_transaction() as connection:
        operation_id = operations.create(connection, "import", "at the same time")
        importer.record(connection, operation_id, [register_model(connection, pets)], results)
    (photo,) = library.photos()
    assert library.read_original(photo) == draw_png(1)


def test_undecodable_file_names_are_stored_exactly(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = ["caf\uf7e9.png", "x\uf6ff.png", "plain.png", os.fsdecode(b"\xff\xfe.png")]
    for seed, name in enumerate(names):
        (folder / name).write_bytes(draw_png(seed))
    assert import_folder(library, folder).counts == {"added": 4}
    assert {p.path.name for p in library.photos()} == set(names)
    assert all(library.read_original(p) for p in library.photos())


def test_an_import_skips_the_librarys_own_files(library: Library, tmp_path: Path) -> None:
    draw_collection(tmp_path / "pics", 1)
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    import_folder(library, tmp_path / "pics", copy=True)
    for way in (tmp_path / "elsewhere", tmp_path / "pics" / ".."):
        assert import_folder(library, way).counts == {"duplicate": 3}


def test_two_simultaneous_imports_add_a_photo_once(library: Library, pets: Tagger) -> None:
    importer = Importer(library.database, library.storage, [pets], copy=True)
    results = importer.read_and_tag([ImportFile(0, "", "same.png", data=draw_png(1))])
    library.add_photo("first.png", draw_png(1), pets)
    with library.database.write_transaction() as connection:
        assert importer.record(connection, 1, [1], results) == {"duplicate": 1}
    assert library.count() == 1


@given(trees)
@settings(max_examples=5, deadline=None)
def test_every_photo_of_a_tree_is_imported_or_named(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = tree.write(Path(folder), [draw_png(1, 24)])
        library = Library.open(Path(folder) / "library")
        try:
            job = import_folder(library, root)
            outcomes = ("added", "duplicate", "failed")
            files = [f for outcome in outcomes for f in library.operation_files(job.id, outcome)]
            left_out = library.operation_files(job.id, "left_out")
        finally:
            library.close()
        processed = [os.path.realpath(file.path) for file in files]
        assert job.status == "done" and len(processed) == len(set(processed))
        assert sum(job.counts.get(outcome, 0) for outcome in outcomes) == len(files)
        skipped = Skipped()
        list(decode.find_photos(root, skipped))
        for photo in reachable_photos(root) - set(processed):
            assert is_skipped(photo, root, skipped)
        names = {os.path.basename(path) for path in skipped.own_folders}
        assert len(left_out) == len(names) + len(skipped.links) + len(skipped.hidden_photos)
