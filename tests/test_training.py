"""From folders to a model: what a run measures, keeps and says."""

from __future__ import annotations

import csv
import importlib.util
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import pytest
from conftest import draw_collection, small_options

from tagger import bundle, training
from tagger.errors import DatasetError, ModelError, OptionError
from tagger.fine_tuning import Recipe
from tagger.places import ROOT
from tagger.training import Options, Trained

T = TypeVar("T")


def test_the_numbers_are_of_photos_it_did_not_train_on(trained: Trained) -> None:
    found = trained.metrics
    held_out = sum(found["photos"]["val"].values())
    assert found["validation"]["photos"] == held_out == 24
    assert sum(map(sum, found["validation"]["confusion"])) == held_out
    assert found["validation"]["accuracy"] >= 0.8
    assert found["unknown"]["measured_on"] == "labels left out in turn"
    assert set(found["unknown"]["by_kind"]) == {"disc", "square", "stripes"}


def test_few_validation_photos_are_helped_by_out_of_fold_ones(trained: Trained) -> None:
    card = bundle.load(trained.model).card
    assert card["rule_fitted_on"]["validation_photos"] == 24
    assert card["rule_fitted_on"]["out_of_fold_training_photos"] == 96


def test_a_run_keeps_its_settings_and_numbers(trained: Trained) -> None:
    kept = json.loads((trained.run / "metrics.json").read_text())
    assert kept == json.loads(json.dumps(trained.metrics))
    config = json.loads((trained.run / "config.json").read_text())
    assert (
        config["epochs"] == 1 and config["image_size"] == 96 and "tensorflow" in config["versions"]
    )
    assert sum(kept["seconds"].values()) > 0 and kept["peak_memory_mb"] > 100


def test_the_card_keeps_confusion_and_reliability_of_the_validation_photos(
    trained: Trained,
) -> None:
    judged = trained.metrics["validation"]
    kept = bundle.load(trained.model).card["scores"]["validation"]
    names = trained.metrics["labels"]
    table = [[kept["confusion"][row].get(column, 0) for column in names] for row in names]
    assert table == judged["confusion"]
    for when in ("before", "after"):
        assert kept[f"reliability_{when}"] == judged["calibration"][f"reliability_{when}"]


def test_the_command_on_the_card_makes_it_again(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = bundle.load(trained.model).card
    program, *arguments = shlex.split(card["command"])[1:]
    spec = importlib.util.spec_from_file_location("train", ROOT / program)
    assert spec is not None and spec.loader is not None
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    again = train.options(train.parse()).settings()
    assert again == card["settings"]


def test_the_curves_can_be_watched_while_it_learns(shapes: Path, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def watch(sentence: str) -> None:
        for history in (tmp_path / "runs").glob("*/history.csv"):
            with open(history, newline="") as file:
                seen.append([row["epoch"] for row in csv.DictReader(file)])

    options = small_options(shapes, tmp_path, recipe=Recipe(epochs=2))
    training.teach(options, say=watch)
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
            training.teach(small_options(shapes, tmp_path, weights=weights), progress)
    assert loops == [] and not list((tmp_path / "runs").iterdir())


def test_imbalance_does_not_silence_the_rare_label(shapes: Path, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 60, shapes=("disc",))
    draw_collection(tmp_path / "rare", 8, shapes=("stripes",))
    (tmp_path / "rare" / "stripes").rename(data / "stripes")
    options = small_options(data, tmp_path, recipe=Recipe(epochs=0))
    rows = training.teach(options).metrics["validation"]["by_label"]
    assert rows["stripes"]["recall"] >= 0.5


def test_a_failed_run_leaves_the_model_that_was_there(trained: Trained, tmp_path: Path) -> None:
    output = tmp_path / "shapes.h5"
    output.write_bytes(b"the one before")
    with pytest.raises(DatasetError):
        training.teach(small_options(tmp_path / "nowhere", tmp_path))
    assert output.read_bytes() == b"the one before"


def test_options_are_checked_when_built(tmp_path: Path) -> None:
    for changed in ({"backbone": "x"}, {"image_size": 33}, {"output": Path("m.keras")}):
        with pytest.raises(OptionError):
            Options(**changed)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no such folder"):
        Options(unrelated=tmp_path / "gone")
