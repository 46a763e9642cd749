"""One training with all its parts: chosen tags, words of captions, and the answers of a teacher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tagger.inference import model_file
from tagger.tagger import Tagger
from tagger.training import trainer
from tagger.training.config import Hyperparameters, TrainingConfig
from tagger.training.events import (
    EpochEnded,
    EvaluationPhotosSkipped,
    ProgressEvent,
    TagsSelected,
    TestSkipped,
    WordsTaught,
)
from tagger.training.report import summary
from tagger.training.trainer import TrainingResult
from tests import tiny
from tests.conftest import SHAPES, draw_tagged, tiny_config, trained_state

pytestmark = pytest.mark.training

CLASSES = ("zorbel", "quandle", "mimpf")  # of the teacher
GUESSED = "lucky"  # a tag that no photo shows
PHOTOS = 150


class KilledError(Exception):
    pass


@dataclass(frozen=True)
class Trained:
    config: TrainingConfig
    result: TrainingResult
    events: list[ProgressEvent]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("everything")
    reported: list[ProgressEvent] = []
    with pytest.MonkeyPatch.context() as patch:
        tiny.teach_answers(patch, CLASSES)
        config = tiny_config(
            draw_guessed(folder / "photos"),
            folder,
            captions=write_captions(folder),
            least_precision=0.7,
            test=draw_guessed(folder / "test", first=700),
            hyperparameters=Hyperparameters(epochs=2, distillation=0.5),
        )
        yield Trained(config, trainer.train(config, emit=reported.append), reported)


def shapes_of(seed: int) -> tuple[str, ...]:
    """What `draw_tagged` draws."""
    if seed % 5 == 0:
        return ()
    right = (seed // 3) % 4
    return (SHAPES[seed % 3], *((SHAPES[right],) if right < 3 else ()))


def draw_guessed(folder: Path, first: int = 0) -> Path:
    """Photos of `draw_tagged` with the tag GUESSED; from number 500 on with this tag alone."""
    draw_tagged(folder, PHOTOS if first < 500 else 12, first)
    header, *rows = (folder / "labels.csv").read_text().splitlines()
    guesses = np.random.default_rng(first).integers(0, 2, len(rows))
    table = [
        f"{header},{GUESSED}",
        *(f"{row},{guess}" for row, guess in zip(rows, guesses, strict=True)),
    ]
    if first >= 500:
        table = [",".join([row.split(",")[0], row.split(",")[-1]]) for row in table]
    (folder / "labels.csv").write_text("\n".join(table) + "\n")
    return folder


def write_captions(folder: Path) -> Path:
    """Captions of all photos but every fourth."""
    rows = ["image,caption"]
    for seed in range(PHOTOS):
        words = " and a ".join(shapes_of(seed)) or "blank sheet"
        if seed % 4:
            rows += [f"{seed:03}.png,a {words}", f"{seed:03}.png,somebody drew a {words}"]
    file = folder / "captions.csv"
    file.write_text("\n".join(rows))
    return file


def test_tags_are_kept_that_are_right_often_enough(everything: Trained) -> None:
    model = model_file.load(everything.result.model)
    (selected,) = (event for event in everything.events if isinstance(event, TagsSelected))
    assert selected.kept == model.labels.names and "stripes" in selected.kept
    assert set(model.card["tags"]) == set(model.labels.names)
    for tag in model.card["tags"].values():
        assert tag["predicted"] >= 5 and tag["precision"] >= 0.7
    assert set(everything.result.evaluation.labels) == set(selected.kept)


def test_photos_that_show_no_tag_of_the_model_are_not_tested_on(everything: Trained) -> None:
    """The test photos are labelled with a tag alone that is not kept."""
    assert GUESSED not in everything.result.evaluation.labels
    assert everything.result.evaluation.test is None
    (skipped,) = (event for event in everything.events if isinstance(event, TestSkipped))
    assert 0 < skipped.photos <= 12 and "nothing is tested" in skipped.lines()[0]
    read = [event for event in everything.events if isinstance(event, EvaluationPhotosSkipped)]
    assert len(read) == 1


def test_photos_are_found_by_words_and_hidden_below_the_floor(everything: Trained) -> None:
    """New photos; few captions of validation photos set no floor, so training photos do."""
    tagger = Tagger.load(everything.result.model)
    words = tagger.words
    assert words is not None
    (event,) = (event for event in everything.events if isinstance(event, WordsTaught))
    assert event.split == "train" and event.photos > 50 and event.floor == words.floor
    assert f"likeness of {words.floor:.1f} on, by the captions of" in event.lines()[0]
    folder = draw_tagged(everything.config.output.parent / "new", 60, first=500)
    photos = np.stack([tagger.embed(path) for path in sorted(folder.glob("*.png"))])
    for shape in ("stripes", "square"):
        description = words.describe(shape)
        is_listed = words.likeness(description.vector, photos @ description.vector) >= words.floor
        is_right = np.array([shape in shapes_of(seed) for seed in range(500, 560)])
        assert is_listed[is_right].mean() > 2 * is_listed[~is_right].mean()
        assert is_listed[is_right].mean() >= 0.3


def test_the_card_and_the_summary_say_how_many_captions_find_their_photo(
    everything: Trained,
) -> None:
    scores = everything.result.evaluation.descriptions
    assert scores is not None and 0 < scores.photos < scores.descriptions
    assert 0 < scores.first_1 < scores.first_5 < scores.first_10  # three shapes: many are alike
    card = model_file.load(everything.result.model).card["scores"]["descriptions"]
    assert card["photos"] == scores.photos and card["first_10"] == scores.first_10
    (line,) = (line for line in summary.lines(everything.result) if "Descriptions" in line)
    assert f"{scores.first_10:.1%} of {scores.descriptions} captions" in line


def test_the_classes_of_the_teacher_are_words_too(everything: Trained) -> None:
    tagger = Tagger.load(everything.result.model)
    assert not tagger.unknown_words(" ".join(CLASSES))


def test_killed_and_resumed_it_ends_as_if_never_killed(everything: Trained, tmp_path: Path) -> None:
    """It also ends as if begun with the least precision that it is resumed with."""
    config = replace(everything.config, output=tmp_path / "shapes.h5", runs=tmp_path / "runs")
    begun = replace(config, least_precision=None)
    for epoch, resume in ((1, False), (2, True)):  # 2 is the last one

        def kill(event: ProgressEvent, last: int = epoch) -> None:
            if isinstance(event, EpochEnded) and event.figures.epoch == last:
                raise KilledError

        with pytest.raises(KilledError):
            trainer.train(replace(begun, resume=resume), emit=kill)
    resumed = trainer.train(replace(config, resume=True))
    assert [row.epoch for row in resumed.history] == [0, 1, 2]
    expected = everything.result
    assert [row.val_loss for row in resumed.history] == [row.val_loss for row in expected.history]
    assert trained_state(resumed.model) == trained_state(expected.model)
    words = [model_file.load(result.model).words for result in (resumed, expected)]
    assert len({own.digests for own in words if own}) == 1 and all(words)
