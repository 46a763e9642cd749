"""Weights: loaded from model files and Keras's cache, saved as ordinary `.h5` files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tagger.errors import ModelError, WeightsUnavailableError
from tagger.models import networks
from tagger.models.backbones import find_backbone
from tagger.models.keras_cache import cached_path
from tagger.models.weights import load_backbone, load_imagenet, save_h5
from tests.conftest import PETS_MODEL


def test_a_model_files_backbone_fits_other_image_sizes_and_label_counts() -> None:
    network = networks.build("mobilenet_v2", 64, 5)
    load_backbone(network, "mobilenet_v2", PETS_MODEL)
    other = networks.build("mobilenet_v2", 96, 3)
    load_backbone(other, "mobilenet_v2", PETS_MODEL)
    first, second = (n.get_layer(networks.BACKBONE).get_weights() for n in (network, other))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not weights of mobilenet_v2"):
        load_backbone(networks.build("mobilenet_v2", 64, 2), "mobilenet_v2", tmp_path / "w.h5")


def test_missing_imagenet_weights_say_which_file_to_put_where(tmp_path: Path) -> None:
    code = (
        "from tagger.errors import WeightsUnavailableError\n"
        "from tagger.models import networks, weights\n"
        "try: weights.load_imagenet(networks.build('mobilenet_v2', 64, 2), 'mobilenet_v2')\n"
        "except WeightsUnavailableError as error: print(error)"
    )
    offline = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    process = subprocess.run(  # Keras reads KERAS_HOME once, at import
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **offline, "http_proxy": "http://127.0.0.1:9"},
    )
    (line,) = [line for line in process.stdout.splitlines() if "not cached" in line]
    assert "no_top.h5 into" in line and str(tmp_path) in line


def test_a_damaged_cache_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    damaged = cached_path(find_backbone("mobilenet_v2").pretrained.file)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half a download")
    with pytest.raises(WeightsUnavailableError, match="is not what Keras caches"):
        load_imagenet(networks.build("mobilenet_v2", 64, 2), "mobilenet_v2")


def test_cached_imagenet_weights_are_used(data: Path) -> None:
    if not cached_path(find_backbone("mobilenet_v2").pretrained.file).is_file():
        pytest.skip("needs ImageNet weights in Keras's cache")
    network = networks.build("mobilenet_v2", 96, 2)
    before = network.get_layer(networks.BACKBONE).get_weights()[0].copy()
    load_imagenet(network, "mobilenet_v2")
    assert not np.array_equal(before, network.get_layer(networks.BACKBONE).get_weights()[0])


def test_a_saved_network_is_an_ordinary_keras_file(tmp_path: Path) -> None:
    import keras

    network = networks.build("mobilenet_v2", 64, 2)
    save_h5(network, tmp_path / "n.h5")
    again = keras.models.load_model(tmp_path / "n.h5", compile=False)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    assert np.allclose(network.predict_on_batch(pixels), again.predict_on_batch(pixels), atol=1e-5)
