"""Checkpoints of fine-tuning: state.json and the weights, from which a run can be resumed."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import ModelError
from tagger.files import write_atomically
from tagger.training.run_folder import Epoch

if TYPE_CHECKING:
    import keras

STATE = "state.json"
_START = "start.npz"


@dataclass(frozen=True)
class FineTuning:
    """What metrics.json and the card record of fine-tuning; see `FineTuningState`."""

    epochs: int
    kept_epoch: int
    stopped: str | None
    blend: float


@dataclass
class FineTuningState:
    """Progress of fine-tuning.

    `stopped` says why it ended early: "no better" or "interrupted". The network that was kept is
    `blend` parts, in [0, 1], of epoch `kept_epoch` and the rest of the weights it began with.
    """

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str | None = None
    kept_epoch: int = 0
    blend: float = 1.0

    def summary(self) -> FineTuning:
        """The part that metrics.json records."""
        epochs = max((row.epoch for row in self.history), default=0)
        return FineTuning(epochs, self.kept_epoch, self.stopped, self.blend)

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far."""
        return min((row.val_loss for row in self.history), default=float("inf"))


def save_start(network: keras.Model, folder: Path) -> None:
    """Save the weights before the first epoch."""
    _save_arrays(folder / _START, variable_values(network.variables))
    save_average(network, 0, folder)


def save_average(network: keras.Model, epoch: int, folder: Path) -> None:
    """Save an epoch's averaged weights, one of which is kept at the end."""
    _save_arrays(folder / f"average-{epoch}.npz", variable_values(network.variables))


def blend_weights(network: keras.Model, epoch: int, share: float, folder: Path) -> None:
    """Set the weights to `share` of the epoch's averaged ones and the rest of the first ones."""
    start, tuned = _load_arrays(folder / _START), _load_arrays(folder / f"average-{epoch}.npz")
    pairs = zip(start, tuned, strict=True)
    assign_values(network.variables, [(1 - share) * a + share * b for a, b in pairs])


def save_checkpoint(network: keras.Model, state: FineTuningState, folder: Path) -> None:
    """Save what resuming needs: arrays first, then the state that names them.

    A kill in between leaves the previous pair.
    """
    epoch = state.history[-1].epoch
    variables = [*network.variables, *network.optimizer.variables]
    _save_arrays(folder / f"checkpoint-{epoch}.npz", variable_values(variables))
    write_atomically(folder / STATE, json.dumps(asdict(state), indent=2))
    keep = {f"checkpoint-{epoch}.npz"}
    keep |= {f"average-{kept}.npz" for kept in (epoch, state.best_epoch)}
    for old in [*folder.glob("checkpoint-*.npz"), *folder.glob("average-*.npz")]:
        if old.name not in keep:
            old.unlink()


def restore_checkpoint(network: keras.Model, folder: Path) -> FineTuningState:
    """Restore network and optimizer; a fresh state where there is no checkpoint."""
    try:
        saved = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return FineTuningState()
    history = [Epoch(**row) for row in saved["history"]]
    variables = [*network.variables, *network.optimizer.variables]
    assign_values(variables, _load_arrays(folder / f"checkpoint-{history[-1].epoch}.npz"))
    return FineTuningState(history, saved["best_epoch"], saved["stopped"])


def delete_checkpoints(folder: Path) -> None:
    """Delete everything that only resuming needs."""
    for path in [*folder.glob("*.npz"), folder / STATE]:
        path.unlink(missing_ok=True)


def variable_values(variables: Sequence[keras.Variable]) -> list[NDArray[Any]]:
    """Copies of the variables' arrays."""
    return [variable.numpy().copy() for variable in variables]


def assign_values(variables: Sequence[keras.Variable], values: Sequence[NDArray[Any]]) -> None:
    """Set the variables. Raises ModelError where there are not as many values."""
    if len(variables) != len(values):
        raise ModelError(f"a checkpoint of {len(values)} arrays for {len(variables)} variables")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _save_arrays(path: Path, values: Sequence[NDArray[Any]]) -> None:
    named: dict[str, Any] = {f"{index:05}": value for index, value in enumerate(values)}
    out = io.BytesIO()
    np.savez(out, **named)
    write_atomically(path, out.getvalue())


def _load_arrays(path: Path) -> list[NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in sorted(file.files)]
