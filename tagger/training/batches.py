"""Training photos in batches for Keras `fit`. Importing this module imports Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import chunks
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import PRESENT, UNSEEN, Sample, merge_tag_rows
from tagger.evaluation.outputs import label_array
from tagger.images.decode import Pixels
from tagger.labels import LabelSet
from tagger.models.heads import cell_weights, class_weights
from tagger.training.augmentation import MOSAIC_TILES, Augmentation, ShiftAugmentation, mosaic
from tagger.training.config import Hyperparameters

LOGITS = "logits"  # the output that a batch's targets and weights are for
MOSAIC_SHARE = 0.3  # of training photos with tags

Batch = tuple[Pixels, Mapping[str, NDArray[np.float32]], Mapping[str, NDArray[np.float32]]]


@dataclass(eq=False)
class TrainingData(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of training photos; the validation samples; the store that holds their pixels.

    A batch is augmented pixels `(N, S, S, 3)`, then by output targets `(N, C)` in [0, 1], then
    their weights. The same seed, epoch and index give the same batch. One thread prepares batches
    while the network trains; `error` is what it raised, which TensorFlow replaces by its own.
    """

    store: PixelStore
    train: Sequence[Sample]
    validation: Sequence[Sample]
    labels: LabelSet
    hyperparameters: Hyperparameters
    error: Exception | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__init__()
        self._train_labels = label_array(self.train, self.labels)
        if self.labels.kind == "multi":
            self._tag_weights = class_weights(self._train_labels)
        else:
            photos = np.bincount(self._train_labels, minlength=len(self.labels))
            self._label_weights = len(self.train) / (len(photos) * np.maximum(photos, 1))
        self.begin_epoch(1)

    def begin_epoch(self, epoch: int) -> None:
        """Let the batches be those of `epoch`, counted from 1, in an order of its own."""
        count = len(self.train)
        order = np.random.default_rng([self.hyperparameters.seed, epoch]).permutation(count)
        batches = chunks(order.tolist(), self.hyperparameters.batch_size_for(count))
        self._rows = list(batches)[: self.hyperparameters.steps_per_epoch(count)]
        self._epoch = epoch

    def unaugmented(self, count: int) -> Iterator[list[Pixels]]:
        """The photos of the first `count` batches as they are."""
        for rows in self._rows[:count]:
            yield list(self.store.rows(self.train[row].row for row in rows))

    def weights_of(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Weights of photos' labels `(N,)`, or of tags' cells `(N, C)`, that balance them.

        Their mean over the training photos, or over what is annotated in these, is 1.
        """
        if self.labels.kind == "multi":
            return cell_weights(labels, *self._tag_weights)
        return np.asarray(self._label_weights[labels], np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Batch:
        try:
            pixels, labels = self._augmented_batch(self._rows[index])
        except Exception as error:
            self.error = error
            raise
        weights = self.weights_of(labels)
        if self.labels.kind == "multi":
            targets = labels == PRESENT
            # Keras divides by the number of cells, annotated or not.
            weights *= weights.size / max(1, int((labels != UNSEEN).sum()))
        else:
            targets = np.eye(len(self.labels), dtype=bool)[labels]
        return pixels, {LOGITS: targets.astype(np.float32)}, {LOGITS: weights}

    def _augmented_batch(self, rows: Sequence[int]) -> tuple[Pixels, NDArray[Any]]:
        """Pixels and labels; of photos with tags, MOSAIC_SHARE get one or three others beside."""
        pixels: list[Pixels] = []
        labels = self._train_labels[rows]
        for index, row in enumerate(rows):
            rng = np.random.default_rng([self.hyperparameters.seed, self._epoch, row])
            tiles = [row]
            if self.labels.kind == "multi" and rng.random() < MOSAIC_SHARE:
                extra = rng.choice([1, MOSAIC_TILES - 1])
                tiles += rng.integers(0, len(self.train), extra).tolist()
            variants = [self._augment(tile, rng) for tile in tiles]
            if len(tiles) > 1:
                labels[index] = merge_tag_rows(self._train_labels[tiles])
                variants = [mosaic(variants, rng)]
            pixels += variants
        return np.stack(pixels), labels

    def _augment(self, row: int, rng: np.random.Generator) -> Pixels:
        pixels = self.store[self.train[row].row]
        if not self.hyperparameters.from_scratch:
            return Augmentation()(pixels, rng)
        mirror_odd = np.random.default_rng([self.hyperparameters.seed, row]).random() < 0.5
        return ShiftAugmentation()(pixels, rng, mirrored=mirror_odd == bool(self._epoch % 2))
