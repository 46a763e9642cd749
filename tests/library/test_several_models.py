"""Importing and tagging again with several models in use; what it would change, beforehand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tagger.jobs import worker
from tagger.jobs.requests import ImportFolderRequest, RetagRequest, submit
from tagger.library.library import Library
from tagger.library.operations import Operation
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw_collection, draw_png
from tests.library.test_retagging import write_version


@pytest.fixture
def shapes_model(library: Library, trained: TrainingResult, tmp_path: Path) -> Path:
    """A model of the drawn shapes that is in use after "pets", which knows none of them."""
    model = tmp_path / "own.h5"
    write_version(trained.model, model, {"square": 1.0})
    library.use_model("pets")
    library.add_model(str(model))
    return model


def run(library: Library, request: ImportFolderRequest | RetagRequest) -> Operation:
    job_id = submit(library, request)
    worker.run(library, job_id)
    return library.operation(job_id)


def test_an_import_is_tagged_by_every_model_in_use(
    library: Library, shapes_model: Path, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 2)
    job = run(library, ImportFolderRequest(str(folder)))
    assert job.counts == {"added": 6}
    taggers = [Tagger.load("pets"), Tagger.load(shapes_model)]
    for photo in library.photos():
        predictions = library.predictions(photo.id)
        assert [each.model for each in predictions] == ["pets", "own"]
        for tagger, stored in zip(taggers, predictions, strict=True):
            alone = tagger.tag(photo.path)
            assert stored.label == alone.label
            scores = {score.label: score.score for score in alone.scores}
            assert dict(stored.scores) == pytest.approx(scores, abs=0.01)
        assert {tag.model for tag in photo.tags} <= {"own"} and photo.model == "pets"
    assert library.count("model:pets model:own") == 6 and library.count("disc") == 2
    before = library.label_counts()
    undone = library.undo(job.id)
    assert library.count() == 0
    library.undo(undone.operation_id)
    assert library.label_counts() == before


def test_tagging_again_replaces_only_a_models_own_tags(
    library: Library, shapes_model: Path, trained: TrainingResult, tmp_path: Path
) -> None:
    run(library, ImportFolderRequest(str(draw_collection(tmp_path / "photos", 2))))
    assert run(library, RetagRequest()).counts == {"same": 6}
    new_version = write_version(trained.model, shapes_model, {"disc": 1.0})
    preview = library.retagging.preview([Tagger.load("pets"), new_version], library.find_ids())
    assert (preview.sample, preview.total, preview.is_exact) == (6, 6, True)
    added, removed = preview.added(), preview.removed()
    assert dict(removed)["disc"] == 2 and dict(added)["square"] == 2
    before = library.label_counts()
    job = run(library, RetagRequest())
    assert (job.title, job.counts) == ("Re-tag 6 photos with Pets and own", {"tagged": 6})
    assert library.count("model:pets") == 6 and library.count("disc") == 0
    after = dict(library.label_counts())
    changes = {name: after.get(name, 0) - dict(before).get(name, 0) for name, _ in before + added}
    assert {name: n for name, n in changes.items() if n > 0} == dict(added)
    assert {name: -n for name, n in changes.items() if n < 0} == dict(removed)
    library.undo(job.id)
    assert library.label_counts() == before


def test_only_models_that_have_not_tagged_a_photo_look_at_it(
    library: Library, shapes_model: Path, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    run(library, ImportFolderRequest(str(folder), model="pets"))
    own = Tagger.load(shapes_model)
    assert library.retagging.find_untagged(own) == library.find_ids()
    assert library.retagging.find_untagged(Tagger.load("pets")) == []
    preview = library.retagging.preview([own], library.find_ids(), count=2)
    assert (preview.sample, preview.total, preview.is_exact) == (2, 3, False)
    counts = Counter(tag for change in preview.changes for tag in change.added)
    assert counts and dict(preview.added()) == {tag: round(1.5 * counts[tag]) for tag in counts}
    made = {each.id: library.predictions(each.id)[0].made_at for each in library.photos()}
    assert run(library, RetagRequest()).counts == {"tagged": 3}
    assert {id: library.predictions(id)[0].made_at for id in made} == made
    assert library.retagging.find_untagged(own) == []


def test_tagging_with_a_model_that_is_off_shows_its_tags_again(
    library: Library, shapes_model: Path, tmp_path: Path
) -> None:
    run(library, ImportFolderRequest(str(draw_collection(tmp_path / "photos", 1))))
    library.turn_off_model(str(shapes_model))
    assert library.label_counts() == [] and library.models_in_use() == ["pets"]
    assert library.model_uses()["own"].off
    assert library.count("model:own model:pets") == 3, "it looked at them"
    job = run(library, RetagRequest(model=str(shapes_model)))
    assert job.counts == {"same": 3} and library.count("disc") == 1
    library.undo(job.id)
    assert library.label_counts() == []
    library.add_photo("one.png", draw_png(9), Tagger.load(shapes_model))
    assert library.count("disc") >= 1


def test_a_job_keeps_to_the_models_with_which_it_began(
    library: Library, shapes_model: Path, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    job_id = submit(library, ImportFolderRequest(str(folder)))
    library.use_model("cifar10")
    worker.run(library, job_id)
    assert library.statistics().by_model == (("own", 3), ("pets", 3))


def test_a_model_in_use_whose_file_is_gone_is_left_out(
    library: Library, shapes_model: Path, tmp_path: Path
) -> None:
    run(library, ImportFolderRequest(str(draw_collection(tmp_path / "photos", 1))))
    shapes_model.unlink()
    assert library.models_in_use() == ["pets"]
    assert library.count("disc") == 1 and library.model_uses()["own"].tags > 0
    library.turn_off_model(str(shapes_model))
    assert library.count("disc") == 0
