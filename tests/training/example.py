"""The evaluation of a made-up training."""

from __future__ import annotations

from tagger.datasets.dataset import Problems
from tagger.evaluation.results import CalibrationScores, DecisionShares, SingleLabelScores
from tagger.models.convert import PrecisionCheck
from tagger.training.checkpoints import FineTuning
from tagger.training.evaluate import Evaluation

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
    typical=None,
    descriptions=None,
    test=None,
    unknown=None,
    conversion=PrecisionCheck("int8", 1.0, 0.98, 0.975),
    fine_tuning=FineTuning(8, 8, None, 1.0),
    started_from="imagenet",
    seconds={"fine-tuning": 20.0, "head": 1.6},
)
