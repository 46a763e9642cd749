"""Keras → LiteRT: the same answers, and int8 only where it gives them."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.evaluation.metrics import mean_average_precision
from tagger.images import decode
from tagger.inference.litert import Runtime
from tagger.models import convert, networks
from tagger.models.heads import fit_logistic
from tests.conftest import PETS_MODEL, SHAPES, draw

PHOTOS = [decode.fit(draw(shape, seed), 96) for shape in SHAPES for seed in range(10)]


@pytest.fixture(scope="module")
def network():  # type: ignore[no-untyped-def]
    """The bundled backbone with a head that tells the drawn shapes apart."""
    networks.set_seed(3)
    built = networks.build("mobilenet_v2", 96, 3)
    networks.load_backbone(built, "mobilenet_v2", PETS_MODEL)
    outputs = Runtime(convert.to_litert(built)).run_all(PHOTOS)
    labels = np.repeat(np.arange(3), 10)
    head = fit_logistic(np.stack([output.features for output in outputs]), labels, 3, seed=0)
    built.get_layer(networks.HEAD).set_weights([head.weights, head.bias])
    return built


def test_float_gives_the_same_logits(network) -> None:  # type: ignore[no-untyped-def]
    runtime = Runtime(convert.to_litert(network))
    ours = np.stack([output.logits for output in runtime.run_all(PHOTOS)])
    theirs = network.predict_on_batch(np.stack(PHOTOS))
    assert np.abs(ours - theirs).max() < 1e-3


def test_int8_is_kept_where_it_agrees(network) -> None:  # type: ignore[no-untyped-def]
    truth = network.predict_on_batch(np.stack(PHOTOS)).argmax(axis=1)
    found = convert.choose_precision(network, PHOTOS, lambda: PHOTOS, truth, mean_average_precision)
    assert found.float_accuracy == 1 and "network" not in found.summary()
    assert found.precision == "int8", found.summary()
    assert len(found.network) < 4e6  # a byte a weight


def test_int8_is_dropped_where_it_disagrees(network) -> None:  # type: ignore[no-untyped-def]
    """Ranges from black photos clip everything, so the int8 network cannot follow."""
    truth = network.predict_on_batch(np.stack(PHOTOS)).argmax(axis=1)
    black = [np.zeros((96, 96, 3), np.uint8)]
    found = convert.choose_precision(network, black, lambda: PHOTOS, truth, mean_average_precision)
    assert found.agreement < convert.MIN_AGREEMENT and found.precision == "float32"
    runtime = Runtime(found.network)
    assert [int(o.logits.argmax()) for o in runtime.run_all(PHOTOS)] == truth.tolist()
