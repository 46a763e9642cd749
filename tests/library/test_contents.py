"""Photos whose files were edited, replaced or moved since they were added."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagger.errors import ImageError
from tagger.images import decode
from tagger.library.library import Library
from tagger.library.records import Photo
from tests.conftest import draw_scene, import_folder

TAKEN, LATER = "2024:05:01 10:00:00", "2024:05:01 10:01:00"


def write(path: Path, rgb: decode.Pixels, taken: str | None = None, rating: int = 0) -> None:
    """A JPEG with EXIF that says when it was taken, and a rating."""
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    if rating:
        exif[0x4746] = rating
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, "JPEG", quality=90, exif=exif)


def crop(rgb: decode.Pixels) -> decode.Pixels:
    return np.ascontiguousarray(rgb[20:200, 30:220])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def import_one(library: Library, folder: Path, taken: str | None = None) -> Photo:
    """A photo of a scene, imported and tagged by a person."""
    write(folder / "a.jpg", draw_scene(1, 256), taken)
    assert import_folder(library, folder).counts == {"added": 1}
    (photo,) = library.photos()
    library.edit_tags([photo.id], add=["beach"], remove=["dog"])
    return library.photo(photo.id)


@pytest.mark.parametrize("edit", ["rating", "crop", "adjustment"])
def test_a_photo_that_was_edited_in_place_stays_the_same_photo(
    library: Library, folder: Path, edit: str
) -> None:
    before = import_one(library, folder, TAKEN)
    rgb = draw_scene(1, 256)
    edited = {"rating": rgb, "crop": crop(rgb), "adjustment": rgb // 2 + 20}[edit]
    write(folder / "a.jpg", edited, TAKEN, rating=4)
    job = import_folder(library, folder)
    assert job.counts == {"updated": 1} and (job.total, job.done) == (1, 1)
    (photo,) = library.photos()
    assert photo.id == before.id and photo.added_at == before.added_at
    assert photo.size == (folder / "a.jpg").stat().st_size
    assert (photo.width, photo.height) == edited.shape[1::-1]
    assert library.read_original(photo) == (folder / "a.jpg").read_bytes()
    assert [tag.label for tag in photo.tags if tag.by_person] == ["beach"]
    assert [a.label for a in library.annotations(photo.id) if not a.present] == ["dog"]
    thumbnail = decode.read(library.read_thumbnail(photo))
    assert thumbnail.shape == edited.shape and np.abs(thumbnail.astype(int) - edited).mean() < 9
    prediction = library.prediction(photo.id)
    assert prediction is not None and prediction.operation_id == job.id
    (file,) = library.operation_files(job.id, "updated")
    assert file.photo_id == photo.id
    assert import_folder(library, folder).counts == {"duplicate": 1}


def test_an_update_can_be_undone_and_done_again(library: Library, folder: Path) -> None:
    before = import_one(library, folder)
    prediction, thumbnail = library.prediction(before.id), library.read_thumbnail(before)
    write(folder / "a.jpg", crop(draw_scene(1, 256)))
    job = import_folder(library, folder)
    after = library.photo(before.id)
    undone = library.undo(job.id)
    assert (undone.changed, undone.left_alone) == (1, 0)
    photo = library.photo(before.id)
    assert (photo.sha256, photo.size, photo.width) == (before.sha256, before.size, before.width)
    assert library.prediction(before.id) == prediction
    assert library.read_thumbnail(photo) == thumbnail
    assert photo.missing and library.count("missing") == 1
    with pytest.raises(ImageError, match="another picture is there now"):
        library.read_original(photo)
    library.undo(undone.operation_id)
    assert library.photo(before.id) == after
    assert library.read_original(after) == (folder / "a.jpg").read_bytes()


def test_only_the_latest_of_several_edits_is_undone(library: Library, folder: Path) -> None:
    before, rgb, jobs = import_one(library, folder), draw_scene(1, 256), []
    for rating in (1, 2):
        write(folder / "a.jpg", rgb, rating=rating)
        jobs.append(import_folder(library, folder).id)
    with pytest.raises(Exception, match="nothing left to undo"):
        library.undo(jobs[0])
    library.undo(jobs[1])
    library.undo(jobs[0])
    assert library.photo(before.id).sha256 == before.sha256


def test_an_edit_is_not_undone_if_the_earlier_content_is_another_photo_now(
    library: Library, folder: Path
) -> None:
    before = import_one(library, folder)
    shutil.copyfile(folder / "a.jpg", folder.parent / "backup.jpg")
    write(folder / "a.jpg", crop(draw_scene(1, 256)))
    job = import_folder(library, folder)
    after, prediction = library.photo(before.id), library.prediction(before.id)
    shutil.move(folder.parent / "backup.jpg", folder / "b.jpg")
    assert import_folder(library, folder).counts == {"duplicate": 1, "added": 1}
    with pytest.raises(Exception, match="nothing left to undo"):
        library.undo(job.id)
    assert (library.photo(before.id), library.prediction(before.id)) == (after, prediction)


@pytest.mark.parametrize("dates", [(None, None), (TAKEN, None), (TAKEN, LATER)])
def test_another_picture_in_the_place_of_a_photo_is_a_new_photo(
    library: Library, folder: Path, dates: tuple[str | None, str | None]
) -> None:
    before = import_one(library, folder, dates[0])
    write(folder / "a.jpg", draw_scene(2, 256), dates[1])
    assert import_folder(library, folder).counts == {"added": 1}
    old = library.photo(before.id)
    (new,) = library.photos("NOT missing")
    assert (
        old.missing
        and old.tags == before.tags
        and [p.id for p in library.photos("missing")] == [old.id]
    )
    assert new.id != old.id and not [tag for tag in new.tags if tag.by_person]
    assert library.read_original(new) == (folder / "a.jpg").read_bytes()
    with pytest.raises(ImageError, match="another picture is there now"):
        library.read_original(old)
    write(folder / "elsewhere" / "b.jpg", draw_scene(1, 256), dates[0])  # found by its content
    assert import_folder(library, folder).counts == {"duplicate": 2}
    again = library.photo(old.id)
    assert not again.missing and again.path == folder / "elsewhere" / "b.jpg"
    assert library.read_original(again)


def test_a_webcams_next_picture_is_another_photo(library: Library, folder: Path) -> None:
    import_one(library, folder, TAKEN)
    write(
        folder / "a.jpg",
        np.clip(draw_scene(1, 256).astype(int) + 9, 0, 255).astype(np.uint8),
        LATER,
    )
    assert import_folder(library, folder).counts == {"added": 1}


def test_a_corrected_date_is_an_edit(library: Library, folder: Path) -> None:
    before = import_one(library, folder, TAKEN)
    write(folder / "a.jpg", draw_scene(1, 256), LATER)
    assert import_folder(library, folder).counts == {"updated": 1}
    photo = library.photo(before.id)
    assert str(photo.taken_at) == "2024-05-01 10:01:00"
    write(folder / "a.jpg", crop(draw_scene(1, 256)))  # by a program that drops the date
    assert import_folder(library, folder).counts == {"updated": 1}
    assert library.photo(before.id).taken_at == photo.taken_at


def test_photos_that_changed_places_are_the_same_photos(library: Library, folder: Path) -> None:
    for number in (1, 2, 3):
        write(folder / f"{number}.jpg", draw_scene(number, 256))
    import_folder(library, folder)
    ids = {photo.sha256: photo.id for photo in library.photos()}
    (folder / "3.jpg").rename(folder / "x.jpg")
    for old, new in (("2", "3"), ("1", "2"), ("x", "1")):
        (folder / f"{old}.jpg").rename(folder / f"{new}.jpg")
    import_folder(library, folder)
    for photo in library.photos():
        assert ids[photo.sha256] == photo.id and not photo.missing
        assert library.read_original(photo)


def test_a_moved_file_is_found_though_another_of_its_size_took_its_place(
    library: Library, folder: Path
) -> None:
    photo = import_one(library, folder)
    moved = folder.parent / "moved"
    moved.mkdir()
    (folder / "a.jpg").rename(moved / "a.jpg")
    (folder / "a.jpg").write_bytes(b"x" * photo.size)
    later = photo.added_at.timestamp() + 5
    os.utime(folder / "a.jpg", (later, later))
    assert import_folder(library, moved).counts == {"duplicate": 1}
    assert library.photo(photo.id).path == moved / "a.jpg"


def test_files_that_are_gone_from_a_folder_are_missing_until_they_are_back(
    library: Library, folder: Path
) -> None:
    photo = import_one(library, folder)
    write(folder / "b.jpg", draw_scene(2, 256))
    data = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").unlink()
    assert import_folder(library, folder).counts == {"added": 1}
    assert [p.id for p in library.photos("missing")] == [photo.id]
    (folder / "a.jpg").write_bytes(data)
    assert import_folder(library, folder).counts == {"duplicate": 2}
    assert library.count("missing") == 0


def test_a_deleted_photo_is_not_updated(library: Library, folder: Path) -> None:
    photo = import_one(library, folder)
    library.delete([photo.id])
    write(folder / "a.jpg", draw_scene(1, 256), rating=3)
    assert import_folder(library, folder).counts == {"added": 1}
    assert library.undo(library.operations(2)[1].id).changed == 1
    assert library.count() == 2


def test_a_purge_removes_the_thumbnails_of_earlier_contents(library: Library, folder: Path) -> None:
    photo = import_one(library, folder)
    write(folder / "a.jpg", draw_scene(1, 256), rating=3)
    import_folder(library, folder)
    library.delete([photo.id])
    assert library.trash.empty() == 1
    assert not list((library.home / "thumbnails").rglob("*.jpg"))


@pytest.mark.parametrize("backup", ["b.jpg", "0.jpg", "originals/a.jpg"])
@pytest.mark.parametrize("is_imported", [False, True])
def test_a_backup_of_an_edited_photo_is_a_photo_of_its_own(
    library: Library, folder: Path, backup: str, is_imported: bool
) -> None:
    before = import_one(library, folder)
    (folder / backup).parent.mkdir(exist_ok=True)
    shutil.copyfile(folder / "a.jpg", folder / backup)
    if is_imported:
        assert import_folder(library, folder).counts == {"duplicate": 2}
    write(folder / "a.jpg", crop(draw_scene(1, 256)))
    job = import_folder(library, folder)
    assert job.counts == {"updated": 1, "added": 1} and (job.total, job.done) == (2, 2)
    for _ in range(2):
        photo, other = sorted(library.photos(), key=lambda photo: photo.id)
        assert photo.id == before.id and photo.path == folder / "a.jpg"
        assert other.path == folder / backup and not photo.missing and not other.missing
        assert library.read_original(photo) == (folder / "a.jpg").read_bytes()
        assert library.read_original(other) == (folder / backup).read_bytes()
        assert import_folder(library, folder).counts == {"duplicate": 2}


def test_a_backup_elsewhere_stands_in_for_a_photo_whose_edit_is_not_imported(
    library: Library, folder: Path
) -> None:
    before = import_one(library, folder)
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    shutil.copyfile(folder / "a.jpg", elsewhere / "b.jpg")
    write(folder / "a.jpg", crop(draw_scene(1, 256)))
    assert import_folder(library, elsewhere).counts == {"duplicate": 1}
    assert library.photo(before.id).path == elsewhere / "b.jpg"
    assert import_folder(library, folder).counts == {"added": 1}
    assert all(library.read_original(photo) for photo in library.photos())


def test_an_undo_gives_a_photo_its_place_back(library: Library, folder: Path) -> None:
    before = import_one(library, folder)
    write(folder / "a.jpg", crop(draw_scene(1, 256)))
    job = import_folder(library, folder, copy=True)
    after = library.photo(before.id)
    assert after.stored and library.read_original(after) == (folder / "a.jpg").read_bytes()
    undo = library.undo(job.id)
    photo = library.photo(before.id)
    assert (photo.path, photo.stored, photo.missing) == (folder / "a.jpg", False, True)
    library.undo(undo.operation_id)
    assert library.photo(before.id) == after
    library.undo(library.operations(1)[0].id)
    assert import_folder(library, folder).counts == {"updated": 1}
    assert library.count() == 1


def test_a_purge_keeps_the_thumbnail_that_an_undo_needs(library: Library, folder: Path) -> None:
    before = import_one(library, folder)
    thumbnail, original = library.read_thumbnail(before), (folder / "a.jpg").read_bytes()
    write(folder / "a.jpg", crop(draw_scene(1, 256)))
    job = import_folder(library, folder)
    (folder / "b.jpg").write_bytes(original)
    assert import_folder(library, folder).counts == {"added": 1, "duplicate": 1}
    (other,) = [photo for photo in library.photos() if photo.id != before.id]
    library.delete([other.id])
    assert library.trash.empty() == 1
    library.undo(job.id)
    assert library.read_thumbnail(library.photo(before.id)) == thumbnail


@pytest.mark.parametrize("content", [b"\xff\xd8\xff garbage", b"", b"Dear diary"])
def test_a_photo_overwritten_with_what_is_none_is_missing(
    library: Library, folder: Path, content: bytes
) -> None:
    photo, path = import_one(library, folder), folder / "a.jpg"
    before = path.read_bytes()
    path.write_bytes(content)
    assert import_folder(library, folder).counts == {"failed": 1}
    assert [p.id for p in library.photos("missing")] == [photo.id]
    path.write_bytes(before)
    import_folder(library, folder)
    assert library.count("missing") == 0
