"""A small network for small photos: one whitening convolution, then nine 3×3 convolutions.

After Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024, arXiv:2404.00498): the
widths of its smallest network, the residual blocks of its largest, its frozen whitening layer and
its identity initialisation. Two changes: SiLU, which is faster than GELU on a CPU, and average
pooling, which allows activation maps. Keras is imported when a function here runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

WIDTHS = (64, 256, 256)  # channels of the three blocks; each block halves both sides
WHITENING = "whitening"
FROZEN_ARRAYS = (f"{WHITENING}/kernel",)  # never trained; the layer's bias is
PATCH = 2  # side, in pixels, of the whitened patches
CHANNELS = 2 * 3 * PATCH**2  # of the whitening layer: each direction and its opposite
STATISTICS_MOMENTUM = 0.9  # of batch normalisation
NOISE_FLOOR = 1e-4  # added to each direction's variance, for pixels in [-1, 1]


def build_body(image_size: int) -> keras.Model:
    """`(N, S, S, 3)` → a feature map `(N, (S - 1) // 8, (S - 1) // 8, 256)`; S at least 9."""
    import keras

    layers = keras.layers
    pixels = keras.Input((image_size, image_size, 3))
    whitened = layers.Conv2D(CHANNELS, PATCH, name=WHITENING)(pixels)
    signal = layers.Activation("silu", name="whitening_silu")(whitened)

    def normalise(signal: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.BatchNormalization(
            momentum=STATISTICS_MOMENTUM, scale=False, name=f"{name}_normalisation"
        )(signal)

    def convolve(signal: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
        return layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_convolution")(
            signal
        )

    for block, width in enumerate(WIDTHS, start=1):
        a, b, c = (f"block{block}{part}" for part in "abc")
        pooled = layers.MaxPooling2D(name=f"{a}_pooling")(convolve(signal, width, a))
        shortcut = layers.Activation("silu", name=f"{a}_silu")(normalise(pooled, a))
        signal = normalise(convolve(shortcut, width, b), b)
        signal = layers.Activation("silu", name=f"{b}_silu")(signal)
        signal = normalise(convolve(signal, width, c), c)
        signal = layers.Add(name=f"{c}_sum")([shortcut, signal])
        signal = layers.Activation("silu", name=f"{c}_silu")(signal)
    return keras.Model(pixels, signal)


def initialize(network_body: keras.Model, pixels: NDArray[np.floating]) -> None:
    """Set the initial weights of a body from scaled `pixels (N, S, S, 3)`.

    The first layer whitens patches like theirs; the other convolutions start as the identity.
    """
    filters = whitening_filters(pixels)
    layer = network_body.get_layer(WHITENING)
    layer.set_weights([np.concatenate([filters, -filters], axis=-1), np.zeros(CHANNELS)])
    for layer in network_body.layers:
        if layer.name.endswith("_convolution"):
            (kernel,) = layer.get_weights()  # (3, 3, in, out)
            identity = np.arange(min(kernel.shape[2:]))
            kernel[:, :, :, identity] = 0
            kernel[1, 1, identity, identity] = 1
            layer.set_weights([kernel])


def whitening_filters(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """Whitening filters `(2, 2, 3, 12)` for scaled `pixels (N, S, S, 3)`.

    Their responses to the pixels' patches are uncorrelated and of about equal variance.
    """
    patches = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH, PATCH), axis=(1, 2))
    rows = np.moveaxis(patches, 3, -1).reshape(-1, 3 * PATCH**2)  # (patches, 2 * 2 * 3)
    variances, directions = np.linalg.eigh(rows.T.astype(np.float64) @ rows / len(rows))
    filters = directions / np.sqrt(variances + NOISE_FLOOR)
    return filters.reshape(PATCH, PATCH, 3, -1).astype(np.float32)
