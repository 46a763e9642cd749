"""The model card: its scores, and the command that repeats the training."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from tagger.cli import train
from tagger.inference import model_file
from tagger.training.trainer import TrainingResult

pytestmark = pytest.mark.training


def load_card(result: TrainingResult) -> dict[str, Any]:
    return model_file.load(result.model).card


def test_it_counts_the_photos_that_the_rule_was_fitted_on(trained: TrainingResult) -> None:
    counts = load_card(trained)["rule_fitted_on"]
    assert counts["validation_photos"] == 24
    assert counts["out_of_fold_training_photos"] == 96


def test_it_keeps_confusion_and_reliability_of_the_validation_photos(
    trained: TrainingResult,
) -> None:
    evaluation = trained.evaluation.to_dict()
    card = load_card(trained)["scores"]["validation"]
    names, scores = evaluation["labels"], evaluation["validation"]
    confusion = [[card["confusion"][row].get(column, 0) for column in names] for row in names]
    assert confusion == scores["confusion"]
    for when in ("before", "after"):
        assert card[f"reliability_{when}"] == scores["calibration"][f"reliability_{when}"]


def test_its_command_has_the_same_settings(trained: TrainingResult) -> None:
    card = load_card(trained)
    program, *options = shlex.split(card["command"])[1:]
    assert program == "train.py"
    assert train.training_config(train.parse(options)).settings() == card["settings"]


def test_scores_of_tags(tagged: TrainingResult) -> None:
    card, evaluation = load_card(tagged), tagged.evaluation.to_dict()
    scores = card["scores"]["validation"]
    assert card["kind"] == "multi" and scores["map"] == evaluation["validation"]["map"]
    assert set(scores["ap"]) == set(scores["f1"]) == set(card["labels"])
    assert card["trained_on"]["sizes"] == evaluation["sizes"]
    assert card["precision"]["precision"] in ("int8", "float32")
