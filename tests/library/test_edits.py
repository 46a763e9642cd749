"""Edits: annotations, deletion and purge."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tagger.errors import OptionError
from tagger.jobs import worker
from tagger.jobs.requests import ImportUploadsRequest, RetagRequest, submit
from tagger.library.library import Library
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw_collection, draw_png, import_folder


def test_annotations_outlive_every_model(
    library: Library, trained: TrainingResult, shapes: Path
) -> None:
    own = str(trained.model)
    import_folder(library, shapes, model=own)
    first, second = library.search(sort="name", limit=2).photos
    decided = [tag.label for tag in first.tags]
    library.edit_tags([first.id], add=["mine"], remove=decided)
    library.edit_tags([second.id], add=["mine"])
    for model in ("pets", own, "pets"):
        operation = submit(library, RetagRequest(model=model))
        worker.run(library, operation)
        assert library.operation(operation).status == "done"
        assert [tag.label for tag in library.photo(first.id).tags] == ["mine"]
        assert library.photo(second.id).tags[0].label == "mine"
        assert library.photo(second.id).tags[0].by_person


def test_a_confirmed_tag_keeps_its_score(
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


def test_many_photos_are_edited_in_batches(library: Library, tmp_path: Path) -> None:
    import_folder(library, draw_collection(tmp_path / "photos", 4))
    ids = [p.id for p in library.photos()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagger.library.edits.BATCH", 5)
        operation = library.edit_tags(ids, add=["mine"])
        assert library.count("mine") == 12
        undone = library.undo(operation)
        assert (undone.changed, undone.left_alone) == (12, 0)
        assert library.count("mine") == 0
        library.undo(undone.operation_id)
        assert library.count("mine") == 12
    assert library.operation(operation).title == "Added mine to 12 photos"


def test_an_edit_without_photos_is_an_error(library: Library) -> None:
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


def test_a_removed_tag_stays_removed_whatever_its_case(
    library: Library, trained: TrainingResult, shapes: Path
) -> None:
    import_folder(library, shapes, model="pets")
    ids = [p.id for p in library.photos()]
    library.edit_tags(ids, remove=["DISC"])
    worker.run(library, submit(library, RetagRequest(model=str(trained.model))))
    assert library.count("disc") == 0
    library.edit_tags(ids[:1], add=["Holiday", "holiday"], remove=["HOLIDAY"])
    assert [tag.label for tag in library.photo(ids[0]).tags][:1] == ["Holiday"]


@pytest.mark.parametrize(
    "label", ["", "   ", "x" * 101, "a\nb\x1b[31m", "\u202e", "\u200d", "a \u200d b", "cat\u200c"]
)
def test_an_invalid_tag_is_an_error(library: Library, pets: Tagger, label: str) -> None:
    photo = library.add_photo("one.png", draw_png(1), pets).photo
    with pytest.raises(OptionError, match="a tag is 1 to 100 characters"):
        library.edit_tags([photo.id], add=[label])
    assert library.annotations(photo.id) == []


@pytest.mark.parametrize(
    "label",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: a non-joiner within a word
        "\u0d28\u0d28\u0d4d\u200d\u0d2e",  # Malayalam
        "\U0001f469\u200d\U0001f469\u200d\U0001f467 at home",  # a family of three
        "\U0001f3f3\ufe0f\u200d\U0001f308",  # a rainbow flag
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # Scotland
    ],
)
def test_joiners_are_part_of_words_and_emoji(library: Library, pets: Tagger, label: str) -> None:
    photo = library.add_photo("one.png", draw_png(1), pets).photo
    library.edit_tags([photo.id], add=[label])
    assert [tag.label for tag in library.photo(photo.id).tags] == [label]
    assert library.count(f'"{label}"') == 1


@pytest.mark.parametrize(
    "label", ["<script>", "../../x", "=cmd()", "'; DROP TABLE photos;--", "Straße", ":red[x]", "🐱"]
)
def test_a_hostile_tag_is_stored_as_text(library: Library, pets: Tagger, label: str) -> None:
    photo = library.add_photo("one.png", draw_png(1), pets).photo
    library.edit_tags([photo.id], add=[label])
    assert [tag.label for tag in library.photo(photo.id).tags] == [label]
    assert library.labels().count(label) == 1
    assert library.count() == 1


def test_a_new_tag_takes_the_case_of_an_existing_label(library: Library, pets: Tagger) -> None:
    first = library.add_photo("one.png", draw_png(1), pets).photo.id
    second = library.add_photo("two.png", draw_png(2), pets).photo.id
    library.edit_tags([first], add=["Straße"])
    library.edit_tags([second], add=["STRASSE", "new"])
    assert [tag.label for tag in library.photo(second).tags] == ["Straße", "new"]
    assert "STRASSE" not in library.labels()


def test_a_restored_photo_has_its_annotations(library: Library, pets: Tagger) -> None:
    photo = library.add_photo("one.png", draw_png(1), pets).photo
    library.edit_tags([photo.id], add=["mine"])
    library.delete([photo.id])
    with pytest.raises(OptionError, match="none of that number"):
        library.photo(photo.id)
    again = library.add_photo("other.png", draw_png(1), pets)
    assert not again.duplicate
    assert again.photo.id == photo.id
    assert [tag.label for tag in again.photo.tags] == ["mine"]


def test_single_photos_of_the_trash_come_back(library: Library, pets: Tagger) -> None:
    first, second, third = (
        library.add_photo(f"{n}.png", draw_png(n), pets).photo.id for n in range(3)
    )
    library.edit_tags([second], add=["mine"])
    library.rate([second], 4)
    before = library.photo(second)
    earlier, deletion = library.delete([first]), library.delete([second, third])
    assert library.trash.find_ids() == [third, second, first] and library.trash.count() == 3
    assert library.trash.find_ids(deletion) == [third, second]
    assert [library.trash.count(each) for each in (earlier, deletion)] == [1, 2]
    assert [photo.id for photo in library.trash.load([first, second])] == [first, second]
    restored = library.trash.restore([second, second, 99])
    assert library.operation(restored).title == "Restored 1 photo"
    assert library.photo(second) == before and library.trash.find_ids() == [third, first]
    with pytest.raises(OptionError, match="no such photo is in the trash"):
        library.trash.restore([second])
    assert library.undo(deletion).changed == 1  # the other is back already
    assert library.trash.find_ids() == [first]
    library.undo(restored)
    assert library.trash.find_ids() == [second, first] and not library.trash.load([third])
    redone = library.last_undo()
    assert redone is not None and library.undo(redone.id).changed == 1
    assert library.photo(second) == before


def test_a_purge_deletes_only_the_librarys_own_files(
    library: Library, tmp_path: Path, pets: Tagger
) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    import_folder(library, folder)
    imported = library.add_photo("kept.png", draw_png(50), pets).photo
    own = library.add_photo("own.png", draw_png(51), pets).photo
    referenced = library.search("name:000").photos
    library.delete([own.id, *(p.id for p in referenced)])
    assert library.trash.empty() == 4
    assert library.statistics().deleted == 0
    assert library.count() == 1
    assert imported.path.is_file()
    assert not own.path.exists()
    assert not library.storage.thumbnail_path(own.sha256).exists()
    assert len(list(folder.rglob("*.jpg"))) == 3
    assert import_folder(library, folder).counts == {"added": 3}


def test_a_purge_is_refused_during_an_import(library: Library) -> None:
    submit(library, ImportUploadsRequest([("a.png", io.BytesIO(draw_png(2)))], "pets"))
    with pytest.raises(OptionError, match="wait until that is over"):
        library.trash.empty()


def test_an_interrupted_purge_loses_no_photo_and_the_next_deletes_the_files(
    library: Library, pets: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = (library.add_photo(f"{n}.png", draw_png(n), pets).photo for n in (1, 2))
    library.delete([first.id, other.id])

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(library.storage), "delete_files", interrupt)
        with pytest.raises(KeyboardInterrupt):
            library.trash.empty()
    assert library.statistics().deleted == 0 and first.path.is_file() and other.path.is_file()
    again = library.add_photo("again.png", draw_png(1), pets).photo
    assert library.trash.empty() == 0
    assert library.read_original(again) == draw_png(1) and not other.path.exists()
