"""Training from folders to a model file: what is evaluated, recorded and reported."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np
import pytest

from tagger.datasets import evaluation_set
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import tag_matrix
from tagger.errors import DatasetError, ModelError
from tagger.evaluation.results import MultiLabelScores, SingleLabelScores
from tagger.images import transforms
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.tagger import Prediction, Tagger
from tagger.training import trainer
from tagger.training.config import Hyperparameters
from tagger.training.events import ProgressEvent
from tagger.training.report import html, summary
from tagger.training.trainer import TrainingResult
from tests.conftest import draw, draw_collection, draw_tagged, tiny_config

pytestmark = pytest.mark.training

T = TypeVar("T")


def test_scores_are_of_photos_it_was_not_trained_on(trained: TrainingResult) -> None:
    evaluation, scores = trained.evaluation, trained.evaluation.validation
    assert isinstance(scores, SingleLabelScores)
    assert scores.photos == sum(evaluation.photos["val"].values()) == 24
    assert sum(map(sum, scores.confusion)) == 24
    assert scores.accuracy >= 0.8
    assert evaluation.unknown is not None
    assert evaluation.unknown.measured_on == "labels left out in turn"
    assert set(evaluation.unknown.by_kind) == {"disc", "square", "stripes"}


def test_a_run_folder_holds_settings_and_metrics(trained: TrainingResult) -> None:
    metrics = json.loads((trained.run_folder / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(trained.evaluation.to_dict()))
    assert set(metrics) == {
        *("model", "kind", "labels", "photos", "sizes", "problems"),
        *("validation", "typical", "test", "unknown", "conversion", "fine_tuning", "started_from"),
        *("descriptions", "exports", "seconds", "peak_memory_mb"),
    }
    config = json.loads((trained.run_folder / "config.json").read_text())
    assert config["epochs"] == 1 and config["image_size"] == 64
    assert "tensorflow" in config["versions"]
    assert sum(metrics["seconds"].values()) > 0 and metrics["peak_memory_mb"] > 100


def test_the_history_can_be_read_while_it_trains(shapes: Path, tmp_path: Path) -> None:
    histories: list[list[str]] = []

    def read_history(event: ProgressEvent) -> None:
        for history in (tmp_path / "runs").glob("*/history.csv"):
            with open(history, newline="") as file:
                histories.append([row["epoch"] for row in csv.DictReader(file)])

    options = tiny_config(shapes, tmp_path, hyperparameters=Hyperparameters(epochs=2))
    trainer.train(options, emit=read_history)
    changes = [rows for index, rows in enumerate(histories) if rows not in histories[:index]]
    assert changes == [["0"], ["0", "1"], ["0", "1", "2"]]


def test_missing_initial_weights_are_refused_before_photos_are_read(
    shapes: Path, tmp_path: Path
) -> None:
    loops: list[str] = []

    def progress(items: Iterable[T], total: int, stage: str) -> Iterable[T]:
        loops.append(stage)
        return items

    for weights in ("nonsense", str(tmp_path / "gone.h5")):
        with pytest.raises(ModelError, match=r"no model is called|no such model file"):
            trainer.train(tiny_config(shapes, tmp_path, weights=weights), progress)
    assert loops == [] and not list((tmp_path / "runs").iterdir())


def test_a_rare_label_is_still_predicted(tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 60, shapes=("disc",))
    draw_collection(tmp_path / "rare", 8, shapes=("stripes",))
    (tmp_path / "rare" / "stripes").rename(data / "stripes")
    options = tiny_config(data, tmp_path, hyperparameters=Hyperparameters(epochs=0))
    scores = trainer.train(options).evaluation.validation
    assert scores.by_label["stripes"].recall >= 0.5


def test_a_failed_run_does_not_change_an_existing_model(tmp_path: Path) -> None:
    output = tmp_path / "shapes.h5"
    output.write_bytes(b"the model before")
    with pytest.raises(DatasetError):
        trainer.train(tiny_config(tmp_path / "nowhere", tmp_path))
    assert output.read_bytes() == b"the model before"


# --- tags


def test_tags_alone_are_chosen_by_their_precision(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="one label a photo; a least precision chooses among"):
        trainer.train(tiny_config(shapes, tmp_path, least_precision=0.7))


def test_one_label_a_photo_has_no_balance(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"one label a photo; a balance of 0.4 is for tags"):
        trainer.train(
            tiny_config(shapes, tmp_path, hyperparameters=Hyperparameters(epochs=1, balance=0.4))
        )


def test_tags_are_learned(tagged: TrainingResult) -> None:
    evaluation, scores = tagged.evaluation, tagged.evaluation.validation
    assert isinstance(scores, MultiLabelScores)
    assert list(evaluation.labels) == ["disc", "nothing", "square", "stripes"]
    precision = scores.by_label["stripes"].ap
    assert scores.map is not None and scores.map > 0.8
    assert precision is not None and precision > 0.9
    assert scores.by_label["disc"].annotated < scores.photos == evaluation.sizes["val"]
    assert 0.5 < scores.accuracy_of_silence < scores.accuracy
    assert tagged.history[0].val_map is not None and evaluation.unknown is None


def test_a_model_of_tags_predicts_several(tagged: TrainingResult, tmp_path: Path) -> None:
    tagger = Tagger.load(tagged.model)
    assert tagger.labels.kind == "multi"
    data = draw_tagged(tmp_path / "new", 60, first=500)
    predictions = [tagger.tag(path) for path in sorted(data.glob("*.png"))]
    assert max(len(prediction.tags) for prediction in predictions) >= 2
    for prediction in predictions:
        assert isinstance(prediction, Prediction)
        assert prediction.unknown == (not prediction.tags)
        scores = [tag.score for tag in prediction.tags]
        assert scores == sorted(scores, reverse=True)
        if prediction.tags:
            assert prediction.label == prediction.tags[0].label


def test_the_keras_file_has_the_corrected_head_too(tagged: TrainingResult) -> None:
    network = keras.models.load_model(tagged.model, compile=False)
    pixels = transforms.fit(draw("disc", 3), 64)
    (in_keras,) = np.asarray(network.predict_on_batch(pixels[None]))
    in_litert = Runtime(model_file.load(tagged.model).network).run(pixels).logits
    assert np.abs(in_keras - in_litert).max() < 1.5  # int8 beside float


def test_probabilities_of_tags_match_their_frequency(tagged: TrainingResult) -> None:
    """Training balances tags; the correction of the head undoes that."""
    bins = tagged.evaluation.validation.calibration.reliability_before
    predicted = sum(row.confidence * row.photos for row in bins)
    actual = sum(row.accuracy * row.photos for row in bins)
    assert abs(predicted - actual) < 0.25 * actual


def test_a_test_collection_may_have_fewer_tags(tagged: TrainingResult, tmp_path: Path) -> None:
    data = draw_tagged(tmp_path / "photos", 40, first=900)
    rows = (data / "labels.csv").read_text().splitlines()
    discs = [",".join(row.split(",")[:2]) for row in rows]
    (data / "labels.csv").write_text("\n".join(discs) + "\n")
    store = PixelStore(tmp_path / "pixels", 64)
    samples, _ = evaluation_set.load(data, model_file.load(tagged.model).labels, store)
    cells = tag_matrix(samples, 4)
    assert (cells[:, 1:] == -1).all() and set(cells[:, 0].tolist()) <= {-1, 0, 1}
    store.close()


@pytest.mark.parametrize("head", ["svm", "random_forest"])
def test_a_head_on_frozen_features_is_not_fine_tuned(
    shapes: Path, trained: TrainingResult, tmp_path: Path, head: str
) -> None:
    unrelated = draw_collection(tmp_path / "other", 6, shapes=("stripes",), first=300)
    leave_out = tmp_path / "list.csv"
    leave_out.write_text("photo\ndisc/000.jpg\n")
    lines: list[str] = []
    options = tiny_config(shapes, tmp_path, head=head, unrelated=unrelated, leave_out=leave_out)
    options = replace(options, weights=str(trained.model))
    result = trainer.train(options, emit=lambda event: lines.extend(event.lines()))
    evaluation = result.evaluation
    assert result.history == [] and evaluation.validation.accuracy >= 0.8
    assert evaluation.unknown is not None and evaluation.unknown.photos == 6
    audit = json.loads((result.run_folder / "findings.json").read_text())
    assert audit["photos"] == audit["judged"] == 119
    assert "1 photo is on your list: left out" in lines
    assert result.model.is_file() == (head == "svm")
    if head == "svm":  # the card names no folder of this machine
        card = json.dumps(model_file.load(result.model).card)
        assert "list.csv" in card and str(tmp_path) not in card and str(shapes) not in card
    assert html.write(result.run_folder).is_file()
    last = list(summary.lines(result))[-1]
    assert ("No model was written" in last) == (head == "random_forest")


def test_rare_labels_and_those_not_audited_are_reported(
    trained: TrainingResult, tmp_path: Path
) -> None:
    """Eight photos are enough to train on, and too few to audit."""
    data = draw_collection(tmp_path / "data", 30, shapes=("disc", "stripes"))
    draw_collection(tmp_path / "rare", 8, shapes=("square",))
    (tmp_path / "rare" / "square").rename(data / "square")
    lines: list[str] = []
    options = tiny_config(data, tmp_path, weights=str(trained.model))
    options = replace(options, hyperparameters=Hyperparameters(epochs=0))
    result = trainer.train(options, emit=lambda event: lines.extend(event.lines()))
    assert "few training photos: 6 of square" in lines
    assert "labels of 60 of 68 photos were checked" in lines
    page = html.write(result.run_folder).read_text(encoding="utf-8")
    assert "Few training photos: 6 of square." in page
    assert "Labels of 60 of 68 photos were checked." in page
