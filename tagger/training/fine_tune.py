"""Fine-tuning of every layer with Keras `fit`: validation, checkpoints, the choice of weights.

Importing this module imports Keras.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from tagger.concurrency import Progress, chunks, silent
from tagger.datasets.sample import PRESENT, UNSEEN
from tagger.evaluation import metrics
from tagger.evaluation.outputs import label_array
from tagger.labels import Kind, LabelSet
from tagger.models import networks
from tagger.models.networks import compute_precision, recompute_statistics
from tagger.training import checkpoints
from tagger.training.batches import (
    CAPTIONS,
    LOGITS,
    PIXELS,
    SIMILARITY,
    TEACHER,
    TrainingData,
)
from tagger.training.caption_batches import LENGTH, PER_PHOTO
from tagger.training.checkpoints import FineTuning, FineTuningState
from tagger.training.events import Emit, EpochEnded, EpochStarted, ignore
from tagger.training.interrupts import TrainingInterrupted, defer_interrupt
from tagger.training.optimizers import build_optimizer
from tagger.training.run_folder import Epoch
from tagger.training.word_space import NAME, WordSpace, caption_loss, contrast_loss

BLENDS = (0.25, 0.5, 0.75, 1.0)  # shares of the fine-tuned weights that are tried
FROM_SCRATCH_SMOOTHING = 0.2  # of the labels: Jordan 2024, arXiv:2404.00498
STATISTICS_BATCHES = 8  # on which normalisation is recomputed for averaged weights
VALIDATION_BATCH = 16  # photos; the activations of 50 would fill half a gigabyte
TAG_SHARE = 0.1  # of a photo's loss for a tag, beside the losses of words and of a teacher
FEATURE_DROPOUT = 0.2  # of the photo side of words, while everything is trained


HeadWeights = tuple[NDArray[np.float32], NDArray[np.float32]]  # kernel (F, K), bias (K,)


@dataclass(frozen=True, eq=False)
class Extras:
    """What a training model has beside the network, and loses after the training.

    `teacher_head` is the head whose answers `TrainingData.teacher` are; `words` are the first
    weights of a WordSpace.
    """

    teacher_head: HeadWeights | None = None
    words: Sequence[NDArray[np.float32]] | None = None


def fine_tune(
    network: keras.Model,
    data: TrainingData,
    state: FineTuningState,
    folder: Path,
    progress: Progress = silent,
    emit: Emit = ignore,
    extras: Extras | None = None,
) -> tuple[FineTuning, HeadWeights | None]:
    """Train `network` in place from `state` on, and leave it with the best weights.

    Returns what happened, and the teacher's head as it fits those weights, if there is a teacher.

    Those are a blend of its first weights and the best fine-tuned ones, its share chosen by
    validation loss: blends are more robust to photos of other collections than either end
    (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, arXiv:2109.01903). From
    scratch they are the best fine-tuned ones.

    After every epoch a checkpoint is kept in `folder`, and then EpochEnded emitted. From a
    checkpoint, training resumes and ends with the same weights as without the break. Ctrl-C ends
    it with the best weights so far, after the current step or validation; a second one raises
    KeyboardInterrupt.
    """
    model = build_training_model(network, data, extras)
    validation = _Validation(network, model, data)
    if state.history:
        checkpoints.restore_checkpoint(model, state, folder)
    try:
        with (
            defer_interrupt() as interrupted,
            compute_precision(data.hyperparameters.precision, network),
        ):
            if state.stopped is None and state.epoch < data.hyperparameters.epochs:
                callback = EpochCheckpoint(
                    network, data, validation, state, folder, progress, emit, interrupted
                )
                model.fit(
                    data,
                    epochs=data.hyperparameters.epochs,
                    initial_epoch=state.epoch,
                    shuffle=False,  # each epoch has an order of its own
                    verbose=0,
                    callbacks=[callback],
                )
    except TrainingInterrupted:
        state.stopped = "interrupted"
    except tf.errors.OpError as error:
        raise data.error or error from None
    result = _choose_blend(validation, state, data.hyperparameters.from_scratch, folder)
    if not extras or not extras.teacher_head:
        return result, None
    kernel, bias = model.get_layer(TEACHER).get_weights()
    return result, (kernel, bias)


def build_training_model(
    network: keras.Model, data: TrainingData, extras: Extras | None = None
) -> keras.Model:
    """The network's layers as a model of named outputs, compiled with a loss for each."""
    extras = extras or Extras()
    inputs, logits = network.input, network.output
    features = network.get_layer(networks.FEATURES).output
    if data.hyperparameters.training_size:
        resized = networks.resize(network, data.hyperparameters.training_size)
        inputs, features = resized.input, resized.output
        logits = network.get_layer(networks.HEAD)(features)
    outputs = {LOGITS: logits}
    losses = {LOGITS: _label_loss(data.labels.kind, data.hyperparameters.from_scratch)}
    weights = {LOGITS: 1.0}
    if extras.teacher_head:
        kernel, _ = extras.teacher_head
        head = keras.layers.Dense(kernel.shape[1], name=TEACHER)
        outputs[TEACHER] = head(features)
        head.set_weights(list(extras.teacher_head))
        losses[TEACHER] = keras.losses.CategoricalCrossentropy(from_logits=True)
        weights[TEACHER] = data.hyperparameters.distillation
    if data.captions:
        captions = keras.Input((PER_PHOTO, LENGTH), dtype="int32", name=CAPTIONS)
        space = WordSpace(len(data.captions.tokens), FEATURE_DROPOUT, data.hyperparameters.seed)
        outputs[SIMILARITY] = space([features, captions])
        if extras.words:
            space.set_weights([*extras.words, *space.get_weights()[len(extras.words) :]])
        inputs = {PIXELS: inputs, CAPTIONS: captions}
        losses[SIMILARITY], weights[SIMILARITY] = contrast_loss, 1.0
    if len(losses) > 1:
        weights[LOGITS] = _label_share(data.labels)
    model = keras.Model(inputs, outputs)
    optimizer = build_optimizer(data.hyperparameters, len(data.train))
    # XLA on a CPU takes minutes to compile this network and 5 GB, and is no faster afterwards.
    model.compile(optimizer, losses, loss_weights=weights, jit_compile=False)
    optimizer.build(model.trainable_variables)
    return model


def _label_loss(kind: Kind, from_scratch: bool) -> Any:
    """Cross-entropy of targets and logits `(N, C)`: of photos `(N,)`, or of tags `(N, C)`."""
    if kind == "multi":
        return partial(ops.binary_crossentropy, from_logits=True)
    # Smoothing keeps a network that learns its photos by heart from becoming ever surer of them
    # (Szegedy et al. 2015, arXiv:1512.00567).
    smoothing = FROM_SCRATCH_SMOOTHING if from_scratch else 0.0
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


def _label_share(labels: LabelSet) -> float:
    """The weight of the labels' loss beside others; that of tags is a mean over them."""
    return TAG_SHARE * len(labels) if labels.kind == "multi" else 1.0


@dataclass(eq=False)
class EpochCheckpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates the averaged weights of each epoch, keeps them, and saves a checkpoint.

    Epoch 0 is the network before training; Keras counts from 0 what is epoch 1 here. `progress`
    follows the steps of an epoch, and `interrupted` ends training before the next step.
    """

    network: keras.Model
    data: TrainingData
    validation: _Validation
    state: FineTuningState
    folder: Path
    progress: Progress
    emit: Emit
    interrupted: threading.Event

    def __post_init__(self) -> None:
        super().__init__()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if not self.state.history:
            self._validate(Epoch(0))
            self._save()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        epochs, steps = self.params["epochs"], len(self.data)
        self.emit(EpochStarted(epoch + 1, epochs))
        self._start = time.monotonic()
        self.data.begin_epoch(epoch + 1)
        self._steps = iter(self.progress(range(steps), steps, f"Epoch {epoch + 1}/{epochs}"))

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        next(self._steps)
        if self.interrupted.is_set():
            raise TrainingInterrupted

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        next(self._steps, None)  # for `progress`, which counts a step when it is over
        seconds = time.monotonic() - self._start
        rate, loss = float(self.model.optimizer.learning_rate), logs["loss"] if logs else None
        current = self.model.get_weights()
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)  # averages
        self._validate(Epoch(epoch + 1, loss, learning_rate=rate, seconds=seconds))
        self.model.set_weights(current)
        waited = self.state.epoch - self.state.best_epoch
        is_last = self.state.epoch == self.params["epochs"]
        if waited >= self.data.hyperparameters.patience and not is_last:
            self.state.stopped = "no better"
            self.model.stop_training = True
        self._save()

    def _validate(self, row: Epoch) -> None:
        with compute_precision("float32", self.network):
            if row.epoch and self.data.hyperparameters.from_scratch:
                recompute_statistics(self.network, self.data.unaugmented(STATISTICS_BATCHES))
            self.state.history.append(self.validation.score(row))
        checkpoints.save_average(self.model, row.epoch, self.folder)

    def _save(self) -> None:
        checkpoints.save_checkpoint(self.model, self.state, self.folder)
        self.emit(EpochEnded(self.state.history[-1]))


class _Validation:
    """Scores a network on the validation photos; with captions, their loss is a part."""

    def __init__(self, network: keras.Model, model: keras.Model, data: TrainingData) -> None:
        self.model, self._data = model, data
        outputs = [network.output, network.get_layer(networks.FEATURES).output]
        self._network = keras.Model(network.input, outputs)

    def score(self, row: Epoch) -> Epoch:
        """`row` with the scores of the weights as they are."""
        data = self._data
        pixels = data.store.rows(sample.row for sample in data.validation)
        batches = chunks(pixels, VALIDATION_BATCH)
        parts = [self._network.predict_on_batch(np.stack(batch)) for batch in batches]
        logits, features = (np.concatenate(part) for part in zip(*parts, strict=True))
        labels = label_array(data.validation, data.labels)
        if data.labels.kind == "single":
            loss = metrics.log_loss(logits, labels)
            accuracy = float((logits.argmax(axis=1) == labels).mean())
            row = replace(row, val_loss=loss, val_accuracy=accuracy)
        else:
            margins = np.where(labels == PRESENT, logits, -logits).astype(np.float64)
            terms = data.weights_of(labels) * np.logaddexp(0, -margins)
            row = replace(
                row,
                val_loss=float(terms.sum() / max(1, (labels != UNSEEN).sum())),
                val_accuracy=metrics.cell_accuracy(logits > 0, labels),
                val_map=metrics.mean_average_precision(logits, labels),
            )
        if data.captions is None or data.validation_captions is None:
            return row
        of_words = caption_loss(self.model.get_layer(NAME), features, data.validation_captions)
        return replace(row, val_loss=_label_share(data.labels) * row.val_loss + of_words)


def _choose_blend(
    validation: _Validation, state: FineTuningState, from_scratch: bool, folder: Path
) -> FineTuning:
    """Set the weights to the blend of the lowest validation loss.

    The last epoch is tried beside the best one: its learning rate has come to rest.
    """
    losses = {}
    for epoch in {state.best_epoch, state.epoch}:
        for blend in (1.0,) if from_scratch else BLENDS:
            checkpoints.blend_weights(validation.model, epoch, blend, folder)
            losses[epoch, blend] = validation.score(Epoch(epoch)).val_loss
    kept_epoch, blend = min(losses, key=lambda choice: losses[choice])
    checkpoints.blend_weights(validation.model, kept_epoch, blend, folder)
    return FineTuning(state.epoch, kept_epoch, state.stopped, blend)
