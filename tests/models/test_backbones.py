"""Backbones by name: each equals its network in keras.applications, preprocessing included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from tagger.errors import ModelError, OptionError, WeightsUnavailableError
from tagger.images import transforms
from tagger.inference.litert import Runtime
from tagger.inference.model_file import load
from tagger.models import backbones, convert, networks
from tagger.models.weights import imagenet_weights, load_backbone, load_imagenet, rebuild, save_h5
from tagger.tagger import Tagger
from tests.conftest import PETS_MODEL, draw, draw_collection, run_program

pytestmark = pytest.mark.training

SIDE = 64
# Our name: the module of keras.applications with the preprocessing, and the class in it.
NAMES = {
    "mobilenet_v2": ("mobilenet_v2", "MobileNetV2"),
    "mobilenet_v3": ("mobilenet_v3", "MobileNetV3Large"),
    "efficientnet_v2_b0": ("efficientnet_v2", "EfficientNetV2B0"),
    "resnet50": ("resnet50", "ResNet50"),
}
PIXELS = np.stack([transforms.fit(draw("disc", seed), SIDE) for seed in range(3)])


def test_every_backbone_is_tested_here() -> None:
    assert set(NAMES) == {n for n, b in backbones.BACKBONES.items() if b.pretrained}
    with pytest.raises(OptionError, match="'vgg': there are efficientnet_v2_b0, mobilenet_v2"):
        backbones.find_backbone("vgg")


def build_application(name: str) -> keras.Model:
    """The network in keras.applications, with random weights."""
    keras.utils.set_random_seed(5)
    build = getattr(keras.applications, NAMES[name][1])
    network = build(input_shape=(SIDE, SIDE, 3), include_top=False, weights=None)
    rng = np.random.default_rng(5)
    for layer in network.layers:  # normalisation that changes nothing would hide mistakes
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([w + rng.uniform(0, 0.5, w.shape) for w in layer.get_weights()])
    return network


def cache_weights(network: keras.Model, name: str, folder: Path) -> None:
    """Write a network's weights to where Keras caches the ImageNet weights of `name`."""
    path = folder / "models" / backbones.BACKBONES[name].pretrained.file
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, network)


def relative_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, as a share of the largest value."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("name", NAMES)
def test_it_equals_the_network_in_keras_applications(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights from Keras's cache; also loaded from an `.h5` file, and in LiteRT."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    theirs = build_application(name)
    cache_weights(theirs, name, tmp_path)
    network = networks.build(name, SIDE, 3)
    load_imagenet(network, name)

    preprocess = getattr(keras.applications, NAMES[name][0]).preprocess_input
    expected = np.asarray(theirs(preprocess(PIXELS.astype(np.float32))))
    scaled = network.get_layer(networks.SCALING)(PIXELS)
    ours = np.asarray(network.get_layer(networks.BACKBONE)(scaled))
    assert ours.shape == expected.shape and relative_difference(ours, expected) < 1e-4

    save_h5(network, tmp_path / "n.h5")
    again = keras.models.load_model(tmp_path / "n.h5", compile=False)
    logits = np.asarray(network(PIXELS))
    assert np.array_equal(again(PIXELS), logits)
    runtime = Runtime(convert.to_litert(network))
    assert relative_difference(np.stack([o.logits for o in runtime.run_all(PIXELS)]), logits) < 1e-4


def test_channels_are_swapped_for_bgr_weights_in_int8_too() -> None:
    """Red and blue photos get the features of the float network."""
    keras.utils.set_random_seed(2)
    network = networks.build("resnet50", SIDE, 3)
    red, blue = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 220
    scaled = network.get_layer(networks.SCALING)(np.stack([red, blue]))
    assert np.allclose(scaled[0, 0, 0], [-103.939, -116.779, 220 - 123.68], atol=1e-4)
    assert np.allclose(scaled[1, 0, 0], [220 - 103.939, -116.779, -123.68], atol=1e-4)
    photos = [*PIXELS, red, blue]
    runtime = Runtime(convert.to_litert(network, photos))
    ours = np.stack([runtime.run(photo).features for photo in photos])
    whole = convert.with_all_outputs(network)
    theirs = np.asarray(whole(np.stack(photos))["features"])
    assert relative_difference(ours, theirs) < 0.05 < relative_difference(theirs[-1], theirs[-2])


@pytest.mark.parametrize("name", NAMES)
def test_normalisation_is_trained_only_from_scratch(name: str) -> None:
    for from_scratch in (False, True):
        network = networks.build(name, SIDE, 2, train_normalisation=from_scratch)
        body = network.get_layer(networks.BACKBONE)
        kind = keras.layers.BatchNormalization
        normalising = [layer for layer in body.layers if isinstance(layer, kind)]
        assert len(normalising) > 20
        assert {layer.trainable for layer in normalising} == {from_scratch}
        before = [layer.moving_mean.numpy().copy() for layer in normalising]
        network(PIXELS, training=True)
        moved = [
            not np.array_equal(layer.moving_mean, value)
            for layer, value in zip(normalising, before, strict=True)
        ]
        assert all(moved) if from_scratch else not any(moved)


def test_the_cache_file_names_are_those_that_keras_uses(tmp_path: Path) -> None:
    """Without a network, Keras asks for the file that our message names."""
    code = f"""
import keras
from tagger.models.weights import imagenet_weights
from tagger.errors import WeightsUnavailableError
for ours, (_, theirs) in {NAMES!r}.items():
    try:
        getattr(keras.applications, theirs)(input_shape=(224, 224, 3), include_top=False)
    except Exception as error:
        print("keras:", str(error).split(": ")[0].rsplit("/")[-1])
    try:
        imagenet_weights(ours)
    except WeightsUnavailableError as error:
        print("ours:", error)
"""
    offline = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **offline}
    )
    lines = [line for line in process.stdout.splitlines() if line.startswith(("keras:", "ours:"))]
    for name, keras_line, our_line in zip(NAMES, lines[::2], lines[1::2], strict=True):
        file = backbones.BACKBONES[name].pretrained.file
        assert keras_line == f"keras: {file}"
        assert our_line.endswith(f"put {file} into {tmp_path / 'models'}")


def test_a_backbone_without_imagenet_weights_is_refused() -> None:
    with pytest.raises(OptionError, match="weights 'imagenet': there are none for small_cnn; give"):
        imagenet_weights("small_cnn")


def test_weights_of_another_backbone_are_refused() -> None:
    network = networks.build("mobilenet_v3", SIDE, 2)
    with pytest.raises(ModelError, match="its backbone is mobilenet_v2, not mobilenet_v3"):
        load_backbone(network, "mobilenet_v3", PETS_MODEL)


def test_cached_weights_of_another_network_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    cache_weights(build_application("mobilenet_v2"), "mobilenet_v3", tmp_path)
    with pytest.raises(WeightsUnavailableError, match="is not what Keras caches"):
        load_imagenet(networks.build("mobilenet_v3", SIDE, 2), "mobilenet_v3")


def test_another_backbone_gets_a_head_and_then_one_from_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From cached weights, then from its own file; from another backbone's file it is refused."""
    name = "mobilenet_v3"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()
    cache_weights(build_application(name), name, tmp_path / "keras")
    photos = draw_collection(tmp_path / "photos", 8, shapes=("disc", "stripes"))
    options = ["--data", photos, "--image-size", SIDE, "--fine-tune", 0]
    options += ["--backbone", name, "--runs", tmp_path / "runs", "--output"]
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    process = run_program("train.py", *options, first)
    assert process.returncode == 0, process.stderr
    model = load(first)
    assert model.card["backbone"] == name and model.card["started_from"] == "imagenet"
    assert Tagger.load(first).tag(draw("disc", 900)).scores[0].label in ("disc", "stripes")
    plain = keras.models.load_model(first, compile=False)
    assert np.array_equal(rebuild(model)(PIXELS), plain(PIXELS))
    process = run_program("train.py", *options, second, "--weights", "pets")
    assert process.returncode == 2 and f"its backbone is mobilenet_v2, not {name}" in process.stderr
    process = run_program("train.py", *options, second, "--weights", first)
    assert process.returncode == 0, process.stderr
