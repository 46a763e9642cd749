"""Keras networks by backbone name: pixels `uint8 (N, S, S, 3)` → logits `(N, C)`.

A network has the four LAYERS: scaling, backbone, features (pooling) and head, so preprocessing
travels with it. Keras, and with it TensorFlow, is imported when a function here runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.images.decode import Pixels
from tagger.models.backbones import find_backbone, scaling_layer

if TYPE_CHECKING:
    import keras

Precision = Literal["float32", "bfloat16"]  # of convolutions during training

# Layer names, by which the arrays in a file are assigned.
SCALING = "scaling"
BACKBONE = "backbone"
FEATURES = "features"
HEAD = "head"
LAYERS = (SCALING, BACKBONE, FEATURES, HEAD)  # from pixels to logits


def check_image_size(backbone: str, image_size: int) -> None:
    """Raise OptionError if the backbone cannot be built for this image size."""
    sizes = find_backbone(backbone).image_sizes
    if image_size not in sizes:
        kind = "a whole number" if sizes.step == 1 else f"a multiple of {sizes.step}"
        raise OptionError(
            f"image size {image_size}: for {backbone}, give {kind} from {sizes[0]} to {sizes[-1]}"
            " pixels"
        )


def set_seed(seed: int) -> None:
    """Make runs reproducible: equal initial values, and operations in a fixed order."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(
    backbone: str, image_size: int, outputs: int, train_normalisation: bool = False
) -> keras.Model:
    """An untrained network: `uint8 (N, S, S, 3)` → logits `(N, outputs)`.

    Batch normalisation stays in inference mode while the rest is fine-tuned: on small batches its
    statistics would drift, and training it costs twice the time and memory. A network trained
    from scratch needs `train_normalisation`.
    """
    import keras

    spec = find_backbone(backbone)
    check_image_size(backbone, image_size)
    body = spec.build_body(image_size)
    body = keras.Model(body.input, body.output, name=BACKBONE)  # the same layers, renamed
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = train_normalisation
    pixels = keras.Input((image_size, image_size, 3), dtype="uint8", name="pixels")
    scaled = scaling_layer(spec, SCALING)(pixels)
    feature_map = body(scaled) if train_normalisation else body(scaled, training=False)
    features = spec.build_pooling(FEATURES)(feature_map)
    logits = keras.layers.Dense(outputs, name=HEAD, dtype="float32")(features)
    return keras.Model(pixels, logits, name=f"{backbone}_{image_size}")


def initialize(network: keras.Model, backbone: str, photos: Iterable[Pixels]) -> None:
    """Set initial weights that depend on photos, for backbones that have such weights."""
    if (initialize_body := find_backbone(backbone).initialize) is not None:
        scaled = network.get_layer(SCALING)(np.stack(list(photos)))
        initialize_body(network.get_layer(BACKBONE), np.asarray(scaled))


def resize(network: keras.Model, image_size: int) -> keras.Model:
    """The same layers for photos of another size: `uint8 (N, S, S, 3)` → features `(N, D)`.

    Batch normalisation stays in inference mode, as for a network that is fine-tuned.
    """
    import keras

    photo = keras.Input((image_size, image_size, 3))
    body = keras.models.clone_model(
        network.get_layer(BACKBONE), photo, clone_function=lambda layer: layer
    )
    pixels = keras.Input((image_size, image_size, 3), dtype="uint8", name="pixels")
    feature_map = body(network.get_layer(SCALING)(pixels), training=False)
    return keras.Model(pixels, network.get_layer(FEATURES)(feature_map))


def replace_head(
    network: keras.Model, weights: NDArray[np.float32], bias: NDArray[np.float32]
) -> keras.Model:
    """The same layers below a new head: `weights (D, C)` and `bias (C,)`."""
    import keras

    head = keras.layers.Dense(len(bias), name=HEAD, dtype="float32")
    logits = head(network.get_layer(FEATURES).output)
    head.set_weights([weights, bias])
    return keras.Model(network.input, logits, name=network.name)


def set_head(network: keras.Model, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    """Give the network's head `weights (D, C)` and `bias (C,)`."""
    network.get_layer(HEAD).set_weights([weights, bias])


@contextmanager
def freeze_arrays(backbone: str, network: keras.Model) -> Iterator[None]:
    """Exclude the backbone's `frozen_arrays` from training within this context.

    They are trainable again afterwards: an `.h5` file stores arrays in the order of trainable
    ones, and its configuration knows `trainable` per layer only, not per array.
    """
    frozen = find_backbone(backbone).frozen_arrays
    variables = [v for v in network.get_layer(BACKBONE).variables if v.path in frozen]
    for variable in variables:
        variable.trainable = False
    try:
        yield
    finally:
        for variable in variables:
            variable.trainable = True


@contextmanager
def compute_precision(precision: Precision, network: keras.Model) -> Iterator[None]:
    """Let the backbone compute in `precision` within this context; weights stay float32.

    Keras compiles for the precision of the first call: train inside, predict outside.
    """
    body = network.get_layer(BACKBONE)
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    original_policies = [layer.dtype_policy for layer in body.layers]
    try:
        for layer in body.layers:
            layer.dtype_policy = policy
        yield
    finally:
        for layer, original in zip(body.layers, original_policies, strict=True):
            layer.dtype_policy = original


def recompute_statistics(network: keras.Model, batches: Iterable[Sequence[Pixels]]) -> None:
    """Set batch normalisation's means and variances to their averages over `batches`.

    Averaged weights need it: the statistics gathered in training belong to the weights before
    averaging (Izmailov et al. 2018, arXiv:1803.05407).
    """
    import keras

    layers = [
        layer
        for layer in network.get_layer(BACKBONE).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in layers]
    for number, photos in enumerate(batches):
        for layer in layers:
            layer.momentum = number / (number + 1)  # makes the running mean a plain mean
        network(np.stack(photos), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16: about 1.5 times as fast as float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def with_all_outputs(
    network: keras.Model, batch: int | None = 1, dtype: str = "uint8"
) -> keras.Model:
    """The same layers with outputs logits (N, C), features (N, D), feature_map (N, h, w, D).

    `batch` is the fixed N, None for any number; `dtype` of the pixels is "uint8" or "float32".
    """
    import keras

    pixels = keras.Input(batch_shape=(batch, *network.input_shape[1:]), dtype=dtype, name="pixels")
    scaling, body, pooling, head = (network.get_layer(name) for name in LAYERS)
    feature_map = body(scaling(pixels), training=False)
    features = pooling(feature_map)
    logits = head(features)
    outputs = {"logits": logits, "features": features, "feature_map": feature_map}
    return keras.Model(pixels, outputs)
