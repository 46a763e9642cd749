"""Teaching a library's tags from examples: suggestions, answers, later imports, undo."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, update

from tagger.errors import OptionError
from tagger.images import decode
from tagger.jobs import worker
from tagger.jobs.requests import submit_embedding
from tagger.library.database.schema import tags as tag_table
from tagger.library.database.schema import vectors
from tagger.library.library import Library
from tagger.library.records import Photo
from tagger.library.teaching import heads, teacher
from tagger.library.teaching.heads import Head
from tagger.library.vectors import note_removal
from tagger.tagger import Tagger
from tests.conftest import draw, draw_collection, import_folder
from tests.library.histories import check_histories
from tests.library.predictions import predict

TAG = "round thing"  # no model knows the words
MANY = 500


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, shapes: Path, worded: Path) -> Path:
    """The home of a library of forty photos of each shape, which `worded` tagged."""
    home = tmp_path_factory.mktemp("imported") / "library"
    library = Library.open(home)
    library.use_model(str(worded))
    import_folder(library, shapes, model=str(worded))
    library.close()
    return home


@pytest.fixture
def drawn(imported: Path, tmp_path: Path) -> Iterator[Library]:
    """A copy of that library."""
    library = Library.open(Path(shutil.copytree(imported, tmp_path / "library")))
    yield library
    library.close()


def ids_of(library: Library, shape: str) -> list[int]:
    return library.find_ids(f"folder:/{shape}")


def shape_of(photo: Photo) -> str:
    return photo.path.parent.name


def teach(library: Library, shape: str = "disc", count: int = 5, tag: str = TAG) -> int:
    """Add a tag to the first photos of a shape and switch it on; the operation."""
    return library.teaching.answer(tag, ids_of(library, shape)[:count], [])


def tag_by_head(library: Library) -> tuple[list[int], list[int]]:
    """Teach a tag and tag the library by it: the photos with it, and those by its head."""
    teach(library, count=10)
    library.teaching.tag_library(TAG)
    tagged = library.find_ids(f'"{TAG}"')
    return tagged, [each for each in tagged if each not in library.teaching.answers(TAG).yes]


def test_photos_that_look_like_five_examples_are_suggested_best_first(drawn: Library) -> None:
    discs = ids_of(drawn, "disc")
    drawn.edit_tags(discs[:4], [TAG])
    with pytest.raises(OptionError, match="4 of the 5 photos that are needed"):
        drawn.teaching.find_more(TAG, 10)
    drawn.edit_tags(discs[4:5], [TAG])
    drawn.delete(discs[5:6])
    drawn.edit_tags(discs[6:7], [], [TAG])
    drawn.edit_tags(discs[7:8], [], [], [TAG])
    suggested = drawn.teaching.find_more(TAG, 20)
    assert len(suggested.photos) == 20 and {*map(shape_of, suggested.photos)} == {"disc"}
    scores = [suggested.scores[photo.id] for photo in suggested.photos]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= 0.5
    every = drawn.teaching.find_more(TAG, MANY)
    assert len(every.photos) == every.total >= 25
    assert not {photo.id for photo in every.photos} & set(discs[:8])
    less_alike = drawn.teaching.find_more(TAG, MANY, above_threshold=False)
    assert less_alike.total == 112 and less_alike.photos[: every.total] == every.photos


def test_a_name_that_the_model_knows_is_understood(drawn: Library) -> None:
    """Two discs and three squares are called box: the squares come first."""
    ids = [*ids_of(drawn, "disc")[:2], *ids_of(drawn, "square")[:3]]
    first: dict[str, list[str]] = {}
    for name in ("box", TAG):
        drawn.edit_tags(ids, [name])
        suggested = drawn.teaching.find_more(name, 20, above_threshold=False)
        first[name] = [shape_of(photo) for photo in suggested.photos]
    assert first["box"].count("square") >= first[TAG].count("square")
    assert first["box"].count("square") >= 18


def test_the_first_examples_are_chosen_from_photos_like_the_name_and_the_examples(
    drawn: Library,
) -> None:
    squares = ids_of(drawn, "square")
    by_name = drawn.teaching.find_candidates("ball", 12)
    assert {shape_of(photo) for photo in by_name} == {"disc"}
    assert drawn.teaching.find_candidates(TAG, 12) == [], "no word, and no example yet"
    drawn.edit_tags(squares[:1], [TAG])
    drawn.edit_tags(squares[1:2], remove=[TAG])
    drawn.delete(squares[2:3])
    by_example = drawn.teaching.find_candidates(TAG, 12)
    assert {shape_of(photo) for photo in by_example} == {"square"}
    assert not {photo.id for photo in by_example} & set(squares[:3])
    assert len(drawn.teaching.find_candidates(TAG, 1_000)) == len(drawn.find_ids()) - 2


def test_an_edit_that_adds_a_fifth_example_is_followed_by_an_offer(drawn: Library) -> None:
    ids = ids_of(drawn, "disc")
    assert drawn.teaching.find_offers(drawn.edit_tags(ids[:4], [TAG, "square"])) == []
    operation_id = drawn.edit_tags(ids[4:6], [TAG, "square"])
    assert drawn.teaching.find_offers(operation_id) == [
        (TAG, drawn.teaching.find_more(TAG, 1).total)
    ]
    assert drawn.teaching.find_offers(drawn.edit_tags(ids[6:8], [], [TAG])) == []


def test_answers_are_an_operation_that_can_be_undone_and_redone(drawn: Library) -> None:
    drawn.edit_tags(ids_of(drawn, "disc")[:5], [TAG])
    more = [photo.id for photo in drawn.teaching.find_more(TAG, 12).photos]
    operation_id = drawn.teaching.answer(TAG, more[:10], more[10:])
    operation = drawn.operation(operation_id)
    assert (
        operation.title == f"Added {TAG} to 10 photos, marked 2 as not {TAG}" and operation.undoable
    )
    answers = drawn.teaching.answers(TAG)
    assert set(more[:10]) < set(answers.yes) and set(more[10:]) == set(answers.no)
    (taught,) = (each for each in drawn.teaching.list_taught() if each.tag == TAG)
    assert (taught.examples, taught.counterexamples, taught.is_on) == (15, 2, True)
    assert not taught.by_models and not taught.head_tags
    head = drawn.teaching.learn(TAG)
    assert (head.examples, head.counterexamples) == (15, 2)
    undone = drawn.undo(operation_id)
    assert (undone.changed, undone.entries) == (12, 0)
    assert len(drawn.teaching.answers(TAG).yes) == 5 and not drawn.teaching.answers(TAG).no
    drawn.undo(undone.operation_id)
    assert drawn.teaching.answers(TAG) == answers and len(drawn.teaching.learn_active()) == 1
    with pytest.raises(OptionError, match="nothing to save"):
        drawn.teaching.answer(TAG, [], [999_999])


def test_five_examples_given_on_any_page_are_learnt(
    drawn: Library, worded: Path, tmp_path: Path
) -> None:
    discs = ids_of(drawn, "disc")
    drawn.edit_tags(discs[:3], [TAG])
    assert not drawn.teaching.learn_active()
    fifth = drawn.edit_tags(discs[3:8], [TAG, "square"])  # `worded` gives the tag square
    assert [active.head.tag for active in drawn.teaching.learn_active()] == [TAG]
    import_folder(drawn, draw_collection(tmp_path / "later", 6, first=500), model=str(worded))
    assert drawn.count(f'"{TAG}"') >= 8 + 4
    undone = drawn.undo(fifth)
    assert not drawn.teaching.learn_active() and len(drawn.teaching.answers(TAG).yes) == 3
    drawn.undo(undone.operation_id)
    assert len(drawn.teaching.learn_active()) == 1
    drawn.teaching.switch(TAG, False)
    drawn.edit_tags(discs[8:10], [TAG])
    assert not drawn.teaching.learn_active()


def test_others_can_write_while_a_head_is_learnt(
    drawn: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It withdraws its tags in batches, unless somebody answers in between."""
    tagged, by_head = tag_by_head(drawn)
    answers = iter([by_head[:10]])

    def learn_while_others_write(*options: Any) -> Head:
        for wrong in answers:
            drawn.rate(by_head[:1], 5)
            drawn.teaching.answer(TAG, [], wrong)
        return heads.learn(*options)

    monkeypatch.setattr(teacher, "learn", learn_while_others_write)
    monkeypatch.setattr(teacher, "BATCH", 3)
    first = drawn.edit_tags(by_head[20:21], [TAG])
    assert drawn.count("favourite") == 1
    left = drawn.find_ids(f'"{TAG}"')
    assert len(left) < len(tagged) - 10  # by the later answer's head
    check_histories(drawn)
    assert drawn.undo(first).changed == 1  # it withdrew nothing itself


def test_an_answer_is_followed_also_if_another_is_undone_meanwhile(
    drawn: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged, by_head = tag_by_head(drawn)
    earlier = iter([drawn.edit_tags(by_head[20:21], [TAG])])

    def learn_during_an_undo(*options: Any) -> Head:
        for operation_id in earlier:
            drawn.undo(operation_id)
        return heads.learn(*options)

    monkeypatch.setattr(teacher, "learn", learn_during_an_undo)
    answer = drawn.teaching.answer(TAG, [], by_head[:10])
    assert len(drawn.find_ids(f'"{TAG}"')) < len(tagged) - 10
    check_histories(drawn)
    drawn.undo(answer)
    assert drawn.find_ids(f'"{TAG}"') == tagged


def test_later_imports_are_tagged_until_it_is_switched_off(
    drawn: Library, worded: Path, tmp_path: Path
) -> None:
    teach(drawn, count=8)
    before = drawn.count(f'"{TAG}"')
    folder = draw_collection(tmp_path / "later", 6, first=500)
    job = import_folder(drawn, folder, model=str(worded))
    tagged = [photo for photo in drawn.photos(f'"{TAG}"') if photo.path.is_relative_to(folder)]
    assert len(tagged) >= 4 and {*map(shape_of, tagged)} == {"disc"}
    tag = next(tag for tag in tagged[0].tags if tag.label == TAG)
    assert not tag.by_person and tag.operation_id == job.id and tag.score and tag.score >= 0.5
    by_head = [each for each in drawn.predictions(tagged[0].id) if each.by_head]
    assert [each.label for each in by_head] == [TAG]
    added = drawn.add_photo(
        "one.png", decode.encode(draw("disc", 600), "PNG"), Tagger.load(str(worded))
    )
    assert TAG in {tag.label for tag in added.photo.tags}

    off = drawn.teaching.switch(TAG, False)
    assert drawn.count(f'"{TAG}"') == before  # only what a person said is left
    import_folder(drawn, draw_collection(tmp_path / "off", 3, first=700), model=str(worded))
    assert drawn.count(f'"{TAG}"') == before
    drawn.undo(off)
    assert drawn.count(f'"{TAG}"') == before + len(tagged) + 1
    drawn.undo(job.id)
    assert drawn.count(f'"{TAG}"') == before + 1
    with pytest.raises(OptionError, match="is on already"):
        drawn.teaching.switch(TAG, True)


def test_photos_that_get_a_vector_later_are_tagged_then(
    drawn: Library, worded: Path, tmp_path: Path
) -> None:
    """They are imported with a model whose vectors are not compared."""
    earlier = draw_collection(tmp_path / "earlier", 3, first=800)
    import_folder(drawn, earlier, model="pets")
    teach(drawn, count=8)
    folder = draw_collection(tmp_path / "later", 6, first=500)
    job = import_folder(drawn, folder, model="pets")
    assert drawn.count(f'"{TAG}"') == 8
    job_id = submit_embedding(drawn)
    assert job_id is not None
    worker.run(drawn, job_id)
    tagged = [photo for photo in drawn.photos(f'"{TAG}"') if photo.path.is_relative_to(folder)]
    assert len(tagged) >= 4 and {*map(shape_of, tagged)} == {"disc"}
    assert drawn.count(f'"{TAG}"') == 8 + len(tagged)  # none of those imported before it
    # Vectors that are made anew are no reason to tag what has, or had, the tag.
    retag = drawn.teaching.tag_library(TAG)
    before = drawn.predictions(tagged[0].id)
    with drawn.database.write_transaction() as connection:
        connection.execute(delete(vectors).where(vectors.c.photo_id == tagged[0].id))
        note_removal(connection)
    job_id = submit_embedding(drawn)
    assert job_id is not None
    worker.run(drawn, job_id)
    assert drawn.predictions(tagged[0].id) == before
    drawn.undo(retag)
    drawn.undo(job.id)
    assert drawn.count(f'"{TAG}"') == 8


def test_the_whole_library_is_tagged_and_an_answer_corrects_it(drawn: Library) -> None:
    teach(drawn, count=10)
    drawn.edit_tags(ids_of(drawn, "disc")[10:12], [], [TAG])
    operation_id = drawn.teaching.tag_library(TAG)
    tagged = drawn.find_ids(f'"{TAG}"')
    assert len(tagged) >= 25 and not set(tagged) & set(ids_of(drawn, "disc")[10:12])
    assert drawn.teaching.answers(TAG).yes == tuple(ids_of(drawn, "disc")[:10])  # not its own
    by_head = [each for each in tagged if each not in drawn.teaching.answers(TAG).yes]
    (taught,) = (each for each in drawn.teaching.list_taught() if each.tag == TAG)
    assert taught.head_tags == len(by_head)
    answer = drawn.teaching.answer(TAG, [], by_head[:10])
    left = drawn.find_ids(f'"{TAG}"')
    assert len(left) < len(tagged) - 10  # those that look like the wrong ones are gone as well
    drawn.undo(answer)
    assert drawn.find_ids(f'"{TAG}"') == tagged
    drawn.undo(operation_id)
    assert drawn.find_ids(f'"{TAG}"') == list(drawn.teaching.answers(TAG).yes)


def test_the_photos_of_an_edit_are_named_before_those_that_a_head_follows(drawn: Library) -> None:
    teach(drawn, count=10)
    drawn.teaching.tag_library(TAG)
    yes = drawn.teaching.answers(TAG).yes
    by_head = [each for each in drawn.find_ids(f'"{TAG}"') if each not in yes]
    answer = drawn.teaching.answer(TAG, [], by_head[:10])
    rated = drawn.rate(by_head[:2], 5)
    drawn.delete(by_head[1:2])
    names = drawn.edited_photos([answer, rated])
    answered = [by_head[0], *by_head[2:10]]
    assert list(names[answer])[:9] == answered[::-1] and len(names[answer]) > 9
    assert names[rated] == {by_head[0]: drawn.photo(by_head[0]).name}


def test_a_tag_of_a_model_is_not_learnt_beside_it_unless_a_person_wants_it(
    drawn: Library,
) -> None:
    """`worded` gives the tag square."""
    teach(drawn, "square", tag="square")
    assert not drawn.teaching.learn_active()
    (taught,) = (each for each in drawn.teaching.list_taught() if each.tag == "square")
    assert taught.by_models and not taught.is_on
    drawn.teaching.switch("square", True)
    assert [each.key for each in drawn.teaching.learn_active()] == ["square"]
    drawn.teaching.switch("square", False)
    teach(drawn, "square", 8, tag="square")
    assert not drawn.teaching.learn_active()


def test_the_likeliest_mistakes_are_asked_about_first(drawn: Library) -> None:
    discs, stripes = ids_of(drawn, "disc"), ids_of(drawn, "stripes")
    scores = {photo_id: 0.6 + photo_id / 1_000 for photo_id in discs}
    predict(drawn, "other", {id: {TAG: score} for id, score in scores.items()})
    predict(drawn, "other", {id: {TAG: 0.99} for id in stripes[:4]})
    least_sure = drawn.teaching.find_doubtful(TAG, 5)
    assert least_sure.total == 44
    assert [photo.id for photo in least_sure.photos] == discs[:5], "nobody gave an example"
    drawn.teaching.answer(TAG, discs[:8], [])
    doubtful = drawn.teaching.find_doubtful(TAG, MANY)
    ids = [photo.id for photo in doubtful.photos]
    assert doubtful.total == len(ids) == 36
    assert len(set(ids[:5]) & set(stripes)) >= 3  # unlike the examples
    rest = [photo_id for photo_id in ids[5:] if photo_id in discs]
    half = len(rest) // 2
    assert half >= 12 and np.mean(rest[:half]) < np.mean(rest[half:])  # nearer to the threshold
    drawn.teaching.answer(TAG, [], stripes[:4])
    assert drawn.count(f'"{TAG}"') == 40
    assert set(drawn.find_ids(f'"{TAG}"')) == set(discs)
    assert drawn.teaching.find_doubtful("nothing of the kind", 5).total == 0


def test_the_least_sure_are_asked_about_first_of_a_tag_that_most_photos_have(
    drawn: Library,
) -> None:
    every = [photo.id for photo in drawn.photos()]
    scores = {photo_id: 0.6 + photo_id / 1_000 for photo_id in every}
    predict(drawn, "other", {id: {TAG: score} for id, score in scores.items()})
    examples = every[-8:]
    drawn.teaching.answer(TAG, examples, [])
    ids = [photo.id for photo in drawn.teaching.find_doubtful(TAG, 24).photos]
    least_sure = sorted(every)[: len(every) // 2]
    assert len(set(ids) & set(least_sure)) >= 18


def test_mistakes_are_looked_for_without_a_model_that_compares_photos(drawn: Library) -> None:
    discs = ids_of(drawn, "disc")
    scores = {photo_id: 0.6 + photo_id / 1_000 for photo_id in discs}
    predict(drawn, "other", {id: {TAG: score} for id, score in scores.items()})
    drawn.teaching.answer(TAG, discs[30:], [])
    drawn.use_model("pets")
    assert drawn.space() is None
    doubtful = drawn.teaching.find_doubtful(TAG, MANY)
    assert [photo.id for photo in doubtful.photos] == discs[:30] and doubtful.head is None


def test_a_tag_without_a_threshold_is_asked_about_between_the_others(drawn: Library) -> None:
    discs = ids_of(drawn, "disc")[:9]
    scores = {photo_id: 0.6 + photo_id / 100 for photo_id in discs}
    predict(drawn, "other", {id: {TAG: score} for id, score in scores.items()})
    with drawn.database.write_transaction() as connection:
        is_first = tag_table.c.photo_id == discs[0]
        connection.execute(update(tag_table).where(is_first).values(threshold=None))
    ids = [photo.id for photo in drawn.teaching.find_doubtful(TAG, MANY).photos]
    assert [photo_id for photo_id in ids if photo_id != discs[0]] == discs[1:]
    assert 2 <= ids.index(discs[0]) <= 6


def test_tags_with_heads_that_are_merged_have_one_head(drawn: Library) -> None:
    teach(drawn, count=8)
    teach(drawn, "stripes", tag="lines")
    drawn.teaching.tag_library("lines")
    drawn.tags.rename("lines", TAG)
    (active,) = drawn.teaching.learn_active()
    assert (active.head.tag, active.head.examples) == (TAG, 13)
    stripes = f'"{TAG}" folder:/stripes'
    before = drawn.count(stripes)
    drawn.teaching.answer(TAG, [], ids_of(drawn, "stripes")[:5])
    assert drawn.count(stripes) <= 2 < 30 <= before  # those that the other head gave are gone, too
    drawn.teaching.switch(TAG, False)
    assert not drawn.teaching.learn_active()


def test_a_renamed_tag_keeps_its_head(drawn: Library, worded: Path, tmp_path: Path) -> None:
    teach(drawn, count=8)
    drawn.tags.rename(TAG, "circle shape")
    (taught,) = (each for each in drawn.teaching.list_taught() if each.is_on)
    assert taught.tag == "circle shape" and taught.examples == 8
    import_folder(drawn, draw_collection(tmp_path / "later", 6, first=500), model=str(worded))
    assert drawn.count('"circle shape"') >= 12
    drawn.teaching.switch("circle shape", False)
    assert drawn.count('"circle shape"') == 8


def test_a_tag_that_models_may_never_give_is_not_given_by_its_head(
    drawn: Library, worded: Path, tmp_path: Path
) -> None:
    teach(drawn, count=8)
    drawn.tags.forbid(TAG)
    import_folder(drawn, draw_collection(tmp_path / "later", 3, first=500), model=str(worded))
    assert drawn.count(f'"{TAG}"') == 8


def test_a_tag_that_grows_when_it_is_folded_is_learnt_too(drawn: Library) -> None:
    tag = "ß" * 60  # folded it has more characters than a tag may have
    teach(drawn, tag=tag)
    assert [each.head.tag for each in drawn.teaching.learn_active()] == [tag]
