"""Keras networks by name, and where their first weights come from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import ModelError, OptionError, WeightsUnavailableError
from tagger.models import networks
from tagger.models.backbones import find_backbone
from tagger.models.pretrained import cached
from tests.conftest import PETS_MODEL


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(OptionError, match="there are efficientnet_v2_b0, mobilenet_v2"):
        find_backbone("resnet")
    for size in (0, 16, 100, 1024):
        with pytest.raises(OptionError, match=f"image size {size}"):
            networks.check_image_size("mobilenet_v2", size)


def test_it_takes_pixels_as_they_are_and_scales_them_inside() -> None:
    network = networks.build("mobilenet_v2", 96, 4)
    assert network.input_shape == (None, 96, 96, 3) and network.output_shape == (None, 4)
    scaled = network.get_layer("scaling")(np.array([[[[0, 127.5, 255]]]], np.float32))
    assert np.allclose(np.array(scaled.numpy()), [-1, 0, 1], atol=1e-6)


def test_only_convolutions_and_the_head_are_trained() -> None:
    trained = {v.path for v in networks.build("mobilenet_v2", 96, 2).trainable_variables}
    assert not [path for path in trained if "gamma" in path or "beta" in path]
    assert len([path for path in trained if path.endswith("kernel")]) == 53
    thawed = networks.build("mobilenet_v2", 96, 2, train_normalisation=True)
    assert len(thawed.trainable_variables) > len(trained)


def test_the_backbone_of_a_model_file_fits_another_size_and_label_count() -> None:
    network = networks.build("mobilenet_v2", 64, 5)
    networks.load_backbone(network, "mobilenet_v2", PETS_MODEL)
    other = networks.build("mobilenet_v2", 96, 3)
    networks.load_backbone(other, "mobilenet_v2", PETS_MODEL)
    one, two = (n.get_layer(networks.BACKBONE).get_weights() for n in (network, other))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_file_that_holds_no_such_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not weights of mobilenet_v2"):
        networks.load_backbone(
            networks.build("mobilenet_v2", 64, 2), "mobilenet_v2", tmp_path / "w.h5"
        )


def test_missing_imagenet_weights_say_which_file_to_put_where(tmp_path: Path) -> None:
    code = (
        "from tagger import networks; from tagger.errors import WeightsUnavailableError\n"
        "try: networks.load_imagenet(networks.build('mobilenet_v2', 64, 2), 'mobilenet_v2')\n"
        "except WeightsUnavailableError as error: print(error)"
    )
    nowhere = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(  # Keras reads where its cache is once, when it is imported
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **nowhere, "http_proxy": "http://127.0.0.1:9"},
    )
    (line,) = [line for line in done.stdout.splitlines() if "not cached" in line]
    assert "no_top.h5 into" in line and str(tmp_path) in line


def test_a_damaged_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    damaged = cached(find_backbone("mobilenet_v2").pretrained.file)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half a download")
    with pytest.raises(WeightsUnavailableError, match="is not what Keras caches"):
        networks.load_imagenet(networks.build("mobilenet_v2", 64, 2), "mobilenet_v2")


def test_cached_imagenet_weights_are_used(data: Path) -> None:
    if not cached(find_backbone("mobilenet_v2").pretrained.file).is_file():
        pytest.skip("needs ImageNet weights in Keras's cache")
    network = networks.build("mobilenet_v2", 96, 2)
    before = network.get_layer(networks.BACKBONE).get_weights()[0].copy()
    networks.load_imagenet(network, "mobilenet_v2")
    assert not np.array_equal(before, network.get_layer(networks.BACKBONE).get_weights()[0])


def test_a_saved_network_is_an_ordinary_keras_file(tmp_path: Path) -> None:
    import keras

    network = networks.build("mobilenet_v2", 64, 2)
    networks.save_h5(network, tmp_path / "n.h5")
    again = keras.models.load_model(tmp_path / "n.h5", compile=False)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    assert np.allclose(network.predict_on_batch(pixels), again.predict_on_batch(pixels), atol=1e-5)
    shutil.copyfile(tmp_path / "n.h5", tmp_path / "copy.h5")
    networks.load_backbone(network, "mobilenet_v2", PETS_MODEL)
