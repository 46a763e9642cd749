"""A network's outputs for labelled photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.splits import Sample, cells
from tagger.inference.litert import Outputs, Runtime
from tagger.labels import LabelSet


@dataclass(frozen=True)
class LabelledOutputs:
    """Of N labelled photos: `logits (N, C)`, `features (N, D)`, and what is known of them.

    `labels` are label numbers `(N,)` where a photo has one label, and cells `(N, C)` as
    `splits.cells` has them where it may have several.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.integer]) -> LabelledOutputs:
        """Those photos."""
        return LabelledOutputs(self.logits[rows], self.features[rows], self.labels[rows])


def outputs(
    runtime: Runtime,
    store: PixelStore,
    samples: Sequence[Sample],
    workers: int | None,
    progress: Progress,
    what: str,
) -> Iterable[Outputs]:
    """What a network puts out for photos of the store, in turn."""
    pixels = store.rows(sample.row for sample in samples)
    return progress(runtime.run_all(pixels, workers), len(samples), what)


def known(labels: LabelSet, samples: Sequence[Sample]) -> NDArray[Any]:
    """What is known of photos, as `LabelledOutputs` has it."""
    if labels.kind == "multi":
        return cells(samples, len(labels))
    return np.array([sample.label for sample in samples], np.int64)
