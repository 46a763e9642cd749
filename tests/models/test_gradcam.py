"""Grad-CAM: equal to the activation map where features are pooled, and right where not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from tagger import OptionError, Tagger
from tagger.datasets.sample_photos import write_samples
from tagger.images import transforms
from tagger.inference import model_file
from tagger.inference.decision import DecisionRule
from tagger.labels import LabelSet
from tagger.models import backbones, convert, gradcam, networks
from tagger.models.heads import fit_logistic
from tagger.models.weights import rebuild, save_h5
from tests.conftest import PETS_MODEL, SHAPES, draw

pytestmark = pytest.mark.training

SIDE = 160


def max_pooling(name: str) -> keras.Layer:
    return keras.layers.GlobalMaxPooling2D(name=name)


def with_a_layer_between(name: str) -> keras.Layer:
    between = keras.layers.Dense(256, activation="relu", name="between")
    return keras.Sequential([keras.layers.GlobalAveragePooling2D(), between], name=name)


POOLINGS = {"max_pooled": max_pooling, "with_a_layer_between": with_a_layer_between}


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file for the drawn shapes as tags: the bundled backbone with another pooling."""
    name = request.param
    patch = pytest.MonkeyPatch()
    request.addfinalizer(patch.undo)
    spec = replace(backbones.BACKBONES["mobilenet_v2"], build_pooling=POOLINGS[name])
    patch.setitem(backbones.BACKBONES, name, spec)
    networks.set_seed(1)
    network = networks.build(name, SIDE, len(SHAPES))
    bundled = rebuild(model_file.load(PETS_MODEL))
    weights = bundled.get_layer(networks.BACKBONE).get_weights()
    network.get_layer(networks.BACKBONE).set_weights(weights)
    photos = [transforms.fit(draw(shape, seed), SIDE) for shape in SHAPES for seed in range(30)]
    pooled = keras.Model(network.input, network.get_layer(networks.FEATURES).output)
    features = np.asarray(pooled.predict_on_batch(np.stack(photos)))
    labels = np.repeat(np.arange(len(SHAPES)), 30)
    head = fit_logistic(features, labels, len(SHAPES), seed=0)
    network.get_layer(networks.HEAD).set_weights([head.weights, head.bias])

    folder = tmp_path_factory.mktemp(name)
    save_h5(network, folder / "keras.h5")
    rule = DecisionRule("multi", 1.0, (0.5,) * len(SHAPES))
    whole = model_file.ModelFile(
        LabelSet(SHAPES, "multi"), SIDE, rule, convert.to_litert(network), {"backbone": name}
    )
    model_file.save(folder / f"{name}.h5", folder / "keras.h5", whole)
    return folder / f"{name}.h5"


def scaled(activation: np.ndarray) -> np.ndarray:
    return activation / max(float(activation.max()), 1e-12)


def test_for_pooled_features_it_is_the_activation_map(tmp_path: Path) -> None:
    """The bundled model on a real photo: equal in float, close in int8."""
    pets = Tagger.load("pets")
    cat = next(path for path in write_samples(tmp_path) if path.stem == "cat")
    pixels = transforms.prepare(cat, pets.image_size)
    network = rebuild(model_file.load(PETS_MODEL))
    whole = convert.with_all_outputs(network).predict_on_batch(pixels[None])
    weights = network.get_layer(networks.HEAD).get_weights()[0]
    for index, label in enumerate(pets.labels.names):
        activation = gradcam.grad_cam(network, pixels, index)
        in_float = np.maximum(whole["feature_map"][0] @ weights[:, index], 0)
        assert activation.shape == (6, 6) and (activation.max() > 0) == (label == "cat")
        assert np.allclose(scaled(activation), scaled(in_float), atol=1e-4)
        assert np.abs(scaled(activation) - pets.activation_map(pixels, label)).max() < 0.1


@pytest.mark.parametrize("model", ["with_a_layer_between"], indirect=True)
def test_with_a_layer_in_between_it_follows_the_gradient(model: Path) -> None:
    """Computed by hand: the head's weights, back through the active units."""
    tagger, network = Tagger.load(model), rebuild(model_file.load(model))
    between, bias = network.get_layer(networks.FEATURES).get_weights()  # (1280, 256), (256,)
    head = network.get_layer(networks.HEAD).get_weights()[0]  # (256, 3)
    for shape in SHAPES:
        pixels = transforms.fit(draw(shape, 900), SIDE)
        whole = convert.with_all_outputs(network).predict_on_batch(pixels[None])
        feature_map = whole["feature_map"][0]  # (5, 5, 1280)
        active = feature_map.mean(axis=(0, 1)) @ between + bias > 0
        assert 0 < active.sum() < len(active)
        for index, label in enumerate(SHAPES):
            expected = np.maximum(feature_map @ (between * active @ head[:, index]), 0)
            assert np.allclose(tagger.activation_map(pixels, label), scaled(expected), atol=1e-3)


@pytest.mark.parametrize("model", ["max_pooled"], indirect=True)
def test_for_max_pooled_features_it_is_the_activation_map(model: Path) -> None:
    tagger, network = Tagger.load(model), rebuild(model_file.load(model))
    for shape in SHAPES:
        pixels = transforms.fit(draw(shape, 900), SIDE)
        for index, label in enumerate(SHAPES):
            expected = gradcam.grad_cam(network, pixels, index)
            heat = tagger.activation_map(pixels, label)
            assert heat.shape == expected.shape == (5, 5) and heat.min() >= 0
            assert np.allclose(heat, scaled(expected), atol=1e-3)


@pytest.mark.parametrize("model", ["max_pooled"], indirect=True)
def test_each_label_is_activated_where_it_is_drawn(model: Path) -> None:
    """A disc on one side and a square on the other, then mirrored."""
    tagger = Tagger.load(model)
    photo = np.full((SIDE, SIDE, 3), 120, np.uint8)
    cv2.circle(photo, (40, 80), 26, (230, 60, 40), -1)
    cv2.rectangle(photo, (98, 56), (146, 104), (40, 60, 230), -1)
    for pixels, sides in ((photo, (0, 1)), (photo[:, ::-1].copy(), (1, 0))):
        for label, side in zip(("disc", "square"), sides, strict=True):
            heat = tagger.activation_map(pixels, label)
            halves = heat[:, :2].sum(), heat[:, 3:].sum()
            assert halves[side] > 1.5 * halves[1 - side], (label, heat)
    painted = tagger.heatmap(photo, "disc")
    assert painted.shape == photo.shape and (painted != tagger.heatmap(photo, "square")).any()
    with pytest.raises(OptionError, match="'fish': the model has disc, square, stripes"):
        tagger.heatmap(photo, "fish")
