"""Comparing jobs: near copies are found, once, and after a stop or a change from there on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import update

from tagger.errors import OptionError
from tagger.images import decode
from tagger.images.decode import Pixels
from tagger.jobs import duplicates, worker
from tagger.jobs.requests import CompareRequest, submit
from tagger.library.database.schema import photos
from tagger.library.library import Library
from tests.conftest import draw_scene, import_folder
from tests.images.test_same_picture import adjust, crop

pytestmark = pytest.mark.usefixtures("wordless")


def write(folder: Path, name: str, rgb: Pixels) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(decode.encode(rgb, "JPEG" if name.endswith("jpg") else "PNG"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six scenes; of the first three there are copies."""
    folder = tmp_path / "photos"
    for seed in range(6):
        write(folder, f"{seed}.png", draw_scene(seed, 400))
    write(folder, "0 smaller.jpg", cv2.resize(draw_scene(0, 400), (200, 200)).astype(np.uint8))
    write(folder, "0 brighter.jpg", adjust(draw_scene(0, 400), 1.2, 10))
    write(folder, "1 again.jpg", draw_scene(1, 400))
    write(folder, "2 cropped.png", crop(draw_scene(2, 400), 0.96))
    return folder


def compare(library: Library) -> dict[str, int]:
    job_id = submit(library, CompareRequest())
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert job.status == "done" and job.title == "Look for duplicates"
    return job.result or {}


def groups(library: Library) -> list[list[str]]:
    return [
        [library.photo(photo_id).name for photo_id in group.ids]
        for group in library.duplicates.list_groups().groups
    ]


def test_copies_are_found_the_best_first(library: Library, folder: Path) -> None:
    import_folder(library, folder)
    assert library.duplicates.list_groups().uncompared == 10
    assert compare(library) == {"photos": 10, "pairs": 5}
    listed = library.duplicates.list_groups()
    assert (listed.compared, listed.uncompared, listed.removable) == (10, 0, 4)
    assert sorted(map(sorted, groups(library))) == [
        ["0 brighter.jpg", "0 smaller.jpg", "0.png"],
        ["1 again.jpg", "1.png"],
        ["2 cropped.png", "2.png"],
    ]
    (first,) = (group for group in groups(library) if "0.png" in group)
    assert first[-1] == "0 smaller.jpg"
    assert {group[0] for group in groups(library)} >= {"2.png"}
    (loaded,) = library.duplicates.load(listed.groups[:1])
    assert all(sharpness and sharpness > 0 for sharpness in loaded.sharpness)


def test_only_new_photos_are_compared(library: Library, folder: Path) -> None:
    import_folder(library, folder)
    compare(library)
    assert compare(library) == {"photos": 0, "pairs": 0}
    write(folder, "3 again.jpg", draw_scene(3, 400))
    import_folder(library, folder)
    assert library.duplicates.list_groups().uncompared == 1
    assert compare(library) == {"photos": 1, "pairs": 1}
    assert set(groups(library)[0]) == {"3.png", "3 again.jpg"}


def test_a_photo_that_was_edited_is_compared_again(library: Library, folder: Path) -> None:
    import_folder(library, folder)
    compare(library)
    write(folder, "1 again.jpg", adjust(crop(draw_scene(1, 400), 0.8), 0.7, 0))
    assert import_folder(library, folder).counts["updated"] == 1
    assert len(groups(library)) == 2
    assert library.duplicates.list_groups().uncompared == 1
    assert compare(library)["photos"] == 1


def test_photos_of_older_libraries_are_hashed(library: Library, folder: Path) -> None:
    import_folder(library, folder)
    compare(library)
    before = groups(library)
    library.duplicates.file.unlink()
    (folder / "5.png").unlink()
    with library.database.write_transaction() as connection:
        connection.execute(update(photos).values(phash=None))
    unreadable = next(photo for photo in library.photos() if photo.name == "5.png")
    library.storage.thumbnail_path(unreadable.sha256).unlink()
    assert library.duplicates.list_groups().uncompared == 10
    assert compare(library)["photos"] == 9
    assert groups(library) == before
    assert library.duplicates.list_groups().uncompared == 0  # one cannot be


def test_deleted_photos_are_compared_too_for_when_they_come_back(
    library: Library, folder: Path
) -> None:
    import_folder(library, folder)
    (copy,) = (photo.id for photo in library.photos() if photo.name == "1 again.jpg")
    deletion = library.delete([copy])
    compare(library)
    assert len(groups(library)) == 2
    library.undo(deletion)
    assert len(groups(library)) == 3 and library.duplicates.list_groups().uncompared == 0


def test_a_stopped_job_goes_on(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_folder(library, folder)
    monkeypatch.setattr(duplicates, "SAVE_SECONDS", 0)
    monkeypatch.setattr("tagger.library.duplicates.candidates.ROWS", 4)
    job_id = submit(library, CompareRequest())
    with pytest.raises(OptionError, match="already"):
        submit(library, CompareRequest())
    real = duplicates.is_near_copy

    def stop(*sketches: object) -> bool:
        library.stop(job_id)
        return real(*sketches)  # type: ignore[arg-type]

    monkeypatch.setattr(duplicates, "is_near_copy", stop)
    worker.run(library, job_id)
    assert library.operation(job_id).status == "stopped"
    monkeypatch.setattr(duplicates, "is_near_copy", real)
    left = library.duplicates.list_groups().uncompared
    assert 0 < left < 10
    assert compare(library)["photos"] == left
    assert len(groups(library)) == 3


def test_crops_are_found_by_vectors(library: Library, folder: Path, worded: Path) -> None:
    library.use_model(str(worded))
    write(folder, "3 cropped.png", crop(draw_scene(3, 400), 0.9))
    import_folder(library, folder, model=str(worded))
    compare(library)
    assert {"3.png", "3 cropped.png"} in map(set, groups(library))
