"""Files read for importing: digests, reasons, and never too many bytes at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tagger.library.contents import HELD_BYTES, ImportFile, read_some

THIRD = HELD_BYTES // 3 + 1  # three of these are as much as is held


def listed(folder: Path, sizes: list[int]) -> list[ImportFile]:
    files = []
    for number, size in enumerate(sizes):
        place = folder / f"{number}.jpg"
        place.write_bytes(bytes([number]) * size)
        files.append(ImportFile(number, str(place), place.name))
    return files


def test_files_are_held_as_far_as_memory_allows(tmp_path: Path) -> None:
    parts = list(read_some(listed(tmp_path, [1, THIRD, THIRD, THIRD, 2 * HELD_BYTES, 5, 0])))
    assert [[one.file.id for one in part] for part in parts] == [[0, 1, 2, 3], [4], [5, 6]]


def test_no_file_is_read_before_it_is_its_turn(tmp_path: Path) -> None:
    files = listed(tmp_path, [HELD_BYTES, 1])
    parts = read_some(files)
    next(parts)
    Path(files[1].path).write_bytes(b"changed")
    ((changed,),) = parts
    assert changed.data == b"changed"


def test_a_digest_is_of_the_bytes_wherever_they_are(tmp_path: Path) -> None:
    (file,) = listed(tmp_path, [9])
    at_hand = ImportFile(1, "", "upload.png", data=b"at hand")
    ((read, given),) = read_some([file, at_hand])
    assert (read.data, read.sha256) == (bytes(9), hashlib.sha256(bytes(9)).hexdigest())
    assert (given.data, given.sha256) == (b"at hand", hashlib.sha256(b"at hand").hexdigest())


def test_what_cannot_be_read_says_why_and_the_rest_is(tmp_path: Path) -> None:
    folder, (file,) = tmp_path / "a.jpg", listed(tmp_path, [1])
    folder.mkdir()
    missing = ImportFile(1, str(tmp_path / "missing.jpg"), "missing.jpg")
    ((lost, odd, read),) = read_some([missing, ImportFile(2, str(folder), "a.jpg"), file])
    assert (lost.failure, lost.data) == ("no such file", b"")
    assert odd.failure == "a folder, not a photo"
    assert (read.failure, read.data) == (None, bytes(1))
