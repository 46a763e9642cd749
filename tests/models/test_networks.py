"""Keras networks by backbone name."""

from __future__ import annotations

import numpy as np
import pytest

from tagger.errors import OptionError
from tagger.models import networks

pytestmark = pytest.mark.training


def test_other_image_sizes_are_refused() -> None:
    for size in (0, 16, 100, 1024):
        with pytest.raises(OptionError, match=f"image size {size}"):
            networks.check_image_size("mobilenet_v2", size)


def test_a_network_scales_pixels_itself() -> None:
    network = networks.build("mobilenet_v2", 96, 4)
    assert network.input_shape == (None, 96, 96, 3) and network.output_shape == (None, 4)
    scaled = network.get_layer("scaling")(np.array([[[[0, 127.5, 255]]]], np.float32))
    assert np.allclose(np.array(scaled.numpy()), [-1, 0, 1], atol=1e-6)


def test_fine_tuning_leaves_normalisation_alone() -> None:
    trained = {v.path for v in networks.build("mobilenet_v2", 96, 2).trainable_variables}
    assert not [path for path in trained if "gamma" in path or "beta" in path]
    assert len([path for path in trained if path.endswith("kernel")]) == 53
    from_scratch = networks.build("mobilenet_v2", 96, 2, train_normalisation=True)
    assert len(from_scratch.trainable_variables) > len(trained)
