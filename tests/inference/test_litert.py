"""The LiteRT runtime: output shapes, threads, and bytes that are not a network."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.errors import ModelError
from tagger.images import transforms
from tagger.inference import model_file
from tagger.inference.litert import Runtime, Session
from tests.conftest import PETS_MODEL, draw


@pytest.fixture(scope="module")
def network() -> bytes:
    return model_file.load(PETS_MODEL).network


def test_outputs_have_the_declared_shapes(network: bytes) -> None:
    session = Session(network)
    pixels = transforms.fit(draw("disc", 1), session.image_size)
    outputs = session.run(pixels, feature_map=True)
    assert outputs.logits.shape == (session.label_count,)
    assert outputs.features.shape == (session.feature_count,)
    assert outputs.feature_map is not None
    assert np.allclose(outputs.feature_map.mean(axis=(0, 1)), outputs.features, atol=0.1)
    assert session.run(pixels).feature_map is None


def test_outputs_are_kept_when_the_session_runs_again(network: bytes) -> None:
    session = Session(network)
    first = session.run(transforms.fit(draw("disc", 1), session.image_size))
    features = first.features.copy()
    session.run(transforms.fit(draw("stripes", 1), session.image_size))
    assert np.array_equal(first.features, features)


def test_several_threads_give_the_outputs_of_one(network: bytes) -> None:
    runtime = Runtime(network)
    photos = [transforms.fit(draw("square", seed), runtime.image_size) for seed in range(12)]
    expected = [runtime.run(pixels).logits for pixels in photos]
    outputs = [output.logits for output in runtime.run_all(iter(photos), workers=4)]
    assert np.array_equal(np.stack(expected), np.stack(outputs))


@pytest.mark.parametrize("data", [b"", b"not a network", bytes(5000)])
def test_bytes_that_are_not_a_network_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="not a LiteRT network"):
        Session(data)
