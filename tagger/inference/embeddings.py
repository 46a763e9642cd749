"""Embeddings of photos by a model without words: similar for photos that look alike. NumPy only.

Features are scaled and centred by the model's reference, projected at random (Johnson and
Lindenstrauss, 1984: distances are kept within about 1/sqrt(DIMENSIONS)) and scaled to unit length.
The projection is fixed for a number of features, so all embeddings of one model are comparable.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tagger.inference.decision import Floats, Reference, unit_vectors

Embedding = NDArray[np.float32]  # (D,) of unit length

DIMENSIONS = 128
_SEED = 20_260


def embed(features: Floats, reference: Reference | None) -> NDArray[np.float32]:
    """Unit vectors `(N, DIMENSIONS)` of `features (N, D)`, with the reference of their model."""
    centred = np.asarray(features, np.float32)
    if reference is not None:
        centred = unit_vectors(centred / reference.scale) - reference.vectors.mean(axis=0)
    projected = centred @ _projection(centred.shape[1])
    return np.asarray(unit_vectors(projected), np.float32)


@cache
def _projection(feature_count: int) -> NDArray[np.float32]:
    random = np.random.default_rng(_SEED)
    return random.standard_normal((feature_count, DIMENSIONS), np.float32)
