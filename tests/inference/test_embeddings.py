"""Embeddings: short vectors that keep what is near, near."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.inference.decision import Reference, unit_vectors
from tagger.inference.embeddings import DIMENSIONS, embed, nearest


def test_they_are_short_unit_vectors_and_the_same_every_time() -> None:
    features = np.random.default_rng(1).normal(size=(5, 640)).astype(np.float32)
    found = embed(features, None)
    assert found.shape == (5, DIMENSIONS)
    assert found.dtype == np.float16
    assert np.linalg.norm(found.astype(np.float32), axis=1) == pytest.approx(1, abs=1e-3)
    assert np.array_equal(found, embed(features, None))
    assert np.array_equal(found[2], embed(features[2:3], None)[0])


def test_what_is_near_stays_near() -> None:
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(20, 1280))
    points = np.repeat(centres, 10, axis=0) + rng.normal(scale=0.5, size=(200, 1280))
    found = embed(points, None)
    for row in range(0, 200, 7):
        near = [other // 10 for other, _ in nearest(found[row], found, 10)]
        assert near == [row // 10] * 10


def test_what_all_photos_share_does_not_count() -> None:
    """Features that are far from zero all point the same way; beside their mean they do not."""
    rng = np.random.default_rng(3)
    points = 5 + rng.normal(size=(100, 512))
    vectors = unit_vectors(points[:50])
    reference = Reference(vectors, np.ones(512), np.zeros(3), 1.0)
    plain = embed(points, None).astype(np.float32)
    centred = embed(points, reference).astype(np.float32)
    assert (plain @ plain.T).mean() > 0.9
    assert (centred @ centred.T).mean() < 0.2


def test_no_more_neighbours_than_there_are() -> None:
    found = embed(np.eye(3, 16), None)
    assert len(nearest(found[0], found, 10)) == 3
    assert nearest(found[0], found[:0], 10) == []
    assert nearest(found[0], found, 1)[0][0] == 0
