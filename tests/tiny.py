"""A network of two convolutions that tells the drawn shapes apart, trained within seconds.

The first convolution finds edges in eight directions in each colour channel, the second one
combines them at random; only the head has to be learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from tagger.models import imagenet
from tagger.models.backbones import BACKBONES, Backbone
from tagger.models.weights import NO_WEIGHTS
from tagger.training import config

if TYPE_CHECKING:
    import keras

NAME = "tiny"
WITH_DROPOUT = "tiny_with_dropout"
IMAGE_SIZE = 64
DIRECTIONS = 8
FEATURES = 128
SIDE = 5  # pixels a side of both convolutions' kernels
GAIN = 30  # brings features to about 1, where the head's regularisation expects them
NOISE = 0.1  # edges weaker than this, in units of the pixels' range [-1, 1], count as none


def build_body(image_size: int) -> keras.Model:
    """`(N, S, S, 3)` → a feature map `(N, S / 4, S / 4, 128)`."""
    import keras

    layers = keras.layers
    edges = layers.Conv2D(3 * DIRECTIONS, SIDE, padding="same", activation="relu", name="edges")
    combine = layers.Conv2D(
        FEATURES, SIDE, strides=2, padding="same", activation="relu", name="combinations"
    )
    pixels = keras.Input((image_size, image_size, 3))
    feature_map = combine(layers.MaxPooling2D(name="strongest_edges")(edges(pixels)))
    body = keras.Model(pixels, feature_map)
    edges.set_weights([edge_filters(), np.full(3 * DIRECTIONS, -NOISE * GAIN, np.float32)])
    combine.set_weights([random_combinations(), np.zeros(FEATURES, np.float32)])
    return body


def edge_filters() -> NDArray[np.float32]:
    """`(5, 5, 3, 24)`: derivatives of a Gaussian, the same ones for each colour channel."""
    y, x = np.mgrid[-(SIDE // 2) : SIDE // 2 + 1, -(SIDE // 2) : SIDE // 2 + 1]
    window = np.exp(-(x**2 + y**2) / (2 * (SIDE / 4) ** 2))
    kernel = np.zeros((SIDE, SIDE, 3, 3 * DIRECTIONS), np.float32)
    for number in range(DIRECTIONS):
        angle = 2 * np.pi * number / DIRECTIONS
        derivative = window * (x * np.cos(angle) + y * np.sin(angle))
        for channel in range(3):
            kernel[:, :, channel, channel * DIRECTIONS + number] = (
                GAIN * derivative / np.abs(derivative).sum()
            )
    return kernel


def random_combinations() -> NDArray[np.float32]:
    """`(5, 5, 24, 128)`: the same combination of edges whichever colour channel they are in."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(SIDE, SIDE, DIRECTIONS, FEATURES))
    kernel *= GAIN / 3 * np.sqrt(2 / (3 * DIRECTIONS * SIDE**2))
    return np.tile(kernel, (1, 1, 3, 1)).astype(np.float32)


def build_dropout_body(image_size: int) -> keras.Model:
    """The same, with dropout on the feature map."""
    import keras

    body = build_body(image_size)
    return keras.Model(body.input, keras.layers.Dropout(0.3, name="dropout")(body.output))


def teach_answers(patch: pytest.MonkeyPatch, classes: tuple[str, ...]) -> None:
    """Let a training of the tiny network keep its first answers about some classes.

    ImageNet's network has a head that this stands for, and is too large for a test.
    """
    kernel = np.random.default_rng(1).normal(0, 0.1, (FEATURES, len(classes))).astype(np.float32)
    patch.setattr(config, "TEACHER", (NAME, NO_WEIGHTS))
    patch.setattr(imagenet, "CLASSES", len(classes))
    patch.setattr(imagenet, "check_head", lambda: None)
    patch.setattr(imagenet, "load_head", lambda: (kernel, np.zeros(len(classes), np.float32)))
    patch.setattr(imagenet, "load_names", lambda: classes)


BACKBONES[NAME] = Backbone(build_body=build_body, scale=1 / 127.5, offset=-1.0)
BACKBONES[WITH_DROPOUT] = Backbone(build_dropout_body, scale=1 / 127.5, offset=-1.0)
