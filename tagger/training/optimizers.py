"""Optimizers: AdamW for pretrained weights, SGD from scratch; both average the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tagger.training.config import Hyperparameters

if TYPE_CHECKING:
    import keras

WARM_UP_STEPS = 100  # at most; a tenth of all steps when those are fewer
AVERAGE_EPOCHS = 2  # the moving average of the weights spans about this many

# From scratch (Jordan 2024, arXiv:2404.00498, and Page, "How to train your ResNet", 2018)
WARM_UP_SHARE = 0.23  # of all steps
MOMENTUM = 0.85
FROM_SCRATCH_AVERAGE_EPOCHS = 0.7
BIAS_RATE = 64.0  # times the learning rate, for the biases of normalisation
HEAD_RATE = 0.05


def build_optimizer(hyperparameters: Hyperparameters, photos: int) -> keras.Optimizer:
    """The optimizer with its learning rate schedule, which depends on the number of photos."""
    build = _build_sgd if hyperparameters.from_scratch else _build_adamw
    return build(hyperparameters, photos)


def _build_adamw(hyperparameters: Hyperparameters, photos: int) -> keras.Optimizer:
    """AdamW under a cosine schedule with warm-up."""
    import keras

    steps = hyperparameters.steps_per_epoch(photos)
    total = max(1, steps * hyperparameters.epochs)
    warm_up = min(WARM_UP_STEPS, max(1, total // 10))
    schedule = keras.optimizers.schedules.CosineDecay(
        hyperparameters.learning_rate / 10,
        max(1, total - warm_up),
        alpha=0.01,
        warmup_target=hyperparameters.learning_rate,
        warmup_steps=warm_up,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=hyperparameters.weight_decay,
        use_ema=True,
        ema_momentum=_ema_momentum(AVERAGE_EPOCHS * steps),
    )


def _build_sgd(hyperparameters: Hyperparameters, photos: int) -> keras.Optimizer:
    """Nesterov SGD with a long warm-up, and its own learning rates for biases and the head."""
    import keras

    class LayerwiseSGD(keras.optimizers.SGD):  # type: ignore[misc]
        def apply(
            self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None
        ) -> None:
            variables = trainable_variables or self._trainable_variables
            pairs = zip(grads, variables, strict=True)
            scaled = [gradient * _rate_factor(variable.path) for gradient, variable in pairs]
            super().apply(scaled, trainable_variables)

    steps = hyperparameters.steps_per_epoch(photos)
    total = max(1, steps * hyperparameters.epochs)
    rate = hyperparameters.peak_learning_rate(photos)
    warm_up = max(1, round(WARM_UP_SHARE * total))
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 5, max(1, total - warm_up), warmup_target=rate, warmup_steps=warm_up, alpha=0.01
    )
    return LayerwiseSGD(
        schedule,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=hyperparameters.weight_decay,
        use_ema=True,
        ema_momentum=_ema_momentum(FROM_SCRATCH_AVERAGE_EPOCHS * steps),
    )


def _rate_factor(path: str) -> float:
    """A variable's learning rate, as a multiple of the optimizer's."""
    layer, kind = path.split("/")[-2:]
    if layer == "head":
        return HEAD_RATE
    return BIAS_RATE if kind == "beta" else 1.0


def _ema_momentum(steps: float) -> float:
    """Momentum of a moving average over about so many steps."""
    return max(0.5, 1 - 1 / steps)
