"""Learning rate schedules, and the learning rates of single layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tagger.models import networks
from tagger.training.config import FROM_SCRATCH, Hyperparameters
from tagger.training.optimizers import build_optimizer

pytestmark = pytest.mark.training


def learning_rates(hyperparameters: Hyperparameters, photos: int) -> np.ndarray:
    """The learning rate at each step."""
    schedule = build_optimizer(hyperparameters, photos)._learning_rate
    steps = hyperparameters.steps_per_epoch(photos) * hyperparameters.epochs
    return np.array([float(schedule(step)) for step in range(steps)])


@pytest.mark.parametrize(
    ("hyperparameters", "warm_up"), [(Hyperparameters(epochs=2), 0.1), (FROM_SCRATCH, 0.23)]
)
def test_the_learning_rate_rises_and_then_falls_to_near_zero(
    hyperparameters: Hyperparameters, warm_up: float
) -> None:
    rates = learning_rates(hyperparameters, 3_200)
    assert rates.max() == pytest.approx(hyperparameters.peak_learning_rate(3_200), rel=0.01)
    assert rates.argmax() / len(rates) == pytest.approx(warm_up, abs=0.02)
    assert rates[-1] < 0.05 * rates.max()
    assert np.all(np.diff(rates[: rates.argmax()]) > 0)
    assert np.all(np.diff(rates[rates.argmax() :]) < 0)


def test_from_scratch_normalisation_learns_fast_and_the_head_slowly() -> None:
    """Measured by how far equal gradients move the variables in one step."""
    network = networks.build("small_cnn", 16, 3, train_normalisation=True)
    optimizer = build_optimizer(FROM_SCRATCH, 1_000)
    optimizer.weight_decay = None
    variables = network.trainable_variables
    before = [variable.numpy() for variable in variables]
    optimizer.apply([keras.ops.full(v.shape, 1e-3) for v in variables], variables)
    moved = {
        variable.path: float(np.abs(variable.numpy() - was).max())
        for variable, was in zip(variables, before, strict=True)
    }
    plain = moved["block1a_convolution/kernel"]
    assert moved["block1a_normalisation/beta"] == pytest.approx(64 * plain, rel=0.01)
    assert moved["whitening/bias"] == pytest.approx(plain, rel=0.01)
    assert moved["head/kernel"] == pytest.approx(0.05 * plain, rel=0.01)
    assert moved["head/bias"] == pytest.approx(0.05 * plain, rel=0.01)
