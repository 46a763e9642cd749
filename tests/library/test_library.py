"""The library: what a person can do with it, and what must never be lost."""

from __future__ import annotations

import io
import os
import random
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select, text

from tagger.errors import ImageError, LibraryError, ModelError, OptionError
from tagger.images import decode
from tagger.jobs import worker
from tagger.jobs.requests import ImportUploadsRequest, RetagRequest, submit
from tagger.library import operations, tags
from tagger.library.database.schema import photos as photos_table
from tagger.library.database.schema import predictions, presences, verdicts
from tagger.library.database.schema import tags as tags_table
from tagger.library.importer import BATCH_BYTES, Importer, ImportFile, register_model
from tagger.library.library import Library
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw, draw_collection, import_folder

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


def photo(seed: int, side: int = 120) -> bytes:
    return decode.encode(draw("disc", seed, side), "PNG")


def test_a_folder_is_imported_where_it_is(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 4)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    run = import_folder(library, folder)
    assert run.status == "done"
    assert run.counts == {"added": 12}
    page = library.search(sort="name")
    assert page.total == 12
    assert {p.path for p in page.photos} == set(before)
    assert not any(p.stored for p in page.photos)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert not list((library.home / "photos").rglob("*.jpg"))


def test_each_photo_is_there_once(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 3)
    shutil.copytree(folder, folder / "again")
    run = import_folder(library, folder)
    assert run.counts == {"added": 9, "duplicate": 9}
    assert import_folder(library, folder).counts == {"duplicate": 18}
    assert library.count() == 9
    for listed in library.operation_files(run.id, "duplicate"):
        there = library.photo(listed.photo_id or 0)
        assert there.path.read_bytes() == Path(listed.path).read_bytes()


def test_a_photo_twice_in_a_folder_comes_back_once(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 3)
    import_folder(library, folder)
    gone = library.search("name:001").photos
    library.delete([photo.id for photo in gone])
    moved = folder.rename(tmp_path / "moved")
    shutil.copytree(moved, moved / "again")
    (moved / "broken.jpg").write_bytes(b"not a photo")
    run = import_folder(library, moved)
    assert run.counts == {"restored": 3, "duplicate": 15, "failed": 1}
    assert library.count() == 9
    for photo in library.photos():
        assert library.read_original(photo)
    assert library.undo(run.id).changed == 3
    assert library.count() == 6


def test_large_files_are_read_a_few_at_a_time_and_all_come(
    library: Library, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 4)
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        path.write_bytes(path.read_bytes() + bytes(BATCH_BYTES * (number % 3) // 2))
    (folder / "disc" / "001.jpg").write_bytes(b"not a photo")
    assert import_folder(library, folder).counts == {"added": 11, "failed": 1}
    there = set(folder.rglob("*.jpg")) - {folder / "disc" / "001.jpg"}
    assert {photo.path for photo in library.photos()} == there


def test_copies_outlive_the_originals(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 2)
    import_folder(library, folder, copy=True)
    shutil.rmtree(folder)
    for found in library.photos():
        assert found.stored
        assert found.path.is_relative_to(library.home)
        assert decode.read(library.read_original(found)).shape == (120, 120, 3)


def test_a_tag_knows_where_it_comes_from(library: Library, pets: Tagger) -> None:
    found = library.add_photo("disc.png", photo(1), pets).photo
    said = library.prediction(found.id)
    assert said is not None
    assert (said.model, said.model_sha256) == ("pets", pets.sha256)
    straight = pets.tag(photo(1))
    assert said.label == straight.label
    assert said.confidence == pytest.approx(straight.confidence, abs=1e-6)
    assert said.reason == straight.reason
    assert [label for label, _ in said.scores] == [score.label for score in straight.scores]


def test_a_model_tags_a_photo_of_a_cat(library: Library, pets: Tagger, data: Path) -> None:
    cat = next(iter(sorted((data / "pets" / "val" / "cat").iterdir())))
    found = library.add_photo(cat.name, cat.read_bytes(), pets).photo
    (tag,) = found.tags
    assert (tag.label, tag.by_person, tag.model) == ("cat", False, "pets")
    assert tag.model_sha256 == pets.sha256
    assert tag.threshold == pets.threshold("cat")
    assert tag.score is not None
    assert tag.score >= tag.threshold
    assert not found.unknown


def test_adding_twice_finds_the_first(library: Library, pets: Tagger) -> None:
    first = library.add_photo("one.png", photo(1), pets)
    second = library.add_photo("two.png", photo(1), pets)
    assert not first.duplicate
    assert second.duplicate
    assert second.photo.id == first.photo.id
    assert second.photo.name == "one.png"
    assert second.operation_id is None
    assert library.find_by_digest(first.photo.sha256) == first.photo
    library.delete([first.photo.id])
    assert library.find_by_digest(first.photo.sha256) is None
    assert library.find_by_digest("0" * 64) is None


@pytest.mark.parametrize("data", [b"", b"no photo", photo(1)[:100]])
def test_what_is_no_photo_is_a_sentence(library: Library, pets: Tagger, data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^broken\.png: "):
        library.add_photo("broken.png", data, pets)
    assert library.count() == 0
    assert library.operations() == []


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_is_only_ever_text(library: Library, pets: Tagger, name: str) -> None:
    root = library.home.parent
    outside = {p for p in root.rglob("*") if not p.is_relative_to(library.home)}
    added = library.add_photo(name, photo(1), pets)
    run = submit(library, ImportUploadsRequest([(name, io.BytesIO(photo(2)))], "pets"))
    worker.run(library, run)
    assert library.operation(run).counts == {"added": 1}
    assert {p for p in root.rglob("*") if not p.is_relative_to(library.home)} == outside
    assert library.count() == 2
    assert added.photo.path.is_relative_to(library.home / "photos")
    assert "/" not in added.photo.name
    assert "\\" not in added.photo.name.replace("\\udc", "")


def test_uploads_are_kept_and_the_waiting_room_is_cleared(library: Library) -> None:
    uploads = [(f"{n}.png", io.BytesIO(photo(n))) for n in range(3)]
    uploads.append(("broken.png", io.BytesIO(b"not a photo")))
    run = submit(library, ImportUploadsRequest(uploads, "pets"))
    assert library.operation(run).status == "queued"
    worker.run(library, run)
    done = library.operation(run)
    assert done.counts == {"added": 3, "failed": 1}
    (failed,) = library.operation_files(run, "failed")
    assert failed.name == "broken.png"
    assert (
        failed.reason
        == "not a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF photo, or broken at its start"
    )
    assert not list((library.home / "uploads").iterdir())
    assert all(p.stored for p in library.photos())


def test_a_person_outlives_every_model(
    library: Library, trained: TrainingResult, shapes: Path
) -> None:
    own = str(trained.model)
    import_folder(library, shapes, model=own)
    first, second = library.search(sort="name", limit=2).photos
    decided = [tag.label for tag in first.tags]
    library.edit_tags([first.id], add=["mine"], remove=decided)
    library.edit_tags([second.id], add=["mine"])
    for model in ("pets", own, "pets"):
        run = submit(library, RetagRequest(model=model))
        worker.run(library, run)
        assert library.operation(run).status == "done"
        assert [tag.label for tag in library.photo(first.id).tags] == ["mine"]
        assert library.photo(second.id).tags[0].label == "mine"
        assert library.photo(second.id).tags[0].by_person


def test_confirming_keeps_the_models_score(
    library: Library, trained: TrainingResult, shapes: Path
) -> None:
    import_folder(library, shapes, model=str(trained.model))
    tagged = next(p for p in library.photos() if p.tags)
    before = tagged.tags[0]
    library.edit_tags([tagged.id], add=[before.label])
    after = library.photo(tagged.id)
    assert after.tags[0].by_person
    assert after.tags[0].score == before.score
    assert after.tags[0].model == "shapes"
    assert after.reviewed
    library.withdraw_annotations([tagged.id], [before.label])
    assert library.photo(tagged.id).tags[0] == before
    assert not library.photo(tagged.id).reviewed


def test_tagging_again_passes_over_what_the_model_has_tagged(
    library: Library, tmp_path: Path, trained: TrainingResult
) -> None:
    folder = draw_collection(tmp_path / "photos", 2)
    import_folder(library, folder)
    library.add_photo("more.png", photo(900), Tagger.load(trained.model))
    run = submit(library, RetagRequest(model=str(trained.model)))
    worker.run(library, run)
    assert library.operation(run).counts == {"tagged": 6, "same": 1}
    assert {p.model for p in library.photos()} == {"shapes"}
    undone = library.undo(run)
    assert (undone.changed, undone.left_alone) == (6, 0)
    assert sorted(str(p.model) for p in library.photos()) == ["pets"] * 6 + ["shapes"]


def test_tagging_again_names_what_it_cannot_read(
    library: Library, tmp_path: Path, trained: TrainingResult
) -> None:
    folder = draw_collection(tmp_path / "photos", 2)
    import_folder(library, folder)
    (folder / "disc" / "000.jpg").unlink()
    (folder / "disc" / "001.jpg").write_bytes(photo(77))
    run = submit(library, RetagRequest(model=str(trained.model)))
    worker.run(library, run)
    assert library.operation(run).counts == {"tagged": 4, "failed": 2}
    reasons = {file.name: file.reason for file in library.operation_files(run, "failed")}
    assert reasons == {
        "000.jpg": "no such file",
        "001.jpg": "has changed since it was added; import it again",
    }


def test_a_lost_photo_is_found_at_its_new_place(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    import_folder(library, folder)
    lost = library.search("name:000", limit=1).photos[0]
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(ImageError, match="no such file"):
        library.read_original(lost)
    assert import_folder(library, moved).counts == {"duplicate": 3}
    assert library.read_original(library.photo(lost.id)) == library.photo(lost.id).path.read_bytes()
    assert library.photo(lost.id).path.is_relative_to(moved)


def test_a_thumbnail_is_made_again(library: Library, pets: Tagger) -> None:
    found = library.add_photo("big.png", photo(1, side=900), pets).photo
    there = library.storage.thumbnail_path(found.sha256)
    before = library.read_thumbnail(found)
    assert max(decode.read(before).shape) <= 320
    there.unlink()
    assert max(decode.read(library.read_thumbnail(found)).shape) <= 320
    assert there.is_file()
    there.unlink()
    found.path.unlink()
    assert decode.read(library.read_thumbnail(found)).std() == 0


def test_everything_can_be_undone_and_done_again(
    library: Library, tmp_path: Path, pets: Tagger
) -> None:
    imported = import_folder(library, draw_collection(tmp_path / "photos", 2)).id
    ids = [p.id for p in library.photos(sort="name")]

    def state() -> list[object]:
        shown = [(p.id, p.unknown, p.reviewed, p.tags) for p in library.photos(sort="name")]
        return [[(i, u, r, [t.label for t in tags]) for i, u, r, tags in shown]]

    steps = [state()]
    edited = library.edit_tags(ids[:3], add=["holiday", "sea"])
    steps.append(state())
    removed = library.edit_tags(ids[:2], remove=["sea"])
    steps.append(state())
    deleted = library.delete(ids[1:4])
    steps.append(state())
    assert library.count() == 3
    back = library.undo(deleted)
    assert state() == steps[2]
    library.undo(back.operation_id)
    assert state() == steps[3]
    assert library.operation(deleted).undone_by is None
    library.undo(deleted)
    library.undo(removed)
    assert state() == steps[1]
    library.undo(edited)
    assert state() == steps[0]
    library.undo(imported)
    assert library.count() == 0
    library.undo(library.operation(imported).undone_by or 0)
    assert state() == steps[0]


def check_layers(library: Library) -> None:
    """One row holds for each key, and what is derived is what refreshing would give."""
    with library.database.write_transaction() as connection:
        for layer, key in (
            (presences, "photo_id"),
            (predictions, "photo_id"),
            (verdicts, "photo_id, label_id"),
        ):
            twice = f"""SELECT count(*) FROM (SELECT 1 FROM {layer} WHERE ended_by IS NULL
                GROUP BY {key} HAVING count(*) > 1)"""
            assert connection.scalar(text(twice)) == 0

        def derived() -> list[object]:
            return [
                sorted(map(tuple, connection.execute(select(table.c[*columns]))))
                for table, columns in (
                    (tags_table, ("photo_id", "label_id", "by_person", "run_id")),
                    (photos_table, ("id", "unknown", "reviewed", "tag_count")),
                )
            ]

        before = derived()
        tags.refresh_tags(connection, connection.scalars(select(photos_table.c.id)).all())
        assert derived() == before


@pytest.mark.parametrize("seed", range(12))
def test_undoing_the_newest_first_goes_back_step_by_step(
    library: Library, pets: Tagger, trained: TrainingResult, seed: int
) -> None:
    rng = random.Random(seed)
    taggers = {"pets": pets, str(trained.model): Tagger.load(trained.model)}

    def state() -> list[object]:
        return [
            (p.id, p.model, p.unknown, p.reviewed, [(t.label, t.by_person) for t in p.tags])
            for p in library.photos(sort="name")
        ]

    def act() -> int | None:
        here = [p.id for p in library.photos()]
        some = rng.sample(here, min(len(here), 2))
        label = rng.choice(["a", "b", "disc"])
        kind = rng.choice(["import", "import", "add", "remove", "withdraw", "delete", "retag"])
        if kind == "import":
            number = rng.randrange(4)
            tagger = rng.choice(list(taggers.values()))
            return library.add_photo(f"{number}.png", photo(number), tagger).operation_id
        if not some:
            return None
        if kind == "retag":
            run = submit(library, RetagRequest(model=rng.choice(list(taggers)), ids=some))
            worker.run(library, run)
            return run if "tagged" in library.operation(run).counts else None
        if kind == "withdraw":
            known = [v.label for v in library.annotations(some[0])]
            return library.withdraw_annotations(some[:1], known[:1]) if known else None
        if kind == "delete":
            return library.delete(some)
        change = {"add": [label]} if kind == "add" else {"remove": [label]}
        return library.edit_tags(some, **change)

    states, done = [state()], []
    while len(done) < 9:
        if (run := act()) is not None:
            done.append(run)
            states.append(state())
    undoings = []
    for run, before in zip(reversed(done), reversed(states[:-1]), strict=True):
        undoings.append(library.undo(run).operation_id)
        assert state() == before
        check_layers(library)
    for run, after in zip(reversed(undoings), states[1:], strict=True):
        library.undo(run)
        assert state() == after
        check_layers(library)
    library.undo(done[-1])
    assert state() == states[-2]


def test_many_photos_are_changed_some_at_a_time(library: Library, tmp_path: Path) -> None:
    import_folder(library, draw_collection(tmp_path / "photos", 4))
    ids = [p.id for p in library.photos()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagger.library.edits.BATCH", 5)
        run = library.edit_tags(ids, add=["mine"])
        assert library.count("mine") == 12
        undone = library.undo(run)
        assert (undone.changed, undone.left_alone) == (12, 0)
        assert library.count("mine") == 0
        library.undo(undone.operation_id)
        assert library.count("mine") == 12
    assert library.operation(run).title == "Add mine (12 photos)"


def test_nothing_to_change_is_a_sentence(library: Library) -> None:
    for change in (
        lambda: library.delete([999]),
        lambda: library.edit_tags([10**30], add=["new"]),
        lambda: library.withdraw_annotations([999], ["never heard of"]),
    ):
        with pytest.raises(OptionError, match="no such photo is in the library"):
            change()
    with pytest.raises(OptionError, match="none of that number"):
        library.photo(10**30)
    with pytest.raises(OptionError, match="none of that number"):
        library.operation(10**30)
    assert library.operations() == []
    assert library.labels() == []


def test_importing_again_with_copies_keeps_copies(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    import_folder(library, folder)
    assert import_folder(library, folder, copy=True).counts == {"duplicate": 3}
    shutil.rmtree(folder)
    assert all(library.read_original(p) for p in library.photos())


def test_a_lost_copy_is_made_again(library: Library, pets: Tagger) -> None:
    first = library.add_photo("one.jpeg", photo(1), pets).photo
    first.path.unlink()
    again = library.add_photo("one.png", photo(1), pets)
    assert again.duplicate
    assert library.read_original(library.photo(first.id)) == photo(1)
    library.delete([first.id])
    for kept in (library.home / "photos").rglob("*.*"):
        kept.unlink()
    assert library.read_original(library.add_photo("one.png", photo(1), pets).photo) == photo(1)


def test_a_purge_beside_an_import_leaves_its_photos_whole(library: Library, pets: Tagger) -> None:
    gone = library.add_photo("one.png", photo(1), pets).photo
    library.delete([gone.id])
    importer = Importer(library.database, library.storage, pets, copy=True)
    seen = importer.read_and_tag([ImportFile(0, "", "one.png", data=photo(1))])
    library.purge()
    with library.database.write_transaction() as connection:
        run = operations.create(connection, "import", "beside")
        importer.record(connection, run, register_model(connection, pets), seen)
    (found,) = library.photos()
    assert library.read_original(found) == photo(1)


def test_a_purge_that_is_cut_short_loses_no_photo_and_leaves_no_file(
    library: Library, pets: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files go once the photos are forgotten for good; what was left of them goes next time."""
    first, other = (library.add_photo(f"{n}.png", photo(n), pets).photo for n in (1, 2))
    library.delete([first.id, other.id])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(library.storage), "delete_files", killed)
        with pytest.raises(KeyboardInterrupt):
            library.purge()
    assert library.statistics().deleted == 0 and first.path.is_file() and other.path.is_file()
    back = library.add_photo("again.png", photo(1), pets).photo
    assert library.purge() == 0
    assert library.read_original(back) == photo(1) and not other.path.exists()


def test_nothing_is_purged_while_photos_come_in(library: Library) -> None:
    submit(library, ImportUploadsRequest([("a.png", io.BytesIO(photo(2)))], "pets"))
    with pytest.raises(OptionError, match="wait until that is over"):
        library.purge()


def test_a_model_cannot_bring_back_a_tag_by_spelling_it_otherwise(
    library: Library, trained: TrainingResult, shapes: Path
) -> None:
    import_folder(library, shapes, model="pets")
    ids = [p.id for p in library.photos()]
    library.edit_tags(ids, remove=["DISC"])
    worker.run(library, submit(library, RetagRequest(model=str(trained.model))))
    assert library.count("disc") == 0
    library.edit_tags(ids[:1], add=["Holiday", "holiday"], remove=["HOLIDAY"])
    assert [tag.label for tag in library.photo(ids[0]).tags][:1] == ["Holiday"]


def test_odd_file_names_come_back_as_they_were(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = ["caf\uf7e9.png", "x\uf6ff.png", "plain.png", os.fsdecode(b"\xff\xfe.png")]
    for seed, name in enumerate(names):
        (folder / name).write_bytes(photo(seed))
    assert import_folder(library, folder).counts == {"added": 4}
    assert {p.path.name for p in library.photos()} == set(names)
    assert all(library.read_original(p) for p in library.photos())


def test_the_librarys_own_files_are_not_photos_to_import(library: Library, tmp_path: Path) -> None:
    draw_collection(tmp_path / "pics", 1)
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    import_folder(library, tmp_path / "pics", copy=True)
    for way in (tmp_path / "elsewhere", tmp_path / "pics" / ".."):
        assert import_folder(library, way).counts == {"duplicate": 3}


def test_a_deleted_photo_comes_back_with_what_a_person_said(library: Library, pets: Tagger) -> None:
    found = library.add_photo("one.png", photo(1), pets).photo
    library.edit_tags([found.id], add=["mine"])
    library.delete([found.id])
    with pytest.raises(OptionError, match="none of that number"):
        library.photo(found.id)
    again = library.add_photo("other.png", photo(1), pets)
    assert not again.duplicate
    assert again.photo.id == found.id
    assert [tag.label for tag in again.photo.tags] == ["mine"]


def test_purging_removes_only_the_librarys_own_files(
    library: Library, tmp_path: Path, pets: Tagger
) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    import_folder(library, folder)
    kept = library.add_photo("kept.png", photo(50), pets).photo
    own = library.add_photo("own.png", photo(51), pets).photo
    referenced = library.search("name:000").photos
    library.delete([own.id, *(p.id for p in referenced)])
    assert library.purge() == 4
    assert library.statistics().deleted == 0
    assert library.count() == 1
    assert kept.path.is_file()
    assert not own.path.exists()
    assert not library.storage.thumbnail_path(own.sha256).exists()
    assert len(list(folder.rglob("*.jpg"))) == 3
    assert import_folder(library, folder).counts == {"added": 3}


@pytest.mark.parametrize("label", ["", "   ", "x" * 101, "a\nb\x1b[31m", "\u202e"])
def test_a_bad_tag_is_a_sentence(library: Library, pets: Tagger, label: str) -> None:
    found = library.add_photo("one.png", photo(1), pets).photo
    with pytest.raises(OptionError, match="a tag is 1 to 100 characters"):
        library.edit_tags([found.id], add=[label])
    assert library.annotations(found.id) == []


@pytest.mark.parametrize(
    "label", ["<script>", "../../x", "=cmd()", "'; DROP TABLE photos;--", "Straße", ":red[x]", "🐱"]
)
def test_a_tag_is_only_ever_text(library: Library, pets: Tagger, label: str) -> None:
    found = library.add_photo("one.png", photo(1), pets).photo
    library.edit_tags([found.id], add=[label])
    assert [tag.label for tag in library.photo(found.id).tags] == [label]
    assert library.labels().count(label) == 1
    assert library.count() == 1


def test_a_tag_is_spelled_as_the_library_knows_it(library: Library, pets: Tagger) -> None:
    one = library.add_photo("one.png", photo(1), pets).photo.id
    two = library.add_photo("two.png", photo(2), pets).photo.id
    library.edit_tags([one], add=["Straße"])
    library.edit_tags([two], add=["STRASSE", "new"])
    assert [tag.label for tag in library.photo(two).tags] == ["Straße", "new"]
    assert "STRASSE" not in library.labels()


def test_the_active_model_is_remembered(library: Library, trained: TrainingResult) -> None:
    assert library.active_model() in ("everyday", "image_tagger")
    library.set_active_model(str(trained.model))
    again = Library.open(library.home)
    assert again.active_model() == str(trained.model)
    again.close()
    with pytest.raises(ModelError):
        library.set_active_model("nosuch")
    assert library.active_model() == str(trained.model)


def test_a_home_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="no folder for a library"):
        Library.open(tmp_path / "file" / "library")


def test_the_nearest_photos_look_alike(library: Library, shapes: Path, pets: Tagger) -> None:
    import_folder(library, shapes)
    for found in library.search(sort="name", limit=6).photos:
        near = library.find_similar_to(found, 5)
        assert len(near) == 5
        assert found.id not in [other.id for other, _ in near]
        similarities = [similarity for _, similarity in near]
        assert similarities == sorted(similarities, reverse=True)
        ((_, embedding),) = pets.tag_with_embeddings([found.path])
        itself, similarity = library.find_similar(embedding, pets.sha256, 1)[0]
        assert itself.id == found.id
        assert similarity == pytest.approx(1, abs=0.01)
    library.delete([other.id for other, _ in near])
    assert not {o.id for o, _ in near} & {o.id for o, _ in library.find_similar_to(found, 5)}
    assert library.find_similar(embedding, "0" * 64) == []


def test_doubtful_photos_come_first_in_review(
    library: Library, shapes: Path, trained: TrainingResult
) -> None:
    import_folder(library, shapes, model=str(trained.model))
    page = library.review_queue(limit=200)
    doubts = [p.doubt or 0 for p in page.photos]
    assert page.total == 120
    assert doubts == sorted(doubts, reverse=True)
    library.edit_tags([page.photos[0].id], add=["disc"])
    assert library.review_queue().total == 119
    assert library.review_queue().photos[0].id == page.photos[1].id


def test_statistics_count_what_is_there(
    library: Library, shapes: Path, trained: TrainingResult
) -> None:
    empty = library.statistics()
    assert (empty.photos, empty.by_label, sum(empty.confidence)) == (0, (), 0)
    import_folder(library, shapes, model=str(trained.model))
    some = [p.id for p in library.photos()][:7]
    library.edit_tags(some[:3], add=["mine"])
    library.delete(some[3:])
    found = library.statistics()
    assert (found.photos, found.deleted, found.reviewed) == (116, 4, 3)
    assert found.photos == found.tagged + found.untagged
    assert dict(found.by_label)["mine"] == 3
    assert sum(found.confidence) == 116
    assert found.by_model == (("shapes", 116),)
    assert sum(count for _, count in found.added) == 116


def test_two_imports_of_one_photo_add_it_once(library: Library, pets: Tagger) -> None:
    importer = Importer(library.database, library.storage, pets, copy=True)
    looked = importer.read_and_tag([ImportFile(0, "", "same.png", data=photo(1))])
    library.add_photo("first.png", photo(1), pets)
    with library.database.write_transaction() as connection:
        assert importer.record(connection, 1, 1, looked) == {"duplicate": 1}
    assert library.count() == 1
