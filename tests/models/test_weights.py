"""Weights: loaded from model files and from Keras's cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tagger.errors import ModelError, WeightsUnavailableError
from tagger.models import networks
from tagger.models.backbones import find_backbone
from tagger.models.keras_cache import cached_path
from tagger.models.weights import load_backbone, load_imagenet
from tests.conftest import PETS_MODEL

pytestmark = pytest.mark.training


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


def test_a_damaged_cache_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    damaged = cached_path(find_backbone("mobilenet_v2").pretrained.file)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half a download")
    with pytest.raises(WeightsUnavailableError, match="is not what Keras caches"):
        load_imagenet(networks.build("mobilenet_v2", 64, 2), "mobilenet_v2")
