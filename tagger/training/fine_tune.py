"""Fine-tuning of every layer: epochs, validation, early stopping, and the choice of weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress, chunks, ordered_map, silent
from tagger.datasets.sample import PRESENT, UNSEEN
from tagger.evaluation import metrics
from tagger.models.heads import UNSEEN_WEIGHT, cell_weights, class_weights
from tagger.models.networks import compute_precision, recompute_statistics
from tagger.training import checkpoints
from tagger.training.batches import TrainingPhotos
from tagger.training.checkpoints import FineTuningState
from tagger.training.config import Hyperparameters
from tagger.training.events import Emit, EpochStarted, ignore
from tagger.training.interrupts import TrainingInterrupted, interrupt_between_steps
from tagger.training.optimizers import build_optimizer
from tagger.training.run_folder import Epoch

if TYPE_CHECKING:
    import keras

BLENDS = (0.25, 0.5, 0.75, 1.0)  # shares of the fine-tuned weights that are tried
FROM_SCRATCH_SMOOTHING = 0.2  # of the labels: Jordan 2024, arXiv:2404.00498
STATISTICS_BATCHES = 8  # on which normalisation is recomputed for averaged weights
VALIDATION_BATCH = 50


def fine_tune(
    network: keras.Model,
    photos: TrainingPhotos,
    hyperparameters: Hyperparameters,
    folder: Path,
    progress: Progress = silent,
    on_epoch: Callable[[Sequence[Epoch]], None] = lambda history: None,
    emit: Emit = ignore,
) -> FineTuningState:
    """Train `network` in place and leave it with the best weights.

    Those are a blend of its first weights and the best fine-tuned ones, its share chosen by
    validation loss: blends are more robust to photos of other collections than either end
    (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, arXiv:2109.01903). From
    scratch they are the best fine-tuned ones.

    A checkpoint is kept in `folder` after every epoch, and `on_epoch` gets the history so far.
    From a checkpoint, training resumes and ends with the same weights as without the break.
    Ctrl-C ends it with the best weights so far, after the current step or validation; a second one
    raises KeyboardInterrupt.
    """
    _compile(network, photos, hyperparameters)
    state = checkpoints.restore_checkpoint(network, folder)
    try:
        with interrupt_between_steps(progress) as interruptible:
            if not state.history:
                state.history.append(_validate(network, photos, Epoch(0)))
                checkpoints.save_start(network, folder)
                checkpoints.save_checkpoint(network, state, folder)
                on_epoch(state.history)
            while state.stopped is None and state.history[-1].epoch < hyperparameters.epochs:
                emit(EpochStarted(state.history[-1].epoch + 1, hyperparameters.epochs))
                _train_epoch(network, photos, hyperparameters, state, folder, interruptible)
                on_epoch(state.history)
    except TrainingInterrupted:
        state.stopped = "interrupted"
    blends = (1.0,) if hyperparameters.from_scratch else BLENDS
    _choose_blend(network, photos, state, folder, blends)
    return state


def _choose_blend(
    network: keras.Model,
    photos: TrainingPhotos,
    state: FineTuningState,
    folder: Path,
    blends: Sequence[float],
) -> None:
    """Set the weights to the blend of the lowest validation loss, and record it in `state`.

    The last epoch is tried beside the best one: its learning rate has come to rest.
    """
    losses = {}
    for epoch in {state.best_epoch, state.history[-1].epoch}:
        for blend in blends:
            checkpoints.blend_weights(network, epoch, blend, folder)
            losses[epoch, blend] = _validate(network, photos, Epoch(epoch)).val_loss
    state.kept_epoch, state.blend = min(losses, key=lambda choice: losses[choice])
    checkpoints.blend_weights(network, state.kept_epoch, state.blend, folder)


def _train_epoch(
    network: keras.Model,
    photos: TrainingPhotos,
    hyperparameters: Hyperparameters,
    state: FineTuningState,
    folder: Path,
    progress: Progress,
) -> None:
    """Train one epoch, validate the averaged weights, and save a checkpoint."""
    epoch = state.history[-1].epoch + 1
    start = time.monotonic()
    rng = np.random.default_rng([hyperparameters.seed, epoch])
    order = rng.permutation(len(photos.train)).tolist()
    steps = hyperparameters.steps_per_epoch(len(order))
    batches = list(chunks(order, hyperparameters.batch_size_for(len(order))))[:steps]
    prepared = ordered_map(
        lambda rows: photos.batch(hyperparameters, epoch, rows), batches, workers=1
    )
    weights = photos.label_weights() if photos.labels.kind == "single" else None
    one_hot = np.eye(len(photos.labels), dtype=np.float32)
    losses = []
    with compute_precision(hyperparameters.precision, network):
        stage = f"Epoch {epoch}/{hyperparameters.epochs}"
        for pixels, labels in progress(prepared, len(batches), stage):
            sample_weight = None if weights is None else weights[labels]
            target = one_hot[labels] if _is_smoothed(photos, hyperparameters) else labels
            loss = network.train_on_batch(pixels, target, sample_weight=sample_weight)
            losses.append(float(loss))
    rate = float(network.optimizer.learning_rate)
    seconds = time.monotonic() - start
    row = Epoch(epoch, float(np.mean(losses)), learning_rate=rate, seconds=seconds)

    raw_weights = checkpoints.variable_values(network.variables)
    network.optimizer.finalize_variable_values(network.trainable_variables)  # the moving average
    if hyperparameters.from_scratch:
        samples = ([photos.train[row].row for row in rows] for rows in batches[:STATISTICS_BATCHES])
        recompute_statistics(network, (list(photos.store.rows(rows)) for rows in samples))
    row = _validate(network, photos, row)
    checkpoints.save_average(network, epoch, folder)
    if row.val_loss < state.best_loss:
        state.best_epoch = epoch
    checkpoints.assign_values(network.variables, raw_weights)
    state.history.append(row)
    waited = epoch - state.best_epoch
    if waited >= hyperparameters.patience and epoch < hyperparameters.epochs:
        state.stopped = "no better"
    checkpoints.save_checkpoint(network, state, folder)


def _is_smoothed(photos: TrainingPhotos, hyperparameters: Hyperparameters) -> bool:
    return hyperparameters.from_scratch and photos.labels.kind == "single"


def _compile(
    network: keras.Model, photos: TrainingPhotos, hyperparameters: Hyperparameters
) -> None:
    import keras

    optimizer = build_optimizer(hyperparameters, len(photos.train))
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if photos.labels.kind == "multi":
        loss = _tag_loss(*class_weights(photos.labels_of(photos.train)))
    elif _is_smoothed(photos, hyperparameters):
        # It keeps a network that learns its photos by heart from becoming ever surer of them
        # (Szegedy et al. 2015, arXiv:1512.00567).
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=FROM_SCRATCH_SMOOTHING
        )
    # XLA on a CPU takes minutes to compile this network and 5 GB, and is no faster afterwards.
    network.compile(optimizer, loss, jit_compile=False)
    optimizer.build(network.trainable_variables)


def _tag_loss(present_weights: NDArray[np.float32], absent_weights: NDArray[np.float32]) -> Any:
    """Binary cross-entropy of cells `(N, C)` with `heads.cell_weights`, as a Keras loss."""
    from keras import ops

    def loss(cells: Any, logits: Any) -> Any:
        cells = ops.cast(cells, "float32")
        weights = ops.where(cells > 0, present_weights, absent_weights)
        weights = ops.where(cells < 0, UNSEEN_WEIGHT * weights, weights)
        terms = weights * ops.softplus(ops.where(cells > 0, -logits, logits))
        return ops.sum(terms) / ops.maximum(ops.sum(ops.cast(cells >= 0, "float32")), 1.0)

    return loss


def _validate(network: keras.Model, photos: TrainingPhotos, row: Epoch) -> Epoch:
    """`row` with the scores on the validation photos."""
    pixels = photos.store.rows(sample.row for sample in photos.validation)
    logits = np.concatenate(
        [
            np.asarray(network.predict_on_batch(np.stack(list(batch))))
            for batch in chunks(pixels, VALIDATION_BATCH)
        ]
    )
    labels = photos.labels_of(photos.validation)
    if photos.labels.kind == "single":
        loss = metrics.log_loss(logits, labels)
        accuracy = float((logits.argmax(axis=1) == labels).mean())
        return replace(row, val_loss=loss, val_accuracy=accuracy)
    weights = cell_weights(labels, *class_weights(photos.labels_of(photos.train)))
    margins = np.where(labels == PRESENT, logits, -logits).astype(np.float64)
    annotated = max(1, int((labels != UNSEEN).sum()))
    return replace(
        row,
        val_loss=float((weights * np.logaddexp(0, -margins)).sum() / annotated),
        val_accuracy=metrics.cell_accuracy(logits > 0, labels),
        val_map=metrics.mean_average_precision(logits, labels),
    )
