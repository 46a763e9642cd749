"""Photos of an earlier version of a model: counted, and what tagging them again would change."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from tagger.inference import model_file
from tagger.jobs import worker
from tagger.jobs.requests import RetagRequest, submit
from tagger.library.library import Library
from tagger.library.models.retagging import choose_sample
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw_collection, import_folder


def write_version(trained: Path, target: Path, thresholds: dict[str, float]) -> Tagger:
    """Write the model of the drawn shapes as one of tags, each said from its threshold on."""
    model = model_file.load(trained)
    labels = replace(model.labels, kind="multi")
    values = tuple(thresholds.get(name, 0.5) for name in labels.names)
    rule = replace(model.rule, kind="multi", thresholds=values, reference=None)
    keras_file = Path(shutil.copyfile(trained, target.with_suffix(".keras")))
    with h5py.File(keras_file, "r+") as file:
        del file[model_file.GROUP]
    model_file.save(target, keras_file, replace(model, labels=labels, rule=rule))
    return Tagger.load(target)


@pytest.fixture
def versions(
    library: Library, trained: TrainingResult, tmp_path: Path
) -> tuple[Library, Tagger, Path]:
    """A library of twelve photos whose model was replaced after it tagged them."""
    model = tmp_path / "own.h5"
    write_version(trained.model, model, {"square": 1.0})
    import_folder(library, draw_collection(tmp_path / "photos", 4), model=str(model))
    library.use_model(str(model))
    return library, write_version(trained.model, model, {"disc": 1.0}), model


def shapes(library: Library, shape: str) -> list[int]:
    return library.find_ids(f"folder:/{shape}")


def test_photos_of_an_earlier_version_are_counted(
    versions: tuple[Library, Tagger, Path], pets: Tagger
) -> None:
    library, tagger, model = versions
    assert library.retagging.count_outdated(tagger) == 12
    assert library.retagging.count_outdated(pets) == 0  # another model is no later version
    discs = shapes(library, "disc")
    library.delete(discs[:1])
    job_id = submit(library, RetagRequest(ids=discs[1:], model=str(model)))
    worker.run(library, job_id)
    rest = sorted(shapes(library, "square") + shapes(library, "stripes"))
    assert library.retagging.find_outdated(tagger) == rest
    assert library.retagging.count_outdated(tagger) == 8
    library.undo(job_id)
    assert library.retagging.count_outdated(tagger) == 11


def test_the_preview_is_what_tagging_again_does(versions: tuple[Library, Tagger, Path]) -> None:
    library, tagger, model = versions
    discs, squares = shapes(library, "disc"), shapes(library, "square")
    library.edit_tags(discs[:1], add=["Disc", "mine"])  # a person's answers stay
    library.edit_tags(squares[:1], remove=["square"])
    library.photo(discs[1]).path.unlink()
    before = {photo.id: [tag.label for tag in photo.tags] for photo in library.photos()}
    preview = library.retagging.preview([tagger], library.retagging.find_outdated(tagger))
    assert {photo.id: [tag.label for tag in photo.tags] for photo in library.photos()} == before
    assert (preview.sample, preview.unreadable) == (12, 1)
    assert dict(preview.removed())["disc"] == 2 and dict(preview.added())["square"] == 3
    worker.run(library, submit(library, RetagRequest(model=str(model))))
    after = {photo.id: {tag.label for tag in photo.tags} for photo in library.photos()}
    changes = {change.photo.id: change for change in preview.changes}
    for photo_id, labels in before.items():
        added, removed = after[photo_id] - set(labels), set(labels) - after[photo_id]
        assert (photo_id in changes) == bool(added or removed)
        if photo_id in changes:
            assert set(changes[photo_id].added) == added
            assert set(changes[photo_id].removed) == removed


def test_photos_that_cannot_be_read_are_not_offered_again(
    versions: tuple[Library, Tagger, Path], trained: TrainingResult
) -> None:
    library, tagger, model = versions
    lost = shapes(library, "disc")[:2]
    for photo_id in lost:
        library.photo(photo_id).path.unlink()
    worker.run(library, submit(library, RetagRequest(ids=lost, model="pets")))
    assert library.retagging.count_outdated(tagger) == 12  # this model has not tried yet
    job_id = submit(
        library, RetagRequest(ids=library.retagging.find_outdated(tagger)[:6], model=str(model))
    )
    worker.run(library, job_id)
    assert library.operation(job_id).counts == {"failed": 2, "tagged": 4}
    assert (
        library.retagging.count_outdated(tagger)
        == len(library.retagging.find_outdated(tagger))
        == 6
    )
    next_version = write_version(trained.model, model, {"stripes": 1.0})
    assert library.retagging.count_outdated(next_version) == 12


def test_a_sample_is_spread_evenly(versions: tuple[Library, Tagger, Path]) -> None:
    library, tagger, _ = versions
    ids = library.retagging.find_outdated(tagger)
    steps: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        steps.append((done, total))

    assert library.retagging.preview([tagger], ids, count=5, report=report).sample == 5
    assert steps == [(done, 5) for done in range(1, 6)]
    assert choose_sample(range(100, 200), 4) == [100, 125, 150, 175]
    assert choose_sample([7, 9], 4) == [7, 9] and choose_sample([], 4) == []
