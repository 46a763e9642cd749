"""Reading files to import: digests, reasons for failures, and limited memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tagger.library.importer import BATCH_BYTES, Failed, FileContent, ImportFile, read_batches

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
