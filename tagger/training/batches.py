"""Training photos in batches for Keras `fit`. Importing this module imports Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import chunks
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, merge_tag_rows, target_matrix, to_targets
from tagger.evaluation.outputs import label_array
from tagger.images.decode import Pixels
from tagger.labels import LabelSet
from tagger.models.heads import balance_targets, class_weights
from tagger.training.augmentation import (
    MOSAIC_TILES,
    SCENES,
    Augmentation,
    ShiftAugmentation,
    mosaic,
)
from tagger.training.caption_batches import CaptionTokens
from tagger.training.config import Hyperparameters

PIXELS, CAPTIONS = "pixels", "captions"  # inputs
LOGITS, TEACHER, SIMILARITY = "logits", "teacher", "similarity"  # outputs, which targets are for
MOSAIC_SHARE = 0.3  # of training photos with tags

Inputs = Pixels | Mapping[str, NDArray[Any]]
Batch = tuple[Inputs, Mapping[str, NDArray[np.float32]], Mapping[str, NDArray[np.float32]]]


@dataclass(eq=False)
class TrainingData(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of training photos; the validation samples; the store that holds their pixels.

    A batch is augmented pixels `(N, S, S, 3)`, then by output targets `(N, C)` in [0, 1], then
    their weights. With `captions`, those of the training photos, it is pixels and captions
    `(N, PER_PHOTO, LENGTH)`, and the targets of SIMILARITY say which are a photo's own. `teacher`
    are probabilities `(N, K)` of another network, the targets of TEACHER. The same seed, epoch and
    index give the same batch. One thread prepares batches while the network trains; `error` is what
    it raised, which TensorFlow replaces by its own.
    """

    store: PixelStore
    train: Sequence[Sample]
    validation: Sequence[Sample]
    labels: LabelSet
    hyperparameters: Hyperparameters
    captions: CaptionTokens | None = None
    validation_captions: CaptionTokens | None = None
    teacher: NDArray[np.float16] | None = None
    error: Exception | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__init__()
        if self.labels.kind == "multi":
            self._train_labels = target_matrix(self.train, len(self.labels))
            balance = self.hyperparameters.balance
            self._tag_weights = class_weights(self._train_labels, balance)
        else:
            self._train_labels = label_array(self.train, self.labels)
            photos = np.bincount(self._train_labels, minlength=len(self.labels))
            self._label_weights = len(self.train) / (len(photos) * np.maximum(photos, 1))
        self.begin_epoch(1)

    def begin_epoch(self, epoch: int) -> None:
        """Let the batches be those of `epoch`, counted from 1, in an order of its own."""
        count = len(self.train)
        order = np.random.default_rng([self.hyperparameters.seed, epoch]).permutation(count)
        size = self.hyperparameters.batch_size_for(count)
        batches = list(chunks(order.tolist(), size))[: self.hyperparameters.steps_per_epoch(count)]
        if self.captions is not None and len(batches) > 1:
            # Every photo is compared with all captions of its batch, and Keras takes the shapes of
            # the first two batches for those of all.
            batches[-1] += order[: size - len(batches[-1])].tolist()
        self._rows = batches
        self._epoch = epoch

    def unaugmented(self, count: int) -> Iterator[list[Pixels]]:
        """The photos of the first `count` batches as they are."""
        for rows in self._rows[:count]:
            yield list(self.store.rows(self.train[row].row for row in rows))

    def weights_of(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Weights of photos' labels `(N,)`, or of tags' states `(N, C)`, that balance them.

        Their mean over the training photos, or over what is annotated in these, is 1.
        """
        if self.labels.kind == "multi":
            return balance_targets(to_targets(labels), *self._tag_weights)[0]
        return np.asarray(self._label_weights[labels], np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Batch:
        try:
            return self._batch(index)
        except Exception as error:
            self.error = error
            raise

    def _batch(self, index: int) -> Batch:
        rows = self._rows[index]
        pixels, labels, is_mosaic = self._augmented_batch(rows)
        if self.labels.kind == "multi":
            seen_cells = int((~np.isnan(labels)).sum())
            label_weights, labels = balance_targets(labels, *self._tag_weights)
            # Keras divides by the number of cells, annotated or not.
            label_weights *= label_weights.size / max(1, seen_cells)
        else:
            label_weights = self.weights_of(labels)
            labels = np.eye(len(self.labels), dtype=np.float32)[labels]
        targets, weights = {LOGITS: labels}, {LOGITS: label_weights}
        if self.teacher is not None:
            targets[TEACHER] = self.teacher[rows].astype(np.float32)
            weights[TEACHER] = np.where(is_mosaic, 0, 1).astype(np.float32)
        if self.captions is None:
            return pixels, targets, weights
        rng = np.random.default_rng([self.hyperparameters.seed, self._epoch, index, 1])
        described = [
            row if self.captions.has(row) and not mosaic else None
            for row, mosaic in zip(rows, is_mosaic, strict=True)
        ]
        captions, targets[SIMILARITY] = self.captions.batch(described, rng)
        weights[SIMILARITY] = np.ones(len(rows), np.float32)
        return {PIXELS: pixels, CAPTIONS: captions}, targets, weights

    def _augmented_batch(
        self, rows: Sequence[int]
    ) -> tuple[Pixels, NDArray[Any], NDArray[np.bool_]]:
        """Pixels, labels, and which are mosaics.

        Of photos with tags and without captions, MOSAIC_SHARE get one or three others beside them.
        """
        pixels: list[Pixels] = []
        labels = self._train_labels[rows]
        is_mosaic = np.zeros(len(rows), bool)
        for index, row in enumerate(rows):
            rng = np.random.default_rng([self.hyperparameters.seed, self._epoch, row])
            tiles = [row]
            if self._mosaic_rows.size and rng.random() < MOSAIC_SHARE and self._may_be_tile(row):
                extra = rng.choice([1, MOSAIC_TILES - 1])
                tiles += rng.choice(self._mosaic_rows, extra).tolist()
            variants = [self._augment(tile, rng) for tile in tiles]
            if len(tiles) > 1:
                is_mosaic[index] = True
                labels[index] = merge_tag_rows(self._train_labels[tiles])
                variants = [mosaic(variants, rng)]
            pixels += variants
        return np.stack(pixels), labels, is_mosaic

    def _may_be_tile(self, row: int) -> bool:
        return self.captions is None or not self.captions.has(row)

    @cached_property
    def _mosaic_rows(self) -> NDArray[np.int64]:
        """The training photos that mosaics are made of."""
        if self.labels.kind != "multi":
            return np.array([], np.int64)
        return np.array([row for row in range(len(self.train)) if self._may_be_tile(row)], np.int64)

    def _augment(self, row: int, rng: np.random.Generator) -> Pixels:
        pixels = self.store[self.train[row].row]
        if not self.hyperparameters.from_scratch:
            augment = Augmentation() if self.captions is None else SCENES
            return augment(pixels, rng, self.hyperparameters.training_size)
        mirror_odd = np.random.default_rng([self.hyperparameters.seed, row]).random() < 0.5
        return ShiftAugmentation()(pixels, rng, mirrored=mirror_odd == bool(self._epoch % 2))
