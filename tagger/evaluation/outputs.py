"""A network's outputs for labelled photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, tag_matrix
from tagger.images.decode import Pixels
from tagger.inference.litert import Outputs, Runtime
from tagger.labels import LabelSet

Vary = Callable[[Pixels, int], Pixels]  # of a photo and its number


@dataclass(frozen=True)
class LabelledOutputs:
    """Outputs for N labelled photos: `logits (N, C)`, `features (N, D)` and `labels`.

    `labels` are label numbers `(N,)`, or for tags `tag_matrix (N, C)`.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.integer]) -> LabelledOutputs:
        """The outputs for these rows."""
        return LabelledOutputs(self.logits[rows], self.features[rows], self.labels[rows])


def run_network(
    runtime: Runtime,
    store: PixelStore,
    samples: Sequence[Sample],
    workers: int | None,
    progress: Progress,
    stage: str,
    vary: Vary | None = None,
) -> Iterable[Outputs]:
    """Outputs for photos of the pixel store, in order, or for variants of them."""
    pixels: Iterable[Pixels] = store.rows(sample.row for sample in samples)
    if vary:
        pixels = map(vary, pixels, count())
    return progress(runtime.run_all(pixels, workers), len(samples), stage)


def label_array(samples: Sequence[Sample], labels: LabelSet) -> NDArray[Any]:
    """Labels of samples as in `LabelledOutputs.labels`."""
    if labels.kind == "multi":
        return tag_matrix(samples, len(labels))
    return np.array([sample.label for sample in samples], np.int64)
