"""Grad-CAM: where in a photo a label's score comes from, for networks of any architecture.

It needs gradients, hence the Keras network (`weights.rebuild`). TensorFlow is imported when a
function here runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels
from tagger.models import networks

if TYPE_CHECKING:
    import keras


def grad_cam(network: keras.Model, pixels: Pixels, label: int) -> NDArray[np.float32]:
    """The activation map `(h, w)`, 0 and more, of a label index for `pixels (S, S, 3)`.

    The feature map's channels, weighted by the mean gradient of the label's logit and summed,
    without negative sums (Selvaraju et al., "Grad-CAM", 2017, arXiv:1610.02391).
    """
    import tensorflow as tf

    scaling, body, features, head = (network.get_layer(name) for name in networks.LAYERS)
    feature_map = body(scaling(pixels[None]), training=False)  # (1, h, w, D)
    with tf.GradientTape() as tape:
        tape.watch(feature_map)
        logit = head(features(feature_map))[0, label]
    gradient = tape.gradient(logit, feature_map)[0]  # (h, w, D)
    weights = np.asarray(gradient).mean(axis=(0, 1))  # (D,)
    activation: NDArray[np.float32] = np.maximum(np.asarray(feature_map[0]) @ weights, 0)
    return activation
