"""Epochs, checkpoints, blends: equal seeds make equal networks, and the best weights are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, merge_tag_rows
from tagger.models.heads import UNSEEN_WEIGHT
from tagger.training import trainer
from tagger.training.config import Hyperparameters
from tagger.training.fine_tune import BLENDS, Photos, _batch, _tag_loss
from tagger.training.trainer import TrainingResult
from tests.conftest import outcome, small_options


def test_equal_seeds_make_equal_models(
    shapes: Path, trained: TrainingResult, tmp_path: Path
) -> None:
    again = trainer.train(small_options(shapes, tmp_path))
    assert outcome(again.model) == outcome(trained.model)
    other = trainer.train(
        small_options(shapes, tmp_path, hyperparameters=Hyperparameters(epochs=1, seed=7))
    )
    assert outcome(other.model)[0] != outcome(trained.model)[0]


def test_the_history_begins_with_the_head_alone(trained: TrainingResult) -> None:
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


# --- tags


@pytest.fixture
def tag_photos(tmp_path: Path) -> Iterator[Photos]:
    """Twelve plain photos, each of a shade of its own, with three tags of which some are unseen."""
    store = PixelStore(tmp_path / "p.u8", 32)
    samples = []
    for number in range(12):
        row = store.append(np.full((32, 32, 3), 20 * number, np.uint8))
        present = (number % 2, *((2,) if number % 3 == 0 else ()))
        unseen = (2,) if number % 3 == 1 else ()
        samples.append(Sample(Path(f"{number}"), present, "train", row, unseen=unseen))
    yield Photos(store, samples, samples, 3, "multi")
    store.close()


def test_a_mosaic_has_the_tags_of_all_its_photos(tag_photos: Photos) -> None:
    alone = tag_photos.known(tag_photos.train)
    mixed = 0
    for epoch in range(1, 20):
        pixels, known = _batch(tag_photos, Hyperparameters(seed=0), epoch, list(range(12)))
        assert pixels.shape == (12, 32, 32, 3) and known.shape == (12, 3)
        for row in range(12):
            if not np.array_equal(known[row], alone[row]):
                mixed += 1
                assert (known[row][alone[row] == 1] == 1).all()  # nothing that is there is lost
                assert (alone[row][known[row] == 0] == 0).all()  # absent is what none has
    assert mixed > 20


def test_together_is_present_in_any_and_absent_in_all() -> None:
    known = np.array([[1, 0, 0, -1, -1], [0, 0, -1, -1, 1]], np.int8)
    assert merge_tag_rows(known).tolist() == [1, 0, -1, -1, 1]


def test_in_the_loss_of_tags_cells_nobody_looked_at_count_a_little_as_absent() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6, 3)).astype(np.float32)
    known = rng.integers(-1, 2, (6, 3)).astype(np.int8)
    of_present, of_absent = np.array([1, 2, 3], np.float32), np.array([0.5, 1, 1.5], np.float32)
    weights = np.where(known == 1, of_present, of_absent)
    each = weights * np.logaddexp(0, np.where(known == 1, -logits, logits))
    each = np.where(known < 0, UNSEEN_WEIGHT * each, each)
    expected = each.sum() / (known >= 0).sum()
    found = _tag_loss(of_present, of_absent)(known, logits)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
