"""What moves the weights: AdamW for a network that comes with some, SGD for one without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tagger.training.config import Hyperparameters

if TYPE_CHECKING:
    import keras

WARM_UP_STEPS = 100  # at most; a tenth of all steps when those are fewer
AVERAGE_EPOCHS = 2  # the moving average of the weights spans about this many

# From nothing (Jordan 2024, arXiv:2404.00498, and Page, "How to train your ResNet", 2018)
WARM_UP_SHARE = 0.23  # of all steps
MOMENTUM = 0.85
FROM_SCRATCH_AVERAGE_EPOCHS = 0.7
BIAS_PACE = 64.0  # times the learning rate, for the biases of normalisation
HEAD_PACE = 0.05


def optimizer(recipe: Hyperparameters, photos: int) -> keras.Optimizer:
    """For that many training photos, with a moving average of the weights."""
    steps = recipe.steps_per_epoch(photos)
    return _sgd(recipe, photos, steps) if recipe.from_scratch else _adamw(recipe, steps)


def _adamw(recipe: Hyperparameters, steps: int) -> keras.Optimizer:
    """AdamW under a cosine schedule with warm-up."""
    import keras

    total = max(1, steps * recipe.epochs)
    warm_up = min(WARM_UP_STEPS, max(1, total // 10))
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10,
        max(1, total - warm_up),
        alpha=0.01,
        warmup_target=recipe.learning_rate,
        warmup_steps=warm_up,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=recipe.weight_decay,
        use_ema=True,
        ema_momentum=_momentum(AVERAGE_EPOCHS * steps),
    )


def _sgd(recipe: Hyperparameters, photos: int, steps: int) -> keras.Optimizer:
    """Nesterov's SGD, with a long warm-up, biases fast and the head slow."""
    import keras

    class Paced(keras.optimizers.SGD):  # type: ignore[misc]
        def apply(
            self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None
        ) -> None:
            variables = trainable_variables or self._trainable_variables
            pairs = zip(grads, variables, strict=True)
            super().apply([gradient * _pace(v.path) for gradient, v in pairs], trainable_variables)

    total = max(1, steps * recipe.epochs)
    rate, warm_up = recipe.peak_learning_rate(photos), max(1, round(WARM_UP_SHARE * total))
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 5, max(1, total - warm_up), warmup_target=rate, warmup_steps=warm_up, alpha=0.01
    )
    return Paced(
        schedule,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=recipe.weight_decay,
        use_ema=True,
        ema_momentum=_momentum(FROM_SCRATCH_AVERAGE_EPOCHS * steps),
    )


def _pace(path: str) -> float:
    """How fast a variable learns: times the learning rate."""
    layer, kind = path.split("/")[-2:]
    if layer == "head":
        return HEAD_PACE
    return BIAS_PACE if kind == "beta" else 1.0


def _momentum(steps: float) -> float:
    """Of a moving average that spans so many steps."""
    return max(0.5, 1 - 1 / steps)
