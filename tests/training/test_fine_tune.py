"""Fine-tuning: equal seeds give equal models, epoch 0 is the head alone, and the loss of tags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.models.heads import UNSEEN_WEIGHT
from tagger.training import trainer
from tagger.training.config import Hyperparameters
from tagger.training.fine_tune import BLENDS, _tag_loss
from tagger.training.trainer import TrainingResult
from tests.conftest import tiny_config, trained_state

pytestmark = pytest.mark.training


def test_equal_seeds_give_equal_models(
    shapes: Path, trained: TrainingResult, tmp_path: Path
) -> None:
    again = trainer.train(tiny_config(shapes, tmp_path))
    assert trained_state(again.model) == trained_state(trained.model)
    hyperparameters = Hyperparameters(epochs=1, seed=7)
    other = trainer.train(tiny_config(shapes, tmp_path, hyperparameters=hyperparameters))
    assert trained_state(other.model)[0] != trained_state(trained.model)[0]


def test_the_history_begins_with_the_head_alone(trained: TrainingResult) -> None:
    assert [row.epoch for row in trained.history] == [0, 1]
    assert trained.history[0].loss is None
    loss = trained.history[1].loss
    assert loss is not None and np.isfinite(loss)
    assert trained.evaluation.fine_tuning.blend in BLENDS


def test_cells_without_annotation_count_a_little_as_absent_in_the_loss_of_tags() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6, 3)).astype(np.float32)
    cells = rng.integers(-1, 2, (6, 3)).astype(np.int8)
    present, absent = np.array([1, 2, 3], np.float32), np.array([0.5, 1, 1.5], np.float32)
    weights = np.where(cells == 1, present, absent)
    terms = weights * np.logaddexp(0, np.where(cells == 1, -logits, logits))
    terms = np.where(cells < 0, UNSEEN_WEIGHT * terms, terms)
    expected = terms.sum() / (cells >= 0).sum()
    loss = _tag_loss(present, absent)(cells, logits)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
