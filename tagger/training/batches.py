"""Training batches: pixels of augmented photos, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, merge_tag_rows
from tagger.evaluation.outputs import label_array
from tagger.labels import LabelSet
from tagger.training.augmentation import MOSAIC_TILES, Augmentation, ShiftAugmentation, mosaic
from tagger.training.config import Hyperparameters

MOSAIC_SHARE = 0.3  # of training photos with tags


@dataclass(frozen=True)
class TrainingPhotos:
    """The training and validation samples, and the store that holds their pixels."""

    store: PixelStore
    train: Sequence[Sample]
    validation: Sequence[Sample]
    labels: LabelSet

    def labels_of(self, samples: Sequence[Sample]) -> NDArray[Any]:
        """Label numbers `(N,)`, or cells `(N, C)` of tags."""
        return label_array(samples, self.labels)

    def label_weights(self) -> NDArray[np.float32]:
        """Weights `(C,)` that balance the labels; their mean over the training photos is 1."""
        count = len(self.labels)
        photos = np.bincount([sample.label for sample in self.train], minlength=count)
        return (len(self.train) / (count * np.maximum(photos, 1))).astype(np.float32)

    def batch(
        self, hyperparameters: Hyperparameters, epoch: int, rows: list[int]
    ) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """Augmented pixels `(N, S, S, 3)` and labels of these training photos.

        Of photos with tags, `MOSAIC_SHARE` become a mosaic with one or three others. The same
        seed, epoch and rows give the same batch.
        """
        pixels: list[NDArray[np.uint8]] = []
        labels = self.labels_of([self.train[row] for row in rows])
        for index, row in enumerate(rows):
            rng = np.random.default_rng([hyperparameters.seed, epoch, row])
            tiles = [row]
            if self.labels.kind == "multi" and rng.random() < MOSAIC_SHARE:
                extra = rng.choice([1, MOSAIC_TILES - 1])
                tiles += rng.integers(0, len(self.train), extra).tolist()
            variants = [self._augment(hyperparameters, epoch, tile, rng) for tile in tiles]
            if len(tiles) > 1:
                labels[index] = merge_tag_rows(self.labels_of([self.train[tile] for tile in tiles]))
                variants = [mosaic(variants, rng)]
            pixels += variants
        return np.stack(pixels), labels

    def _augment(
        self, hyperparameters: Hyperparameters, epoch: int, row: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        pixels = self.store[self.train[row].row]
        if not hyperparameters.from_scratch:
            return Augmentation()(pixels, rng)
        mirror_odd = np.random.default_rng([hyperparameters.seed, row]).random() < 0.5
        return ShiftAugmentation()(pixels, rng, mirrored=mirror_odd == bool(epoch % 2))
