"""An epoch's numbers, and where they are shown while they come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Epoch:
    """One row of the history; epoch 0 is the network as it came, where `loss` is None.

    `val_map` is the mean average precision where photos may have several labels.
    """

    epoch: int
    loss: float | None = None
    val_loss: float = 0.0
    val_accuracy: float = 0.0
    learning_rate: float = 0.0
    seconds: float = 0.0
    val_map: float | None = None


@contextmanager
def epoch_log(run: Path, tensorboard: bool) -> Iterator[Callable[[Epoch], None]]:
    """A logger of epochs for TensorBoard, where asked for."""
    if not tensorboard:
        yield lambda row: None
        return
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(run / "tensorboard"))

    def log(row: Epoch) -> None:
        with writer.as_default(step=row.epoch):
            for name, value in asdict(row).items():
                if name != "epoch" and value is not None:
                    tf.summary.scalar(name, value)
        writer.flush()

    try:
        yield log
    finally:
        writer.close()
