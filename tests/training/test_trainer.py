"""From folders to a model: what a run measures, keeps and says."""

from __future__ import annotations

import csv
import importlib.util
import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from tagger.datasets import evaluation_set
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import tag_matrix
from tagger.errors import DatasetError, ModelError
from tagger.images import transforms
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.paths import ROOT
from tagger.tagger import Tagger
from tagger.training import trainer
from tagger.training.config import Hyperparameters
from tagger.training.events import ProgressEvent
from tagger.training.report import html, summary
from tagger.training.trainer import TrainingResult
from tests.conftest import draw, draw_collection, draw_tagged, small_options

T = TypeVar("T")


def test_the_numbers_are_of_photos_it_did_not_train_on(trained: TrainingResult) -> None:
    found = trained.metrics
    held_out = sum(found["photos"]["val"].values())
    assert found["validation"]["photos"] == held_out == 24
    assert sum(map(sum, found["validation"]["confusion"])) == held_out
    assert found["validation"]["accuracy"] >= 0.8
    assert found["unknown"]["measured_on"] == "labels left out in turn"
    assert set(found["unknown"]["by_kind"]) == {"disc", "square", "stripes"}


def test_few_validation_photos_are_helped_by_out_of_fold_ones(trained: TrainingResult) -> None:
    card = model_file.load(trained.model).card
    assert card["rule_fitted_on"]["validation_photos"] == 24
    assert card["rule_fitted_on"]["out_of_fold_training_photos"] == 96


def test_a_run_keeps_its_settings_and_numbers(trained: TrainingResult) -> None:
    kept = json.loads((trained.run_folder / "metrics.json").read_text())
    assert kept == json.loads(json.dumps(trained.metrics))
    config = json.loads((trained.run_folder / "config.json").read_text())
    assert (
        config["epochs"] == 1 and config["image_size"] == 96 and "tensorflow" in config["versions"]
    )
    assert sum(kept["seconds"].values()) > 0 and kept["peak_memory_mb"] > 100


def test_the_card_keeps_confusion_and_reliability_of_the_validation_photos(
    trained: TrainingResult,
) -> None:
    judged = trained.metrics["validation"]
    kept = model_file.load(trained.model).card["scores"]["validation"]
    names = trained.metrics["labels"]
    table = [[kept["confusion"][row].get(column, 0) for column in names] for row in names]
    assert table == judged["confusion"]
    for when in ("before", "after"):
        assert kept[f"reliability_{when}"] == judged["calibration"][f"reliability_{when}"]


def test_the_command_on_the_card_makes_it_again(trained: TrainingResult) -> None:
    card = model_file.load(trained.model).card
    program, *arguments = shlex.split(card["command"])[1:]
    spec = importlib.util.spec_from_file_location("train", ROOT / program)
    assert spec is not None and spec.loader is not None
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    again = train.options(train.parse(arguments)).settings()
    assert again == card["settings"]


def test_the_curves_can_be_watched_while_it_learns(shapes: Path, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def watch(event: ProgressEvent) -> None:
        for history in (tmp_path / "runs").glob("*/history.csv"):
            with open(history, newline="") as file:
                seen.append([row["epoch"] for row in csv.DictReader(file)])

    options = small_options(shapes, tmp_path, hyperparameters=Hyperparameters(epochs=2))
    trainer.train(options, emit=watch)
    assert [rows for index, rows in enumerate(seen) if rows not in seen[:index]] == [
        ["0"],
        ["0", "1"],
        ["0", "1", "2"],
    ]


def test_a_model_to_start_from_that_is_not_there_is_refused_before_photos_are_read(
    shapes: Path, tmp_path: Path
) -> None:
    loops: list[str] = []

    def progress(items: Iterable[T], total: int, what: str) -> Iterable[T]:
        loops.append(what)
        return items

    for weights in ("nonsense", str(tmp_path / "gone.h5")):
        with pytest.raises(ModelError, match=r"no model is called|no such model file"):
            trainer.train(small_options(shapes, tmp_path, weights=weights), progress)
    assert loops == [] and not list((tmp_path / "runs").iterdir())


def test_imbalance_does_not_silence_the_rare_label(shapes: Path, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 60, shapes=("disc",))
    draw_collection(tmp_path / "rare", 8, shapes=("stripes",))
    (tmp_path / "rare" / "stripes").rename(data / "stripes")
    options = small_options(data, tmp_path, hyperparameters=Hyperparameters(epochs=0))
    rows = trainer.train(options).metrics["validation"]["by_label"]
    assert rows["stripes"]["recall"] >= 0.5


def test_a_failed_run_leaves_the_model_that_was_there(
    trained: TrainingResult, tmp_path: Path
) -> None:
    output = tmp_path / "shapes.h5"
    output.write_bytes(b"the one before")
    with pytest.raises(DatasetError):
        trainer.train(small_options(tmp_path / "nowhere", tmp_path))
    assert output.read_bytes() == b"the one before"


# --- several tags a photo


def test_tags_are_learned(tagged: TrainingResult) -> None:
    found = tagged.metrics
    judged = found["validation"]
    assert found["kind"] == "multi" and found["labels"] == ["disc", "nothing", "square", "stripes"]
    assert judged["map"] > 0.8 and judged["by_label"]["stripes"]["ap"] > 0.9
    assert judged["by_label"]["disc"]["seen"] < judged["photos"] == found["sizes"]["val"]
    assert 0.5 < judged["accuracy_of_silence"] < judged["accuracy"]
    assert tagged.history[0].val_map is not None and found["unknown"] is None


def test_a_model_of_tags_tells_several(tagged: TrainingResult, tmp_path: Path) -> None:
    tagger = Tagger.load(tagged.model)
    assert tagger.labels.kind == "multi"
    data = draw_tagged(tmp_path / "new", 60, first=500)
    answers = [tagger.tag(path) for path in sorted(data.glob("*.png"))]
    assert max(len(answer.tags) for answer in answers) >= 2  # type: ignore[union-attr]
    for answer in answers:
        assert answer.unknown == (not answer.tags)
        scores = [tag.score for tag in answer.tags]
        assert scores == sorted(scores, reverse=True)
        if answer.tags:
            assert answer.label == answer.tags[0].label


def test_the_card_of_a_model_of_tags(tagged: TrainingResult) -> None:
    card = model_file.load(tagged.model).card
    scores = card["scores"]["validation"]
    assert card["kind"] == "multi" and scores["map"] == tagged.metrics["validation"]["map"]
    assert set(scores["ap"]) == set(scores["f1"]) == set(card["labels"])
    assert card["trained_on"]["sizes"] == tagged.metrics["sizes"]
    assert card["precision"]["precision"] in ("int8", "float32")


def test_the_report_of_a_model_of_tags(tagged: TrainingResult) -> None:
    page = html.write(tagged.run_folder).read_text(encoding="utf-8")
    assert "mean average precision" in page and 'id="precision"' in page
    assert 'id="confusion"' not in page and (tagged.run_folder / "precision.png").is_file()


def test_keras_gives_the_logits_that_tagging_sees(tagged: TrainingResult) -> None:
    """The weights' correction is in the head itself, so that the plain file has it too."""
    import keras

    network = keras.models.load_model(tagged.model, compile=False)
    pixels = transforms.fit(draw("disc", 3), 96)
    (theirs,) = np.asarray(network.predict_on_batch(pixels[None]))
    ours = Runtime(model_file.load(tagged.model).network).run(pixels).logits
    assert np.abs(theirs - ours).max() < 1.5  # int8 beside float


def test_probabilities_are_as_rare_as_the_tags(tagged: TrainingResult) -> None:
    """Training weighs a tag's photos; what ships must not."""
    judged = tagged.metrics["validation"]
    bins = judged["calibration"]["reliability_before"]
    said = sum(row["confidence"] * row["photos"] for row in bins)
    true = sum(row["accuracy"] * row["photos"] for row in bins)
    assert abs(said - true) < 0.25 * true


def test_a_test_collection_may_tell_of_fewer_tags(tagged: TrainingResult, tmp_path: Path) -> None:
    data = draw_tagged(tmp_path / "photos", 40, first=900)
    rows = (data / "labels.csv").read_text().splitlines()
    fewer = [",".join(row.split(",")[:2]) for row in rows]  # of the disc alone
    (data / "labels.csv").write_text("\n".join(fewer) + "\n")
    store = PixelStore(tmp_path / "pixels", 96)
    samples, _ = evaluation_set.load(data, model_file.load(tagged.model).labels, store)
    table = tag_matrix(samples, 4)
    assert (table[:, 1:] == -1).all() and set(table[:, 0].tolist()) <= {-1, 0, 1}
    store.close()


@pytest.mark.parametrize("head", ["svm", "random_forest"])
def test_a_head_by_name_is_not_fine_tuned(shapes: Path, tmp_path: Path, head: str) -> None:
    other = draw_collection(tmp_path / "other", 6, shapes=("stripes",), first=300)
    listed = tmp_path / "list.csv"
    listed.write_text("photo\ndisc/000.jpg\n")
    said: list[str] = []
    options = small_options(shapes, tmp_path, head=head, unrelated=other, leave_out=listed)
    trained = trainer.train(options, emit=lambda event: said.extend(event.lines()))
    found = trained.metrics
    assert trained.history == [] and found["validation"]["accuracy"] >= 0.8
    assert found["unknown"]["photos"] == 6 and "findings" not in found
    told = json.loads((trained.run_folder / "findings.json").read_text())
    assert told["photos"] == told["judged"] == 119
    assert "1 photo is on your list: left out" in said
    assert trained.model.is_file() == (head == "svm")
    if head == "svm":  # where a person keeps things is theirs
        card = json.dumps(model_file.load(trained.model).card)
        assert "list.csv" in card and str(tmp_path) not in card and str(shapes) not in card
    assert html.write(trained.run_folder).is_file()
    last = list(summary.lines(trained))[-1]
    assert ("No model was written" in last) == (head == "random_forest")


def test_what_was_judged_and_what_is_rare_is_said(tmp_path: Path) -> None:
    """A label with photos enough to learn from, too few to judge it by."""
    data = draw_collection(tmp_path / "data", 30, shapes=("disc", "stripes"))
    draw_collection(tmp_path / "rare", 8, shapes=("square",))
    (tmp_path / "rare" / "square").rename(data / "square")
    said: list[str] = []
    options = small_options(data, tmp_path, hyperparameters=Hyperparameters(epochs=0))
    trained = trainer.train(options, emit=lambda event: said.extend(event.lines()))
    assert "only 6 of square to learn from" in said
    assert "labels of 60 of 68 photos were judged" in said
    page = html.write(trained.run_folder).read_text(encoding="utf-8")
    assert "Only 6 of square to learn from." in page
    assert "Labels of 60 of 68 photos were judged." in page
