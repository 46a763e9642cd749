"""A network of our own for small photos: nine convolutions behind a whitening one.

After Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024, arXiv:2404.00498): the
widths of its smallest network, the residual blocks of its largest, its frozen whitening layer and
its identity start; here with SiLU, which a CPU has sooner than GELU, and averaged features, so
that a label's activation map can be shown. Keras is imported when a function here runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

WIDTHS = (64, 256, 256)  # channels; each block halves both sides
WHITENING = "whitening"
FROZEN_ARRAYS = (
    f"{WHITENING}/kernel",
)  # arrays that training leaves as they are; its bias is learned
PATCH = 2  # pixels a side that are whitened together
CHANNELS = 2 * 3 * PATCH**2  # of the whitening layer: each direction and its opposite
STATISTICS_MOMENTUM = 0.9  # of batch normalisation: a tenth is the newest batch's
NOISE_FLOOR = 1e-4  # added to each direction's variance, of pixels in [-1, 1]


def build_body(image_size: int) -> keras.Model:
    """`(N, S, S, 3)` → a feature map `(N, (S - 1) // 8, (S - 1) // 8, 256)`; S at least 9."""
    import keras

    layers = keras.layers
    pixels = keras.Input((image_size, image_size, 3))
    whitened = layers.Conv2D(CHANNELS, PATCH, name=WHITENING)(pixels)
    signal = layers.Activation("silu", name="whitening_silu")(whitened)

    def normalised(signal: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return layers.BatchNormalization(
            momentum=STATISTICS_MOMENTUM, scale=False, name=f"{name}_normalisation"
        )(signal)

    def convolved(signal: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
        return layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_convolution")(
            signal
        )

    for block, width in enumerate(WIDTHS, start=1):
        a, b, c = (f"block{block}{part}" for part in "abc")
        halved = layers.MaxPooling2D(name=f"{a}_pooling")(convolved(signal, width, a))
        short = layers.Activation("silu", name=f"{a}_silu")(normalised(halved, a))
        signal = normalised(convolved(short, width, b), b)
        signal = layers.Activation("silu", name=f"{b}_silu")(signal)
        signal = normalised(convolved(signal, width, c), c)
        signal = layers.Add(name=f"{c}_sum")([short, signal])
        signal = layers.Activation("silu", name=f"{c}_silu")(signal)
    return keras.Model(pixels, signal)


def initialize(network_body: keras.Model, pixels: NDArray[np.floating]) -> None:
    """Give an untrained body its first values: whitened patches of `pixels (N, S, S, 3)`.

    `pixels` are as the body gets them. Its other convolutions begin by handing on what comes in.
    """
    filters = whitening_filters(pixels)
    layer = network_body.get_layer(WHITENING)
    layer.set_weights([np.concatenate([filters, -filters], axis=-1), np.zeros(CHANNELS)])
    for layer in network_body.layers:
        if layer.name.endswith("_convolution"):
            (kernel,) = layer.get_weights()  # (3, 3, in, out)
            handed_on = np.arange(min(kernel.shape[2:]))
            kernel[:, :, :, handed_on] = 0
            kernel[1, 1, handed_on, handed_on] = 1
            layer.set_weights([kernel])


def whitening_filters(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """`(2, 2, 3, 12)`: filters whose answers to the patches of `pixels (N, S, S, 3)` are
    uncorrelated and about as strong as each other."""
    patches = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH, PATCH), axis=(1, 2))
    rows = np.moveaxis(patches, 3, -1).reshape(-1, 3 * PATCH**2)  # a patch: rows, columns, RGB
    variances, directions = np.linalg.eigh(rows.T.astype(np.float64) @ rows / len(rows))
    filters = directions / np.sqrt(variances + NOISE_FLOOR)
    return filters.reshape(PATCH, PATCH, 3, -1).astype(np.float32)
