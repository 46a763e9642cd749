"""Checkpoints of fine-tuning: state.json and the weights, from which a run can be resumed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import ModelError, OptionError
from tagger.files import open_atomically, write_atomically
from tagger.training.run_folder import Epoch

if TYPE_CHECKING:
    import keras

STATE = "state.json"
VERSION = 2  # of the checkpoints; 1, which had no number, was of another training loop


@dataclass(frozen=True)
class FineTuning:
    """What metrics.json and the card record of fine-tuning.

    `stopped` says why it ended early: "no better" or "interrupted". The network that was kept is
    `blend` parts, in [0, 1], of epoch `kept_epoch` and the rest of the weights it began with.
    """

    epochs: int = 0
    kept_epoch: int = 0
    stopped: str | None = None
    blend: float = 1.0


@dataclass
class FineTuningState:
    """Progress of fine-tuning: a row an epoch, and why it ended early, as in `FineTuning`."""

    history: list[Epoch] = field(default_factory=list)
    stopped: str | None = None

    @property
    def epoch(self) -> int:
        """The last epoch that was finished; 0 before the first."""
        return self.history[-1].epoch if self.history else 0

    @property
    def best_epoch(self) -> int:
        """The first epoch of the lowest validation loss."""
        return min(self.history, key=lambda row: row.val_loss).epoch


def load_state(folder: Path) -> FineTuningState:
    """The state in a run folder, a fresh one where there is no checkpoint.

    Raises OptionError for a checkpoint of another VERSION.
    """
    try:
        saved = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return FineTuningState()
    if saved.get("version") != VERSION:
        raise OptionError(
            f"{folder} was begun by another version of this program, which alone can resume it;"
            " start anew without --resume (its files stay as they are)"
        )
    return FineTuningState([Epoch(**row) for row in saved["history"]], saved["stopped"])


def save_checkpoint(model: keras.Model, state: FineTuningState, folder: Path) -> None:
    """Save what resuming needs: arrays first, then the state that names them.

    A kill in between leaves the previous pair. The arrays are the weights, the states of random
    generators, and the optimizer's variables, among them the moving average of the weights. Of
    averaged weights those of the first, the best and the last epoch are kept.
    """
    arrays = (variable.numpy() for variable in _variables(model))
    _save_arrays(folder / f"checkpoint-{state.epoch}.npz", arrays)
    write_atomically(folder / STATE, json.dumps({"version": VERSION, **asdict(state)}, indent=2))
    keep = {f"average-{epoch}.npz" for epoch in (0, state.best_epoch, state.epoch)}
    keep.add(f"checkpoint-{state.epoch}.npz")
    for old in [*folder.glob("checkpoint-*.npz"), *folder.glob("average-*.npz")]:
        if old.name not in keep:
            old.unlink()


def restore_checkpoint(model: keras.Model, state: FineTuningState, folder: Path) -> None:
    """Restore model and optimizer as they were after the state's last epoch."""
    variables, arrays = _variables(model), _load_arrays(folder / f"checkpoint-{state.epoch}.npz")
    if len(variables) != len(arrays):
        raise ModelError(f"a checkpoint of {len(arrays)} arrays for {len(variables)} variables")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def save_average(model: keras.Model, epoch: int, folder: Path) -> None:
    """Save an epoch's averaged weights, one of which is kept at the end."""
    _save_arrays(folder / f"average-{epoch}.npz", model.get_weights())


def blend_weights(model: keras.Model, epoch: int, share: float, folder: Path) -> None:
    """Set the weights to `share` of the epoch's averaged ones and the rest of the first ones."""
    start, tuned = (_load_arrays(folder / f"average-{number}.npz") for number in (0, epoch))
    model.set_weights([(1 - share) * a + share * b for a, b in zip(start, tuned, strict=True)])


def delete_checkpoints(folder: Path) -> None:
    """Delete everything that only resuming needs."""
    for path in [*folder.glob("*.npz"), folder / STATE]:
        path.unlink(missing_ok=True)


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def _save_arrays(path: Path, arrays: Iterable[NDArray[Any]]) -> None:
    """Write an .npz file, one array at a time: all of them fill more memory than the network."""
    with open_atomically(path) as file, zipfile.ZipFile(file, "w") as archive:
        for index, array in enumerate(arrays):
            with archive.open(f"{index:05}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _load_arrays(path: Path) -> list[NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in sorted(file.files)]
