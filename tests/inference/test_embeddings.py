"""Embeddings: similar vectors for photos with similar features."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.inference.decision import Reference, unit_vectors
from tagger.inference.embeddings import DIMENSIONS, embed


def test_embeddings_are_unit_vectors_and_reproducible() -> None:
    features = np.random.default_rng(1).normal(size=(5, 640)).astype(np.float32)
    embeddings = embed(features, None)
    assert embeddings.shape == (5, DIMENSIONS)
    assert embeddings.dtype == np.float32
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(embeddings, embed(features, None))
    assert embeddings[2] == pytest.approx(embed(features[2:3], None)[0], abs=1e-5)


def test_neighbours_stay_neighbours() -> None:
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(20, 1280))
    points = np.repeat(centres, 10, axis=0) + rng.normal(scale=0.5, size=(200, 1280))
    embeddings = embed(points, None)
    for row in range(0, 200, 7):
        neighbours = np.argsort(-embeddings @ embeddings[row])[:10]
        assert (neighbours // 10).tolist() == [row // 10] * 10


def test_the_mean_of_the_reference_is_subtracted() -> None:
    """Features far from zero all point the same way; relative to their mean they do not."""
    rng = np.random.default_rng(3)
    points = 5 + rng.normal(size=(100, 512))
    vectors = unit_vectors(points[:50])
    reference = Reference(vectors, np.ones(512), np.zeros(3), 1.0)
    plain = embed(points, None).astype(np.float32)
    centred = embed(points, reference).astype(np.float32)
    assert (plain @ plain.T).mean() > 0.9
    assert (centred @ centred.T).mean() < 0.2
