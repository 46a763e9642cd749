"""Epochs, checkpoints, blends: equal seeds make equal networks, and the best weights are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import outcome, small_options

from tagger import training
from tagger.errors import OptionError
from tagger.fine_tuning import BLENDS, Photos, Recipe
from tagger.pixels import PixelStore
from tagger.splits import Sample
from tagger.training import Trained


@pytest.mark.parametrize(
    "changed",
    [{"epochs": -1}, {"batch_size": 0}, {"patience": 0}, {"learning_rate": 0.0}, {"seed": -1}],
)
def test_a_recipe_nobody_can_follow_is_refused(changed: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        Recipe(**changed)  # type: ignore[arg-type]


def test_equal_seeds_make_equal_models(shapes: Path, trained: Trained, tmp_path: Path) -> None:
    again = training.teach(small_options(shapes, tmp_path))
    assert outcome(again.model) == outcome(trained.model)
    other = training.teach(small_options(shapes, tmp_path, recipe=Recipe(epochs=1, seed=7)))
    assert outcome(other.model)[0] != outcome(trained.model)[0]


def test_the_history_begins_with_the_head_alone(trained: Trained) -> None:
    assert [row.epoch for row in trained.history] == [0, 1]
    assert trained.history[0].loss is None
    loss = trained.history[1].loss
    assert loss is not None and np.isfinite(loss)
    assert trained.metrics["fine_tuning"]["blend"] in BLENDS


def test_a_rare_label_weighs_as_much_as_a_common_one(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "p.u8", 32)
    train = [Sample(Path("x"), (label,), "train") for label in [0] * 90 + [1] * 10]
    weights = Photos(store, train, [], 2).label_weights()
    assert weights[0] * 90 == pytest.approx(weights[1] * 10)
    assert np.mean([weights[sample.label] for sample in train]) == pytest.approx(1)
    store.close()
