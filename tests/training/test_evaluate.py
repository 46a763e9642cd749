"""An evaluation as JSON: the keys that reports, cards and the app read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tagger.datasets.dataset import Problems
from tagger.datasets.readers.listing import Remark
from tagger.export.verify import ExportResult
from tests.training.example import EVALUATION


def test_problems_exports_and_conversion_keep_their_keys() -> None:
    remark = Remark("row", "repeats another", "repeat others", ("t.csv:2",), "counted once")
    problems = Problems(unreadable=(("a.jpg", "broken"),), remarks=(remark,))
    export = ExportResult("onnx", Path("shop.onnx"), None, "it failed")
    evaluation = replace(EVALUATION, problems=problems, exports=[export])
    metrics = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert metrics["problems"]["unreadable"] == [["a.jpg", "broken"]]
    assert metrics["problems"]["remarks"] == [
        {
            "noun": "row",
            "one": "repeats another",
            "many": "repeat others",
            "names": ["t.csv:2"],
            "outcome": "counted once",
        }
    ]
    assert metrics["exports"] == [
        {"format": "onnx", "path": "shop.onnx", "check": None, "refused": "it failed"}
    ]
    assert metrics["conversion"] == {
        "precision": "int8",
        "agreement": 1.0,
        "float_accuracy": 0.98,
        "int8_accuracy": 0.975,
    }
    assert metrics["fine_tuning"] == {"epochs": 8, "kept_epoch": 8, "stopped": None, "blend": 1.0}
    assert not evaluation.complete
