"""The summary of a training in the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagger.datasets.dataset import Problems
from tagger.evaluation.results import CalibrationScores, DecisionShares, SingleLabelScores
from tagger.inference.registry import OWN_MODEL
from tagger.models.convert import PrecisionCheck
from tagger.training.checkpoints import FineTuning
from tagger.training.evaluate import Evaluation
from tagger.training.report import summary
from tagger.training.trainer import TrainingResult

SCORES = SingleLabelScores(
    photos=800,
    accuracy=0.975,
    top_3=None,
    by_label={},
    confusion=[],
    calibration=CalibrationScores(1.2, 0.02, 0.01, [], []),
    decision=DecisionShares(0.98, 0.015, 0.005, 0.99),
    mistakes=[],
)
EVALUATION = Evaluation(
    model="shop",
    kind="single",
    labels=("cat", "dog"),
    photos={"val": {"cat": 400, "dog": 400}},
    sizes={"val": 800},
    problems=Problems(unreadable=tuple((f"photo{row}.jpg", "broken") for row in range(40))),
    validation=SCORES,
    test=None,
    unknown=None,
    conversion=PrecisionCheck("int8", 1.0, 0.98, 0.975),
    fine_tuning=FineTuning(8, 8, None, 1.0),
    started_from="imagenet",
    seconds={"fine-tuning": 20.0, "head": 1.6},
)


def summarize(model: Path, **changed: object) -> str:
    evaluation = replace(EVALUATION, **changed)  # type: ignore[arg-type]
    return "\n".join(summary.lines(TrainingResult(model, Path("run"), evaluation, [])))


def test_scores_are_in_percent(tmp_path: Path) -> None:
    lines = summarize(tmp_path / "shop.h5")
    assert "Validation: 97.50% right of 800 photos, 2.00% called unknown" in lines


def test_only_the_default_model_answers_from_now_on(tmp_path: Path) -> None:
    assert f"{OWN_MODEL} (int8, 22 s to train)" in summarize(OWN_MODEL)
    assert "It answers from now on" in summarize(OWN_MODEL)
    assert "answers from now on" not in summarize(tmp_path / "shop.h5")
    assert "No model was written" in summarize(OWN_MODEL, conversion=None)
    assert "answers from now on" not in summarize(OWN_MODEL, conversion=None)


def test_the_first_unreadable_photos_are_named(tmp_path: Path) -> None:
    lines = summarize(tmp_path / "shop.h5")
    assert "Left out: photo0.jpg: broken" in lines and "photo39" not in lines
    assert f"and {40 - lines.count('Left out')} more; all in report.html" in lines
