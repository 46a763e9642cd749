"""Backbones by name: each gives what keras.applications gives, from pixels as they are."""

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
from tagger.images import decode
from tagger.inference.litert import Runtime
from tagger.inference.model_file import load
from tagger.models import backbones, convert, networks
from tagger.tagger import Tagger
from tests.conftest import PETS_MODEL, draw, draw_collection, run_program

SIDE = 64
# Ours, the module of keras.applications with the preprocessing of it, and the class in it.
NAMES = {
    "mobilenet_v2": ("mobilenet_v2", "MobileNetV2"),
    "mobilenet_v3": ("mobilenet_v3", "MobileNetV3Large"),
    "efficientnet_v2_b0": ("efficientnet_v2", "EfficientNetV2B0"),
    "resnet50": ("resnet50", "ResNet50"),
}
OTHERS = [name for name in NAMES if name != "mobilenet_v2"]
PIXELS = np.stack([decode.fit(draw("disc", seed), SIDE) for seed in range(3)])


def test_every_backbone_is_tested_here() -> None:
    assert set(NAMES) == {n for n, b in backbones.BACKBONES.items() if b.pretrained}
    with pytest.raises(OptionError, match="'vgg': there are efficientnet_v2_b0, mobilenet_v2"):
        backbones.find_backbone("vgg")


def application(name: str) -> keras.Model:
    """Keras's own, as it is made for ImageNet weights, but with other ones."""
    keras.utils.set_random_seed(5)
    chosen = getattr(keras.applications, NAMES[name][1])
    made = chosen(input_shape=(SIDE, SIDE, 3), include_top=False, weights=None)
    rng = np.random.default_rng(5)
    for layer in made.layers:  # normalisation that does nothing would hide mistakes
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([w + rng.uniform(0, 0.5, w.shape) for w in layer.get_weights()])
    return made


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How far apart, as a share of the largest value."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("name", NAMES)
def test_it_is_kerass_network_on_pixels_as_they_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights out of Keras's cache; so it is from a file, and in the fast runtime."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    theirs = application(name)
    with h5py.File(tmp_path / "models" / backbones.BACKBONES[name].pretrained.file, "w") as file:
        save_weights_to_hdf5_group(file, theirs)
    network = networks.build(name, SIDE, 3)
    networks.load_imagenet(network, name)

    preprocess = getattr(keras.applications, NAMES[name][0]).preprocess_input
    expected = theirs.predict_on_batch(preprocess(PIXELS.astype(np.float32)))
    scaled = network.get_layer(networks.SCALING)(PIXELS)
    found = network.get_layer(networks.BACKBONE).predict_on_batch(scaled)
    assert found.shape == expected.shape and relative(found, expected) < 1e-4

    networks.save_h5(network, tmp_path / "n.h5")
    again = keras.models.load_model(tmp_path / "n.h5", compile=False)
    logits = network.predict_on_batch(PIXELS)
    assert np.array_equal(again.predict_on_batch(PIXELS), logits)
    runtime = Runtime(convert.to_litert(network))
    assert relative(np.stack([o.logits for o in runtime.run_all(PIXELS)]), logits) < 1e-4


def test_blue_first_in_int8_too() -> None:
    """Red and blue photos are told apart as the float network does."""
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
    theirs = np.stack([whole.predict_on_batch(p[None])["features"][0] for p in photos])
    assert relative(ours, theirs) < 0.05 < relative(theirs[-1], theirs[-2])


@pytest.mark.parametrize("name", NAMES)
def test_normalisation_rests_unless_it_starts_from_nothing(name: str) -> None:
    for from_nothing in (False, True):
        network = networks.build(name, SIDE, 2, train_normalisation=from_nothing)
        body = network.get_layer(networks.BACKBONE)
        kind = keras.layers.BatchNormalization
        normalising = [layer for layer in body.layers if isinstance(layer, kind)]
        assert len(normalising) > 20
        assert {layer.trainable for layer in normalising} == {from_nothing}
        before = [layer.moving_mean.numpy().copy() for layer in normalising]
        network(PIXELS, training=True)
        moved = [
            not np.array_equal(layer.moving_mean, value)
            for layer, value in zip(normalising, before, strict=True)
        ]
        assert all(moved) if from_nothing else not any(moved)


def test_keras_caches_the_files_they_are_said_to(tmp_path: Path) -> None:
    """With no network, what Keras asks for is what we say is missing, and where to put it."""
    code = f"""
import keras
from tagger import networks
from tagger.errors import WeightsUnavailableError
for ours, (_, theirs) in {NAMES!r}.items():
    try:
        getattr(keras.applications, theirs)(input_shape=(224, 224, 3), include_top=False)
    except Exception as error:
        print("keras:", str(error).split(": ")[0].rsplit("/")[-1])
    try:
        networks.imagenet_weights(ours)
    except WeightsUnavailableError as error:
        print("ours:", error)
"""
    nowhere = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **nowhere}
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("keras:", "ours:"))]
    for name, asked, told in zip(NAMES, lines[::2], lines[1::2], strict=True):
        file = backbones.BACKBONES[name].pretrained.file
        assert asked == f"keras: {file}"
        assert told.endswith(f"put {file} into {tmp_path / 'models'}")


def test_a_backbone_without_imagenet_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = backbones.Backbone(backbones.BACKBONES["mobilenet_v2"].build_body, 1.0, 0.0)
    monkeypatch.setitem(backbones.BACKBONES, "plain", plain)
    with pytest.raises(OptionError, match="there are none for plain"):
        networks.imagenet_weights("plain")


def test_a_model_of_another_backbone_is_no_start() -> None:
    network = networks.build("mobilenet_v3", SIDE, 2)
    with pytest.raises(ModelError, match="its backbone is mobilenet_v2, not mobilenet_v3"):
        networks.load_backbone(network, "mobilenet_v3", PETS_MODEL)


def test_a_cache_of_another_network_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    known = backbones.BACKBONES["mobilenet_v3"].pretrained
    with h5py.File(tmp_path / "models" / known.file, "w") as file:
        save_weights_to_hdf5_group(file, application("mobilenet_v2"))
    with pytest.raises(WeightsUnavailableError, match="is not what Keras caches"):
        networks.load_imagenet(networks.build("mobilenet_v3", SIDE, 2), "mobilenet_v3")


def test_it_can_be_taught_and_taught_on(tmp_path: Path) -> None:
    """From nothing, saved, tagged with, trained on from; from another's file: refused at once."""
    name = "mobilenet_v3"
    photos = draw_collection(tmp_path / "photos", 8, shapes=("disc", "stripes"))
    options = ["--data", photos, "--image-size", SIDE, "--fine-tune", 1, "--batch-size", 8]
    options += ["--backbone", name, "--runs", tmp_path / "runs", "--output"]
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    done = run_program("train.py", *options, first, "--weights", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    model = load(first)
    assert model.card["backbone"] == name and model.card["started_from"] == "none"
    assert Tagger.load(first).tag(draw("disc", 900)).scores[0].label in ("disc", "stripes")
    rebuilt = networks.rebuild(model).predict_on_batch(PIXELS)
    plain = keras.models.load_model(first, compile=False).predict_on_batch(PIXELS)
    assert np.array_equal(rebuilt, plain)
    done = run_program("train.py", *options, second, "--weights", "pets")
    assert done.returncode == 2 and f"its backbone is mobilenet_v2, not {name}" in done.stderr
    done = run_program("train.py", *options, second, "--weights", first, "--fine-tune", 0)
    assert done.returncode == 0, done.stdout + done.stderr
