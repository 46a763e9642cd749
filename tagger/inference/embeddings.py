"""A photo's features as a short vector, close to those of photos that look alike. NumPy alone.

Features are scaled and centred as the model's reference has them, projected at random
(Johnson and Lindenstrauss, 1984: distances survive it, within about 1/sqrt(DIMENSIONS)) and
brought to unit length. The projection depends on the number of features alone, so that vectors
of one model can be compared whenever they were made.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tagger.inference.decision import Floats, Reference, unit_vectors

Embedding = NDArray[np.float16]  # (DIMENSIONS,) of unit length

DIMENSIONS = 128
_SEED = 20_260


def embed(features: Floats, reference: Reference | None) -> NDArray[np.float16]:
    """`(N, DIMENSIONS)` of `features (N, D)`; `reference` is the model's, if it has one."""
    centred = np.asarray(features, np.float32)
    if reference is not None:
        centred = unit_vectors(centred / reference.scale) - reference.vectors.mean(axis=0)
    projected = centred @ _projection(centred.shape[1])
    return unit_vectors(projected).astype(np.float16)


def nearest(
    query: Embedding, embeddings: NDArray[np.float16], count: int
) -> list[tuple[int, float]]:
    """The rows of `embeddings (N, DIMENSIONS)` most like `query`, each with its cosine similarity.

    At most `count`, the most similar first.
    """
    similarity = embeddings.astype(np.float32) @ query.astype(np.float32)
    count = min(count, len(similarity))
    best = np.argpartition(-similarity, count - 1)[:count] if count else np.empty(0, np.intp)
    order = best[np.argsort(-similarity[best], kind="stable")]
    return [(int(row), float(similarity[row])) for row in order]


@cache
def _projection(feature_count: int) -> NDArray[np.float32]:
    random = np.random.default_rng(_SEED)
    return random.standard_normal((feature_count, DIMENSIONS), np.float32)
