"""Optimizers: AdamW for pretrained weights, SGD from scratch; both average the weights.

Importing this module imports Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tagger.training.config import Hyperparameters

WARM_UP_STEPS = 100  # at most; a tenth of all steps when those are fewer
AVERAGE_EPOCHS = 2  # the moving average of the weights spans about this many

# From scratch (Jordan 2024, arXiv:2404.00498, and Page, "How to train your ResNet", 2018)
WARM_UP_SHARE = 0.23  # of all steps
MOMENTUM = 0.85
FROM_SCRATCH_AVERAGE_EPOCHS = 0.7
BIAS_RATE = 64.0  # times the learning rate, for the biases of normalisation
HEAD_RATE = 0.05


def build_optimizer(hyperparameters: Hyperparameters, photos: int) -> keras.Optimizer:
    """The optimizer with its learning rate schedule, which depends on the number of photos.

    The schedule is a cosine with warm-up; the moving average of the weights is the optimizer's.
    """
    from_scratch = hyperparameters.from_scratch
    steps = hyperparameters.steps_per_epoch(photos)
    total = max(1, steps * hyperparameters.epochs)
    rate = hyperparameters.peak_learning_rate(photos)
    warm_up = max(
        1, round(WARM_UP_SHARE * total) if from_scratch else min(WARM_UP_STEPS, total // 10)
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / (5 if from_scratch else 10),
        max(1, total - warm_up),
        alpha=0.01,
        warmup_target=rate,
        warmup_steps=warm_up,
    )
    averaged = steps * (FROM_SCRATCH_AVERAGE_EPOCHS if from_scratch else AVERAGE_EPOCHS)
    options = {
        "weight_decay": hyperparameters.weight_decay,
        "use_ema": True,
        "ema_momentum": max(0.5, 1 - 1 / averaged),
    }
    if from_scratch:
        return LayerwiseSGD(schedule, momentum=MOMENTUM, nesterov=True, **options)
    return keras.optimizers.AdamW(schedule, **options)


class LayerwiseSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """SGD with learning rates of their own for the head and the biases of normalisation."""

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None
    ) -> None:
        variables = trainable_variables or self._trainable_variables
        pairs = zip(grads, variables, strict=True)
        scaled = [gradient * _rate_factor(variable.path) for gradient, variable in pairs]
        super().apply(scaled, trainable_variables)


def _rate_factor(path: str) -> float:
    """A variable's learning rate, as a multiple of the optimizer's."""
    layer, kind = path.split("/")[-2:]
    if layer == "head":
        return HEAD_RATE
    return BIAS_RATE if kind == "beta" else 1.0
