"""What moves the weights: schedules, and who moves faster than whom."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tagger.models import networks
from tagger.training import optimizers
from tagger.training.config import FROM_SCRATCH, Hyperparameters


def rates(recipe: Hyperparameters, photos: int) -> np.ndarray:
    """The learning rate at each step."""
    schedule = optimizers.optimizer(recipe, photos)._learning_rate
    steps = np.arange(recipe.steps_per_epoch(photos) * recipe.epochs)
    return np.array([float(schedule(int(step))) for step in steps])


@pytest.mark.parametrize(
    ("recipe", "warm_up"), [(Hyperparameters(epochs=2), 0.1), (FROM_SCRATCH, 0.23)]
)
def test_the_rate_rises_and_comes_to_rest(recipe: Hyperparameters, warm_up: float) -> None:
    found = rates(recipe, 3_200)
    assert found.max() == pytest.approx(recipe.peak_learning_rate(3_200), rel=0.01)
    assert found.argmax() / len(found) == pytest.approx(warm_up, abs=0.02)
    assert found[-1] < 0.05 * found.max()
    assert np.all(np.diff(found[: found.argmax()]) > 0)
    assert np.all(np.diff(found[found.argmax() :]) < 0)


def test_from_nothing_normalisation_is_fast_and_the_head_is_slow() -> None:
    """By how far equal gradients move them in one step."""
    network = networks.build("small_cnn", 16, 3, train_normalisation=True)
    optimizer = optimizers.optimizer(FROM_SCRATCH, 1_000)
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
