"""Keras → LiteRT: equal logits, and int8 only if it predicts the same."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.evaluation.metrics import mean_average_precision
from tagger.images import transforms
from tagger.inference.litert import Runtime
from tagger.models import convert, networks
from tagger.models.heads import fit_logistic
from tests import tiny
from tests.conftest import SHAPES, draw

pytestmark = pytest.mark.training

SIDE = tiny.IMAGE_SIZE
PHOTOS = [transforms.fit(draw(shape, seed), SIDE) for shape in SHAPES for seed in range(10)]


@pytest.fixture(scope="module")
def network():  # type: ignore[no-untyped-def]
    """The tests' network with a head for the drawn shapes."""
    networks.set_seed(3)
    model = networks.build(tiny.NAME, SIDE, 3)
    outputs = Runtime(convert.to_litert(model)).run_all(PHOTOS)
    labels = np.repeat(np.arange(3), 10)
    head = fit_logistic(np.stack([output.features for output in outputs]), labels, 3, seed=0)
    model.get_layer(networks.HEAD).set_weights([head.weights, head.bias])
    return model


def test_int8_is_kept_if_it_agrees(network) -> None:  # type: ignore[no-untyped-def]
    truth = network.predict_on_batch(np.stack(PHOTOS)).argmax(axis=1)
    conversion = convert.choose_precision(
        network, PHOTOS, lambda: PHOTOS, truth, mean_average_precision
    )
    assert conversion.check.float_accuracy == 1 and conversion.check.precision == "int8"
    assert len(conversion.network) < len(convert.to_litert(network)) / 2  # a byte a weight


def test_the_head_of_an_int8_network_computes_in_float(network) -> None:  # type: ignore[no-untyped-def]
    """Its logits are those of the float head, to the last digit: no steps of an int8 scale."""
    outputs = list(Runtime(convert.to_litert(network, PHOTOS)).run_all(PHOTOS))
    weights, bias = network.get_layer(networks.HEAD).get_weights()
    exact = np.stack([output.features for output in outputs]) @ weights + bias
    np.testing.assert_allclose(np.stack([output.logits for output in outputs]), exact, atol=1e-4)


def test_int8_is_dropped_if_it_disagrees(network) -> None:  # type: ignore[no-untyped-def]
    """Ranges from black photos clip every activation."""
    truth = network.predict_on_batch(np.stack(PHOTOS)).argmax(axis=1)
    black = [np.zeros((SIDE, SIDE, 3), np.uint8)]
    conversion = convert.choose_precision(
        network, black, lambda: PHOTOS, truth, mean_average_precision
    )
    assert conversion.check.agreement < convert.MIN_AGREEMENT
    assert conversion.check.precision == "float32"
    runtime = Runtime(conversion.network)
    assert [int(o.logits.argmax()) for o in runtime.run_all(PHOTOS)] == truth.tolist()
