"""Keras networks by name: pixels `uint8 (N, S, S, 3)` → logits, with features and their map.

Scaling to what a backbone expects is a layer inside the network. Keras, and with it TensorFlow,
is imported when a function here first runs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagger import bundle
from tagger.errors import ModelError, OptionError, WeightsUnavailableError

if TYPE_CHECKING:
    import keras

BACKBONE = "backbone"  # layer names, so that a file's arrays can be found again
HEAD = "head"
MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 32, 512  # pixels a side


@dataclass(frozen=True)
class Backbone:
    """A network body Keras can build: `application` in keras.applications, its input scaling.

    A pixel p reaches it as `p * scale + offset`.
    """

    application: str
    weights_file: str  # Keras's own cache name, without the top
    features: int
    scale: float
    offset: float


BACKBONES = {
    "mobilenet_v2": Backbone(
        application="MobileNetV2",
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        features=1280,
        scale=1 / 127.5,
        offset=-1.0,
    ),
}


def find_backbone(name: str) -> Backbone:
    """The backbone of that name; OptionError naming those there are."""
    if name not in BACKBONES:
        raise OptionError(f"backbone {name!r}: there are {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]


def check_image_size(image_size: int) -> None:
    """OptionError unless a network can be built for it."""
    if not MIN_IMAGE_SIZE <= image_size <= MAX_IMAGE_SIZE or image_size % 32:
        raise OptionError(
            f"image size {image_size}: give a multiple of 32 from {MIN_IMAGE_SIZE} to"
            f" {MAX_IMAGE_SIZE} pixels"
        )


def set_seed(seed: int) -> None:
    """Make two runs equal: the same initial values, and operations in a fixed order."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(
    backbone: str, image_size: int, outputs: int, train_normalisation: bool = False
) -> keras.Model:
    """An untrained network: `uint8 (N, S, S, 3)` → logits `(N, outputs)`.

    Batch normalisation stays in inference mode, whether or not the rest is trained: on small
    batches its statistics would drift, and training it costs twice the time and memory. A
    network that starts from nothing needs it: `train_normalisation`.
    """
    import keras

    spec = find_backbone(backbone)
    check_image_size(image_size)
    body = getattr(keras.applications, spec.application)(
        input_shape=(image_size, image_size, 3), include_top=False, weights=None, name=BACKBONE
    )
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = train_normalisation
    pixels = keras.Input((image_size, image_size, 3), dtype="uint8", name="pixels")
    scaled = keras.layers.Rescaling(spec.scale, spec.offset, name="scaling")(pixels)
    pooled = keras.layers.GlobalAveragePooling2D(name="features")(
        body(scaled) if train_normalisation else body(scaled, training=False)
    )
    logits = keras.layers.Dense(outputs, name=HEAD, dtype="float32")(pooled)
    return keras.Model(pixels, logits, name=f"{backbone}_{image_size}")


def with_features(network: keras.Model) -> keras.Model:
    """The same layers for one photo: logits (1, C), features (1, D), feature_map (1, h, w, D)."""
    import keras

    pixels = keras.Input(batch_shape=(1, *network.input_shape[1:]), dtype="uint8", name="pixels")
    scaled = network.get_layer("scaling")(pixels)
    feature_map = network.get_layer(BACKBONE)(scaled, training=False)
    features = network.get_layer("features")(feature_map)
    logits = network.get_layer(HEAD)(features)
    outputs = {"logits": logits, "features": features, "feature_map": feature_map}
    return keras.Model(pixels, outputs)


def cached_weights(backbone: str) -> Path:
    """Where Keras caches that backbone's ImageNet weights: under KERAS_HOME or `~/.keras`."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / find_backbone(backbone).weights_file


def load_imagenet(network: keras.Model, backbone: str) -> None:
    """Fill the backbone with ImageNet weights from Keras's cache, downloading them once.

    Raises WeightsUnavailableError where they are neither cached nor to be had.
    """
    spec = find_backbone(backbone)
    cached = cached_weights(backbone)
    if not cached.is_file():
        try:
            _download(spec)
        except Exception as error:  # noqa: BLE001 - no network shows itself in many ways
            reason = " ".join(str(error).split())[:120]
            raise WeightsUnavailableError(
                f"ImageNet weights for {backbone} are not cached and could not be downloaded"
                f" ({reason}); put {spec.weights_file} into {cached.parent}"
            ) from None
    try:
        network.get_layer(BACKBONE).load_weights(cached)
    except (OSError, ValueError) as error:
        raise WeightsUnavailableError(f"{cached} is not what Keras caches: {error}") from error


def _download(spec: Backbone) -> None:
    """Let Keras fetch and check its own file, at the size that file is named for."""
    import keras

    getattr(keras.applications, spec.application)(
        input_shape=(224, 224, 3), include_top=False, weights="imagenet"
    )


def load_backbone(network: keras.Model, backbone: str, path: Path) -> None:
    """Fill the backbone from a model file of ours, or from a Keras weights file of that network.

    Arrays are read by name; nothing in the file is run. Raises ModelError where they do not fit.
    """
    body = network.get_layer(BACKBONE)
    if not bundle.is_bundle(path):
        try:
            body.load_weights(path)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path}: not weights of {backbone} ({error})") from error
        return
    card = bundle.load(path).card
    if card["backbone"] != backbone:
        raise ModelError(f"{path}: its backbone is {card['backbone']}, not {backbone}")
    arrays = bundle.read_arrays(path)
    for variable in body.variables:
        value = arrays.get(f"{BACKBONE}/{variable.path}")
        if value is None or value.shape != tuple(variable.shape):
            raise ModelError(f"{path}: its array {variable.path} is missing or of another shape")
        variable.assign(value)


def save_h5(network: keras.Model, path: Path) -> None:
    """An ordinary Keras `.h5`, without an optimiser."""
    from absl import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # Keras would suggest its other file format
    try:
        network.save(path, include_optimizer=False)
    finally:
        logging.set_verbosity(level)
