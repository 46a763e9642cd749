"""Training every convolution: the epochs, their checkpoints, and how to go on from one."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress, chunks, ordered_map, silent
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import PRESENT, UNSEEN, Sample, merge_tag_rows, tag_matrix
from tagger.errors import ModelError
from tagger.evaluation import metrics
from tagger.files import write_atomically
from tagger.labels import Kind
from tagger.models.heads import UNSEEN_WEIGHT, cell_weights, class_weights
from tagger.models.networks import compute_precision, recompute_statistics
from tagger.training.augmentation import MOSAIC_TILES, Augmentation, Nudge, mosaic
from tagger.training.config import Hyperparameters
from tagger.training.epochs import Epoch
from tagger.training.events import Emit, EpochStarted, ignore
from tagger.training.interrupts import TrainingInterrupted, interrupt_between_steps
from tagger.training.optimizers import optimizer

if TYPE_CHECKING:
    import keras

BLENDS = (0.25, 0.5, 0.75, 1.0)  # shares of the fine-tuned weights that are tried
MOSAICS = 0.3  # share of training photos, where photos may have several labels
FROM_SCRATCH_SMOOTHING = 0.2  # of the labels: Jordan 2024, arXiv:2404.00498
STATISTICS_BATCHES = 8  # that averaged weights take their normalisation from
START = "start.npz"


@dataclass
class State:
    """How far a run is.

    `stopped` says why it ended early: "no better" or "interrupted". The network that was kept is
    `blend` parts of epoch `kept_epoch` and the rest of what it came with.
    """

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str | None = None
    kept_epoch: int = 0
    blend: float = 1.0

    def summary(self) -> dict[str, Any]:
        """What `metrics.json` and the card keep of it."""
        epochs = max((row.epoch for row in self.history), default=0)
        return {
            "epochs": epochs,
            "kept_epoch": self.kept_epoch,
            "stopped": self.stopped,
            "blend": self.blend,
        }

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far."""
        return min((row.val_loss for row in self.history), default=float("inf"))


@dataclass(frozen=True)
class Photos:
    """Where the training and validation pixels are, and which labels they have."""

    store: PixelStore
    train: Sequence[Sample]
    validation: Sequence[Sample]
    label_count: int
    kind: Kind = "single"

    def known(self, samples: Sequence[Sample]) -> NDArray[Any]:
        """Label numbers `(N,)`, or cells `(N, C)` where photos may have several labels."""
        if self.kind == "multi":
            return tag_matrix(samples, self.label_count)
        return np.array([sample.label for sample in samples])

    def label_weights(self) -> NDArray[np.float32]:
        """`(C,)`, mean 1 over the training photos: a rare label counts as much as a common one."""
        counts = np.bincount([s.label for s in self.train], minlength=self.label_count)
        return (len(self.train) / (self.label_count * np.maximum(counts, 1))).astype(np.float32)


def fine_tune(
    network: keras.Model,
    photos: Photos,
    recipe: Hyperparameters,
    folder: Path,
    progress: Progress = silent,
    on_epoch: Callable[[Sequence[Epoch]], None] = lambda rows: None,
    emit: Emit = ignore,
) -> State:
    """Train `network` in place and leave it with the best weights found.

    Those are a blend of the weights it came with and the best fine-tuned ones, the share chosen
    by validation loss: the middle is more robust to photos from elsewhere than either end
    (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, arXiv:2109.01903). Where it
    came with none, they are the best alone.

    A checkpoint is kept in `folder` after every epoch, and `on_epoch` gets the rows so far; where
    one is there, training goes on from it and ends as it would have without the break.
    Ctrl-C ends it with the best weights so far, after the step or validation at hand; a second one
    raises KeyboardInterrupt.
    """
    _compile(network, photos, recipe)
    state = _restore(network, folder)
    if not state.history:
        state.history.append(_validated(network, photos, Epoch(0)))
        _save_arrays(folder / START, _values(network.variables))
        _save_arrays(folder / "average-0.npz", _values(network.variables))
        _checkpoint(network, state, folder)
        on_epoch(state.history)
    try:
        with interrupt_between_steps(progress) as interruptible:
            while state.stopped is None and state.history[-1].epoch < recipe.epochs:
                emit(EpochStarted(state.history[-1].epoch + 1, recipe.epochs))
                _one_epoch(network, photos, recipe, state, folder, interruptible)
                on_epoch(state.history)
    except TrainingInterrupted:
        state.stopped = "interrupted"
    _blend(network, photos, state, folder, (1.0,) if recipe.from_scratch else BLENDS)
    return state


def _blend(
    network: keras.Model, photos: Photos, state: State, folder: Path, shares: Sequence[float]
) -> None:
    """Leave the network with the blend whose validation loss is lowest, and say which in `state`.

    The last epoch is tried beside the best one: its learning rate has come to rest.
    """
    start = _load_arrays(folder / START)

    def mix(epoch: int, share: float) -> None:
        tuned = _load_arrays(folder / f"average-{epoch}.npz")
        pairs = zip(start, tuned, strict=True)
        _assign(network.variables, [(1 - share) * a + share * b for a, b in pairs])

    losses = {}
    for epoch in {state.best_epoch, state.history[-1].epoch}:
        for share in shares:
            mix(epoch, share)
            losses[epoch, share] = _validated(network, photos, Epoch(epoch)).val_loss
    state.kept_epoch, state.blend = min(losses, key=lambda choice: losses[choice])
    mix(state.kept_epoch, state.blend)


def _one_epoch(
    network: keras.Model,
    photos: Photos,
    recipe: Hyperparameters,
    state: State,
    folder: Path,
    progress: Progress,
) -> None:
    epoch = state.history[-1].epoch + 1
    began = time.monotonic()
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(photos.train)).tolist()
    steps = recipe.steps_per_epoch(len(order))
    batches = list(chunks(order, recipe.batch_size_for(len(order))))[:steps]
    losses = []
    made = ordered_map(lambda rows: _batch(photos, recipe, epoch, rows), batches, workers=1)
    weights = photos.label_weights() if photos.kind == "single" else None
    one_hot = np.eye(photos.label_count, dtype=np.float32)
    with compute_precision(recipe.precision, network):
        for pixels, known in progress(made, len(batches), f"Epoch {epoch}/{recipe.epochs}"):
            weighing = None if weights is None else weights[known]
            target = one_hot[known] if _is_smoothed(photos, recipe) else known
            losses.append(float(network.train_on_batch(pixels, target, sample_weight=weighing)))
    rate = float(network.optimizer.learning_rate)
    seconds = time.monotonic() - began
    row = Epoch(epoch, float(np.mean(losses)), learning_rate=rate, seconds=seconds)

    raw = _values(network.variables)
    network.optimizer.finalize_variable_values(network.trainable_variables)  # the moving average
    if recipe.from_scratch:
        seen = ([photos.train[row].row for row in rows] for rows in batches[:STATISTICS_BATCHES])
        recompute_statistics(network, (list(photos.store.rows(rows)) for rows in seen))
    row = _validated(network, photos, row)
    _save_arrays(folder / f"average-{epoch}.npz", _values(network.variables))
    if row.val_loss < state.best_loss:
        state.best_epoch = epoch
    _assign(network.variables, raw)
    state.history.append(row)
    if epoch - state.best_epoch >= recipe.patience and epoch < recipe.epochs:
        state.stopped = "no better"
    _checkpoint(network, state, folder)


def _batch(
    photos: Photos, recipe: Hyperparameters, epoch: int, rows: list[int]
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Variants of those training photos, some of them several photos in one where tags allow it."""
    pixels: list[NDArray[np.uint8]] = []
    known = photos.known([photos.train[row] for row in rows])
    for place, row in enumerate(rows):
        rng = np.random.default_rng([recipe.seed, epoch, row])
        tiles = [row]
        if photos.kind == "multi" and rng.random() < MOSAICS:
            tiles += rng.integers(0, len(photos.train), rng.choice([1, MOSAIC_TILES - 1])).tolist()
        variants = [_variant(photos, recipe, epoch, tile, rng) for tile in tiles]
        if len(tiles) > 1:
            known[place] = merge_tag_rows(photos.known([photos.train[tile] for tile in tiles]))
            variants = [mosaic(variants, rng)]
        pixels += variants
    return np.stack(pixels), known


def _variant(
    photos: Photos, recipe: Hyperparameters, epoch: int, row: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """What that epoch sees of the training photo of that number."""
    pixels = photos.store[photos.train[row].row]
    if not recipe.from_scratch:
        return Augmentation()(pixels, rng)
    first = np.random.default_rng([recipe.seed, row]).random() < 0.5
    return Nudge()(pixels, rng, mirrored=first == bool(epoch % 2))


def _is_smoothed(photos: Photos, recipe: Hyperparameters) -> bool:
    return recipe.from_scratch and photos.kind == "single"


def _compile(network: keras.Model, photos: Photos, recipe: Hyperparameters) -> None:
    import keras

    chosen = optimizer(recipe, len(photos.train))
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if photos.kind == "multi":
        loss = _tag_loss(*class_weights(photos.known(photos.train)))
    elif _is_smoothed(photos, recipe):
        # It keeps a network that learns its photos by heart from becoming ever surer of them
        # (Szegedy et al. 2015, arXiv:1512.00567).
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=FROM_SCRATCH_SMOOTHING
        )
    # XLA on a CPU takes minutes to compile this network and 5 GB, and is no faster afterwards.
    network.compile(chosen, loss, jit_compile=False)
    chosen.build(network.trainable_variables)


def _tag_loss(of_present: NDArray[np.float32], of_absent: NDArray[np.float32]) -> Any:
    """Binary cross-entropy, weighted as `heads.cell_weights` has it, as Keras calls it."""
    from keras import ops

    def loss(known: Any, logits: Any) -> Any:
        known = ops.cast(known, "float32")
        weights = ops.where(known > 0, of_present, of_absent)
        weights = ops.where(known < 0, UNSEEN_WEIGHT * weights, weights)
        each = weights * ops.softplus(ops.where(known > 0, -logits, logits))
        return ops.sum(each) / ops.maximum(ops.sum(ops.cast(known >= 0, "float32")), 1.0)

    return loss


def _validated(network: keras.Model, photos: Photos, row: Epoch) -> Epoch:
    logits = np.concatenate(
        [
            np.asarray(network.predict_on_batch(np.stack(list(pixels))))
            for pixels in chunks(photos.store.rows(s.row for s in photos.validation), 50)
        ]
    )
    known = photos.known(photos.validation)
    if photos.kind == "multi":
        weights = cell_weights(known, *class_weights(photos.known(photos.train)))
        margins = np.where(known == PRESENT, logits, -logits).astype(np.float64)
        looked = max(1, int((known != UNSEEN).sum()))
        row.val_loss = float((weights * np.logaddexp(0, -margins)).sum() / looked)
        row.val_accuracy = metrics.cell_accuracy(logits > 0, known)
        row.val_map = metrics.mean_average_precision(logits, known)
        return row
    row.val_loss = metrics.log_loss(logits, known)
    row.val_accuracy = float((logits.argmax(axis=1) == known).mean())
    return row


def _checkpoint(network: keras.Model, state: State, folder: Path) -> None:
    """Arrays first, then the state that names them: a kill in between leaves the older pair."""
    epoch = state.history[-1].epoch
    variables = [*network.variables, *network.optimizer.variables]
    _save_arrays(folder / f"checkpoint-{epoch}.npz", _values(variables))
    write_atomically(folder / "state.json", json.dumps(asdict(state), indent=2))
    keep = {f"checkpoint-{epoch}.npz"}
    keep |= {f"average-{kept}.npz" for kept in (epoch, state.best_epoch)}
    for old in [*folder.glob("checkpoint-*.npz"), *folder.glob("average-*.npz")]:
        if old.name not in keep:
            old.unlink()


def _restore(network: keras.Model, folder: Path) -> State:
    try:
        found = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State()
    history = [Epoch(**row) for row in found["history"]]
    state = State(history, found["best_epoch"], found["stopped"])
    variables = [*network.variables, *network.optimizer.variables]
    _assign(variables, _load_arrays(folder / f"checkpoint-{history[-1].epoch}.npz"))
    return state


def _values(variables: Sequence[keras.Variable]) -> list[NDArray[Any]]:
    return [variable.numpy().copy() for variable in variables]


def _assign(variables: Sequence[keras.Variable], values: Sequence[NDArray[Any]]) -> None:
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
