"""Checkpoints of fine-tuning: state.json and the weights, from which a run can be resumed."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.files import open_atomically, write_atomically
from tagger.training.run_folder import Epoch

if TYPE_CHECKING:
    import keras

STATE = "state.json"
_READ_ERRORS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
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

    Raises OptionError for a checkpoint of another VERSION, and for one that is damaged or whose
    arrays are: it would be noticed hours later.
    """
    path = folder / STATE
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        version = saved.get("version")
        if version == VERSION:
            history, stopped = [Epoch(**row) for row in saved["history"]], saved["stopped"]
            if not isinstance(saved["history"], list):
                raise TypeError("its history is no list")
    except FileNotFoundError:
        return FineTuningState()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from None
    if version != VERSION:
        raise OptionError(
            f"{folder} was begun by another version of this program, which alone can resume it;"
            " start anew without --resume (its files stay as they are)"
        )
    if not _is_history(history) or not isinstance(stopped, str | None):
        raise _damaged(path, "it has other values than a training writes")
    state = FineTuningState(history, stopped)
    if history:
        names = [f"checkpoint-{state.epoch}", *map(_average_name, _averages_kept(state))]
        for name in names:
            _check_arrays(folder / f"{name}.npz")
    return state


def _is_history(history: Sequence[Epoch]) -> bool:
    """Whether the rows are of epochs one after the other, with the numbers they need."""
    values = [value for row in history for value in asdict(row).values() if value is not None]
    return (
        all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        and all(isinstance(row.val_loss, int | float) for row in history)
        and [row.epoch for row in history] == list(range(len(history)))
    )


def _check_arrays(path: Path) -> None:
    """Raise OptionError unless the file is there and whole."""
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except _READ_ERRORS as error:
        raise _damaged(path, error) from None
    if damaged is not None:
        raise _damaged(path, f"its part {damaged} has another checksum")


def _damaged(path: Path, problem: object) -> OptionError:
    return OptionError(
        f"{path}: damaged or missing, so the run cannot be resumed ({problem}); start anew without"
        " --resume (its files stay as they are)"
    )


def save_checkpoint(model: keras.Model, state: FineTuningState, folder: Path) -> None:
    """Save what resuming needs: arrays first, then the state that names them.

    A kill in between leaves the previous pair. The arrays are the weights, the states of random
    generators, and the optimizer's variables, among them the moving average of the weights. Of
    averaged weights those of the first, the best and the last epoch are kept.
    """
    arrays = (variable.numpy() for variable in _variables(model))
    _save_arrays(folder / f"checkpoint-{state.epoch}.npz", arrays)
    write_atomically(folder / STATE, json.dumps({"version": VERSION, **asdict(state)}, indent=2))
    keep = {f"{_average_name(epoch)}.npz" for epoch in _averages_kept(state)}
    keep.add(f"checkpoint-{state.epoch}.npz")
    for old in [*folder.glob("checkpoint-*.npz"), *folder.glob("average-*.npz")]:
        if old.name not in keep:
            old.unlink()


def restore_checkpoint(model: keras.Model, state: FineTuningState, folder: Path) -> None:
    """Restore model and optimizer as they were after the state's last epoch.

    Raises OptionError for arrays that are damaged, or of another network.
    """
    path, variables = folder / f"checkpoint-{state.epoch}.npz", _variables(model)
    arrays = _load_arrays(path)
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
        raise _damaged(path, "its arrays are not those of this network")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def save_average(model: keras.Model, epoch: int, folder: Path) -> None:
    """Save an epoch's averaged weights, one of which is kept at the end."""
    _save_arrays(folder / f"{_average_name(epoch)}.npz", model.get_weights())


def blend_weights(model: keras.Model, epoch: int, share: float, folder: Path) -> None:
    """Set the weights to `share` of the epoch's averaged ones and the rest of the first ones.

    Raises OptionError for arrays that are damaged, or of another network.
    """
    shapes = [array.shape for array in model.get_weights()]
    averages = []
    for number in (0, epoch):
        path = folder / f"{_average_name(number)}.npz"
        averages.append(_load_arrays(path))
        if [array.shape for array in averages[-1]] != shapes:
            raise _damaged(path, "its arrays are not those of this network")
    model.set_weights([(1 - share) * a + share * b for a, b in zip(*averages, strict=True)])


def _average_name(epoch: int) -> str:
    return f"average-{epoch}"


def _averages_kept(state: FineTuningState) -> set[int]:
    """The epochs whose averaged weights may be needed: the first, the best and the last."""
    return {0, state.best_epoch, state.epoch}


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
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in sorted(file.files)]
    except _READ_ERRORS as error:
        raise _damaged(path, error) from None
