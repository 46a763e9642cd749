"""How a network is trained: the numbers, for one that comes with weights and for one without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from tagger.errors import OptionError
from tagger.models.networks import Precision


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; what it says by itself fine-tunes a pretrained one.

    `patience` is the number of epochs without a better validation loss before it stops.
    `precision` is that of convolutions while training. `from_nothing` is for a network without
    weights to start from: see `FROM_NOTHING`.
    """

    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.02
    patience: int = 5
    seed: int = 42
    precision: Precision = "float32"
    from_nothing: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or self.patience < 1:
            raise OptionError("epochs must be 0 or more; batch size and patience 1 or more")
        if self.from_nothing and not self.epochs:
            raise OptionError("0 epochs: a network that starts from nothing has to be trained")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed}: give 0 or more")
        if not 0 < self.learning_rate < 1 or not 0 <= self.weight_decay < 1:
            raise OptionError("the learning rate must lie in (0, 1), the weight decay in [0, 1)")
        if self.precision not in get_args(Precision):
            raise OptionError(f"precision {self.precision!r}: give float32 or bfloat16")

    def photos_a_step(self, photos: int) -> int:
        """The batch size for so many training photos: a few photos still make many steps."""
        if not self.from_nothing:
            return self.batch_size
        return min(self.batch_size, max(LEAST_A_STEP, photos // STEPS_AN_EPOCH), photos)

    def rate(self, photos: int) -> float:
        """The learning rate for batches of `photos_a_step`: so much a photo, whatever the batch."""
        return self.learning_rate * self.photos_a_step(photos) / self.batch_size

    def steps(self, photos: int) -> int:
        """Steps an epoch. From nothing, a batch that is not full is left to the next shuffle."""
        whole, rest = divmod(photos, self.photos_a_step(photos))
        return whole if self.from_nothing else whole + bool(rest)


LEAST_A_STEP = 16  # photos: batch normalisation needs some
STEPS_AN_EPOCH = 16  # wanted, before a batch is as large as it may be

# Jordan 2024, arXiv:2404.00498, from its rates for a batch of 1,024 with the gradients summed.
FROM_NOTHING = Recipe(
    epochs=16,
    batch_size=512,
    learning_rate=0.75,
    weight_decay=0.009,
    patience=16,
    from_nothing=True,
)
