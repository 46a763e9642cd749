"""The summary of a training in the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tagger.evaluation.descriptions import DescriptionScores
from tagger.inference.registry import OWN_MODEL
from tagger.training.report import summary
from tagger.training.trainer import TrainingResult
from tests.training.example import EVALUATION, SCORES


def summarize(model: Path, **changed: object) -> str:
    evaluation = replace(EVALUATION, **changed)  # type: ignore[arg-type]
    return "\n".join(summary.lines(TrainingResult(model, Path("run"), evaluation, [])))


def test_scores_are_in_percent(tmp_path: Path) -> None:
    lines = summarize(tmp_path / "shop.h5")
    assert "Validation: 97.50% right of 800 photos, 2.00% called unknown" in lines


def test_typical_photos_and_descriptions_have_lines_where_there_are_any(tmp_path: Path) -> None:
    assert "Typical" not in summarize(tmp_path / "shop.h5")
    descriptions = DescriptionScores(500, 2500, 0.2761, 0.567, 0.693)
    typical = replace(SCORES, photos=510)
    lines = summarize(tmp_path / "shop.h5", typical=typical, descriptions=descriptions)
    assert "Typical: 97.50% right of 510 photos" in lines
    assert "Descriptions: 27.6%, 56.7% and 69.3% of 2,500 captions" in lines


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
