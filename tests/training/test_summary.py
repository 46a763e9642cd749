"""What a training says at its end."""

from pathlib import Path
from typing import Any

from tagger.inference.registry import OWN_MODEL
from tagger.training.report import summary
from tagger.training.trainer import TrainingResult

METRICS: dict[str, Any] = {
    "kind": "single",
    "validation": None,
    "test": None,
    "unknown": None,
    "photos": {"val": {"cat": 400, "dog": 400}},
    "problems": {"unreadable": [(f"photo{number}.jpg", "broken") for number in range(40)]},
    "conversion": {"precision": "int8"},
    "seconds": {"fine-tuning": 20.0, "head": 1.6},
}


def told(model: Path, **changed: object) -> str:
    return "\n".join(summary.lines(TrainingResult(model, Path("run"), METRICS | changed, [])))


def test_whoever_teaches_the_usual_model_is_told_that_it_answers_now(tmp_path: Path) -> None:
    assert f"{OWN_MODEL} (int8, 22 s to train)" in told(OWN_MODEL)
    assert "It answers from now on" in told(OWN_MODEL)
    assert "answers from now on" not in told(tmp_path / "shop.h5")
    assert "No model was written" in told(OWN_MODEL, conversion=None)
    assert "answers from now on" not in told(OWN_MODEL, conversion=None)


def test_photos_left_out_are_named_as_far_as_anybody_reads(tmp_path: Path) -> None:
    said = told(tmp_path / "shop.h5")
    assert "Left out: photo0.jpg: broken" in said and "photo39" not in said
    assert f"and {40 - said.count('Left out')} more; all in report.html" in said
