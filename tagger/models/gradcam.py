"""Where a label's evidence lies, for networks of any shape: Grad-CAM.

A gradient needs the Keras network, which `networks.rebuild` makes of a model file. Keras, and with
it TensorFlow, is imported when a function here runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagger.images.decode import Pixels
from tagger.models import networks

if TYPE_CHECKING:
    import keras


def grad_cam(network: keras.Model, pixels: Pixels, index: int) -> NDArray[np.float32]:
    """`(h, w)`, 0 and more, for prepared `pixels (S, S, 3)`: what speaks for label `index`.

    The feature map, each channel weighted by the mean gradient of the label's logit over it,
    negative sums left out (Selvaraju et al., "Grad-CAM", 2017, arXiv:1610.02391).
    """
    import tensorflow as tf

    scaling, body, features, head = (network.get_layer(name) for name in networks.LAYERS)
    feature_map = body(scaling(pixels[None]), training=False)  # (1, h, w, D)
    with tf.GradientTape() as tape:
        tape.watch(feature_map)
        logit = head(features(feature_map))[0, index]
    gradient = tape.gradient(logit, feature_map)[0]  # (h, w, D)
    weights = np.asarray(gradient).mean(axis=(0, 1))  # (D,)
    found: NDArray[np.float32] = np.maximum(np.asarray(feature_map[0]) @ weights, 0)
    return found
