"""Tags that follow from several models, a person's answers and what a person made of tags."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

from tagger.library import derivation
from tagger.library.database.schema import photos
from tagger.library.library import Library
from tests.library.histories import check_histories, find_stale_after
from tests.library.predictions import add_photos, predict


def tags_of(library: Library, photo_id: int) -> dict[str, str | None]:
    """A photo's tags, and who gave each: a model, or "you"."""
    return {
        tag.label: "you" if tag.by_person else tag.model for tag in library.photo(photo_id).tags
    }


@pytest.fixture
def photo(library: Library) -> int:
    (photo_id,) = add_photos(library, 1)
    return photo_id


def test_each_model_owns_its_tags(library: Library, photo: int) -> None:
    library.use_model("pets")
    predict(library, "pets", {photo: {"dog": 0.9}})
    predict(library, "cifar10", {photo: {"dog": 0.6, "ship": 0.7}})
    assert tags_of(library, photo) == {"dog": "pets", "ship": "cifar10"}
    assert library.photo(photo).tags[0].score == 0.9
    predict(library, "cifar10", {photo: {"frog": 0.8}}, version=2)
    assert tags_of(library, photo) == {"dog": "pets", "frog": "cifar10"}
    assert [p.model for p in library.predictions(photo)] == ["pets", "cifar10"]
    assert (library.count("model:pets"), library.count("model:cifar10 frog")) == (1, 1)
    assert library.statistics().by_model == (("cifar10", 1), ("pets", 1))


def test_the_first_model_in_use_counts(library: Library, photo: int) -> None:
    predict(library, "cifar10", {photo: {"dog": 0.6}})
    predict(library, "pets", {photo: {"dog": 0.9}})
    assert tags_of(library, photo) == {"dog": "pets"}, "the latest of those that are not in use"
    library.use_model("cifar10")
    assert tags_of(library, photo) == {"dog": "cifar10"}
    assert library.photo(photo).confidence == 0.6
    library.add_model("pets")
    assert tags_of(library, photo) == {"dog": "cifar10"}
    moved = library.move_model_up("pets")
    assert library.models_in_use() == ["pets", "cifar10"]
    assert (tags_of(library, photo), library.photo(photo).model) == ({"dog": "pets"}, "pets")
    assert moved is not None and library.move_model_up("pets") is None
    library.undo(moved)
    assert tags_of(library, photo) == {"dog": "cifar10"}


def test_the_tags_of_a_model_that_is_off_come_back(library: Library, photo: int) -> None:
    predict(library, "pets", {photo: {"dog": 0.9}})
    predict(library, "cifar10", {photo: {"ship": 0.6}})
    library.use_model("pets")
    assert set(tags_of(library, photo)) == {"dog", "ship"}  # nothing goes without a word
    off = library.turn_off_model("cifar10")
    assert off is not None and set(tags_of(library, photo)) == {"dog"}
    assert [p.model for p in library.predictions(photo)] == ["pets"]
    assert library.turn_off_model("cifar10") is None
    library.undo(off)
    assert set(tags_of(library, photo)) == {"dog", "ship"}
    library.turn_off_model("cifar10")
    library.add_model("cifar10")
    assert set(tags_of(library, photo)) == {"dog", "ship"}
    assert library.models_in_use() == ["pets", "cifar10"]


def test_heads_come_after_models_and_can_be_switched_off(library: Library, photo: int) -> None:
    library.use_model("pets")
    predict(library, "guitar", {photo: {"guitar": 0.7}}, kind="head")
    assert tags_of(library, photo) == {"guitar": "guitar"}
    predict(library, "pets", {photo: {"guitar": 0.6}})
    assert library.photo(photo).tags[0].score == 0.6
    assert [p.by_head for p in library.predictions(photo)] == [False, True]
    predict(library, "guitar", {photo: {}})  # a model of that name is none of the head's versions
    assert [p.by_head for p in library.predictions(photo)] == [False, False, True]
    off = library.save_entry("head", "guitar", False, "Switched off guitar")
    assert [p.by_head for p in library.predictions(photo)] == [False, False]
    library.undo(off)
    assert [p.by_head for p in library.predictions(photo)] == [False, False, True]


def test_a_renamed_tag_is_shown_and_found_by_both_names(library: Library) -> None:
    first, second = add_photos(library, 2)
    predict(library, "pets", {first: {"dog": 0.9}})
    library.edit_tags([second], add=["dog"])
    renamed = library.save_entry("tag", "dog", {"shown_as": "hound"}, "Renamed dog to hound")
    assert tags_of(library, first) == {"hound": "pets"} and tags_of(library, second) == {
        "hound": "you"
    }
    assert library.count("dog") == library.count("hound") == library.count('"dog"') == 2
    assert library.count("do*") == library.count("tag:hound") == 2
    assert library.label_counts() == [("hound", 2)]
    predict(library, "cifar10", {second: {"Dog": 0.7}})  # later runs obey
    assert tags_of(library, second) == {"hound": "you"}
    assert [annotation.label for annotation in library.annotations(second)] == ["hound"]
    library.undo(renamed)
    assert tags_of(library, first) == {"dog": "pets"} and library.count("hound") == 0


def test_of_merged_tags_a_yes_counts_until_the_next_answer(library: Library, photo: int) -> None:
    library.edit_tags([photo], add=["puppy"], remove=["dog"])
    library.save_entry("tag", "puppy", {"shown_as": "dog"}, "Merged puppy into dog")
    assert tags_of(library, photo) == {"dog": "you"}
    removed = library.edit_tags([photo], remove=["puppy"])
    assert tags_of(library, photo) == {}
    assert [(a.label, a.present) for a in library.annotations(photo)] == [("dog", False)]
    library.undo(removed)
    assert tags_of(library, photo) == {"dog": "you"}
    library.withdraw_annotations([photo], ["dog"])
    assert library.annotations(photo) == []


def test_names_that_lead_round_are_as_they_were(library: Library, photo: int) -> None:
    predict(library, "pets", {photo: {"a": 0.9, "b": 0.8, "c": 0.7}})
    library.save_entry("tag", "a", {"shown_as": "b"}, "")
    library.save_entry("tag", "b", {"shown_as": "C"}, "")
    assert tags_of(library, photo) == {"c": "pets"}
    library.save_entry("tag", "c", {"shown_as": "a"}, "")
    assert tags_of(library, photo) == {"a": "pets", "b": "pets", "c": "pets"}


def test_a_hidden_tag_is_found_and_not_listed(library: Library) -> None:
    first, second = add_photos(library, 2)
    predict(library, "pets", {first: {"dog": 0.9}, second: {"dog": 0.8, "sea": 0.7}})
    hidden = library.save_entry("tag", "dog", {"hidden": True}, "Hid dog")
    assert (tags_of(library, first), list(tags_of(library, second))) == ({}, ["sea"])
    assert library.count("dog") == 2
    assert library.find_ids("untagged") == [first]
    assert library.label_counts() == [("sea", 1)]
    assert dict(library.statistics().by_label) == {"sea": 1}
    library.undo(hidden)
    assert library.count("untagged") == 0 and len(library.label_counts()) == 2


@pytest.mark.parametrize("name", ["dog", "Straße", 'it\'s "100%"\\'])
def test_a_tag_that_models_never_give_is_a_persons_alone(library: Library, name: str) -> None:
    first, second = add_photos(library, 2)
    predict(library, "pets", {first: {name: 0.9}, second: {name: 0.8}})
    library.edit_tags([second], add=[name])
    never = library.save_entry("tag", name.casefold(), {"never": True}, "")
    assert (tags_of(library, first), tags_of(library, second)) == ({}, {name: "you"})
    assert library.photo(first).unknown
    predict(library, "pets", {first: {name: 0.9}}, version=2)
    assert tags_of(library, first) == {}
    library.undo(never)
    assert tags_of(library, first) == {name: "pets"} and not library.photo(first).unknown


@pytest.mark.parametrize("spelling", ["Straße", "STRASSE"])
def test_only_photos_with_a_tag_are_derived_again(library: Library, spelling: str) -> None:
    """However models write it: the label is written as the first photo's."""
    ids = add_photos(library, 5)
    predict(library, "pets", {ids[0]: {spelling: 0.9}})
    predict(library, "cifar10", {ids[1]: {"straße": 0.9}, ids[2]: {"Straßenbahn": 0.9}})
    predict(library, "cifar10", {ids[3]: {"dog": 0.9}})
    assert find_stale_after(library, "strasse", {"hidden": True}) == ids[:2]


def test_a_name_in_another_case_comes_back(library: Library, photo: int) -> None:
    library.edit_tags([photo], add=["PARIS"])
    for written in ("Paris", "paris"):
        entry = {"written": written, "was": "PARIS"}
        library.save_entry("tag", "paris", entry, f"Renamed to {written}")
        assert list(tags_of(library, photo)) == [written]
    for written in ("Paris", "PARIS"):
        library.undo(next(o.id for o in library.operations() if o.undoable and o.kind == "edit"))
        assert list(tags_of(library, photo)) == [written]


def test_all_tags_are_confirmed_by_one_operation(library: Library) -> None:
    ids = add_photos(library, 4)
    predict(library, "pets", {ids[0]: {"dog": 0.9, "sea": 0.8}, ids[1]: {"Dog": 0.9}})
    predict(library, "pets", {ids[2]: {"secret": 0.9}})
    library.tags.hide("secret")
    library.edit_tags(ids[1:2], skip=["dog"])
    library.edit_tags(ids[3:], add=["mine"])
    confirmed = library.confirm_tags(ids)
    assert confirmed is not None
    operation = library.operation(confirmed)
    assert (operation.title, operation.total) == ("Confirmed 2 tags on 2 photos", 2)
    assert tags_of(library, ids[0]) == {"dog": "you", "sea": "you"}
    assert tags_of(library, ids[1]) == {"dog": "you"} and library.annotations(ids[2]) == []
    assert library.confirm_tags(ids) is None
    undone = library.undo(confirmed)
    assert undone.changed == 2 and tags_of(library, ids[0]) == {"dog": "pets", "sea": "pets"}
    assert library.count("reviewed") == 1
    library.undo(undone.operation_id)
    assert library.count("reviewed") == 3
    check_histories(library)


def test_a_title_says_which_tags_photos_had(library: Library) -> None:
    """What a model gave is confirmed, and what no photo had is not called removed."""
    first, second = add_photos(library, 2)
    predict(library, "pets", {first: {"dog": 0.9, "sea": 0.8}, second: {"Dog": 0.9}})

    def title(ids: list[int], **edit: list[str]) -> str:
        operation = library.edit_tags(ids, **edit)
        library.undo(operation)
        return library.operation(operation).title

    both = [first, second]
    assert title([first], add=["dog", "sea"], remove=["man"]) == (
        "Confirmed 2 tags and said no to man on 1 photo"
    )
    assert title(both, add=["DOG"]) == "Confirmed DOG on 2 photos"
    assert title(both, add=["sea"]) == "Added sea to 2 photos", "one of them had it"
    assert title(both, remove=["sea"]) == "Removed sea from 2 photos"
    assert title(both, remove=["car"]) == "Said no to car on 2 photos"
    assert title([first], add=["dog", "hut"], remove=["sea", "car"]) == (
        "Confirmed dog, added hut, removed sea and said no to car on 1 photo"
    )


def test_a_skipped_tag_is_no_answer(library: Library, photo: int) -> None:
    predict(library, "pets", {photo: {"dog": 0.9}})
    skipped = library.edit_tags([photo], skip=["dog", "cat"])
    assert library.operation(skipped).title == "Skipped 2 tags on 1 photo"
    assert (library.annotations(photo), library.photo(photo).reviewed) == ([], False)
    assert tags_of(library, photo) == {"dog": "pets"}
    library.edit_tags([photo], add=["dog"])
    library.edit_tags([photo], skip=["dog"])
    assert tags_of(library, photo) == {"dog": "you"}


def test_nobody_waits_for_what_is_derived_of_many_photos(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = add_photos(library, 5)
    predict(library, "pets", {id: {"dog": 0.9} for id in ids})
    monkeypatch.setattr(derivation, "STALE_BATCH", 2)
    hidden = library.tags.hide("dog")
    wait_until(lambda: library.count("untagged") == 5)
    with library.database.write_transaction():
        derivation.refresh_stale_soon(library.database)  # there is nothing to wait for
    before = library.version()
    library.undo(hidden)
    wait_until(lambda: library.count("untagged") == 0)
    assert library.version() != before
    with library.database.write_transaction() as connection:
        connection.execute(photos.update().values(stale=True, tag_count=7))
        for _ in range(3):
            derivation.refresh_stale_soon(library.database)  # sees none yet
    with library.database.write_transaction():  # which the thread waits for, and the pages do not
        for _ in range(3):
            derivation.refresh_stale_soon(library.database)
    wait_until(lambda: not derivation.refresh_stale(library.database))
    assert [len(photo.tags) for photo in library.photos()] == [1] * 5


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_was_left_stale_is_derived_later(library: Library) -> None:
    ids = add_photos(library, 3)
    predict(library, "pets", {id: {"dog": 0.9} for id in ids})
    library.edit_tags(ids[:1], add=["mine"])
    with library.database.write_transaction() as connection:
        connection.execute(photos.update().values(stale=True, tag_count=7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derivation, "STALE_BATCH", 2)
        assert derivation.refresh_stale(library.database) == 3
    assert derivation.refresh_stale(library.database) == 0
    with library.database.read_transaction() as connection:
        counts = connection.scalars(select(photos.c.tag_count).order_by(photos.c.id)).all()
    assert counts == [2, 1, 1]
