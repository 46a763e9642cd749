"""From folders to a model: what a run measures, keeps and says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import draw_collection, small_options

from tagger import bundle, training
from tagger.errors import DatasetError, OptionError
from tagger.fine_tuning import Recipe
from tagger.training import Options, Trained


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
