"""Keras networks by name: pixels `uint8 (N, S, S, 3)` → logits, with features and their map.

Whatever a backbone (see `tagger.backbones`) wants done to pixels is a layer inside the network.
Keras, and with it TensorFlow, is imported when a function here first runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagger.errors import ModelError, OptionError, WeightsUnavailableError
from tagger.images.decode import Pixels
from tagger.inference import model_file
from tagger.models import pretrained
from tagger.models.backbones import find_backbone, scaling_layer

Precision = Literal["float32", "bfloat16"]  # of convolutions while training

if TYPE_CHECKING:
    import keras

SCALING = "scaling"  # layer names, so that a file's arrays can be found again
BACKBONE = "backbone"
FEATURES = "features"
HEAD = "head"
LAYERS = (SCALING, BACKBONE, FEATURES, HEAD)  # from pixels to logits


def check_image_size(backbone: str, image_size: int) -> None:
    """OptionError unless that backbone can be built for it."""
    sizes = find_backbone(backbone).image_sizes
    if image_size not in sizes:
        kind = "a whole number" if sizes.step == 1 else f"a multiple of {sizes.step}"
        raise OptionError(
            f"image size {image_size}: for {backbone}, give {kind} from {sizes[0]} to {sizes[-1]}"
            " pixels"
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
    check_image_size(backbone, image_size)
    body = spec.build_body(image_size)
    body = keras.Model(body.input, body.output, name=BACKBONE)  # the same layers
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
    """Give a network without weights its first values, where its backbone takes them of photos."""
    if (prepare_body := find_backbone(backbone).initialize) is not None:
        scaled = network.get_layer(SCALING)(np.stack(list(photos)))
        prepare_body(network.get_layer(BACKBONE), np.asarray(scaled))


@contextmanager
def freeze_arrays(backbone: str, network: keras.Model) -> Iterator[None]:
    """Leave the arrays that this backbone keeps out of what is trained meanwhile.

    Not for good: an `.h5` file's arrays lie in the order of what is trained, and no file tells
    that of a single array.
    """
    kept = find_backbone(backbone).frozen_arrays
    variables = [v for v in network.get_layer(BACKBONE).variables if v.path in kept]
    for variable in variables:
        variable.trainable = False
    try:
        yield
    finally:
        for variable in variables:
            variable.trainable = True


@contextmanager
def compute_precision(precision: Precision, network: keras.Model) -> Iterator[None]:
    """Let the backbone compute in that precision meanwhile; its weights stay float32.

    What Keras compiles is what holds at the first call: train inside, predict outside.
    """
    body = network.get_layer(BACKBONE)
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    before = [layer.dtype_policy for layer in body.layers]
    try:
        for layer in body.layers:
            layer.dtype_policy = policy
        yield
    finally:
        for layer, earlier in zip(body.layers, before, strict=True):
            layer.dtype_policy = earlier


def recompute_statistics(network: keras.Model, batches: Iterable[Sequence[Pixels]]) -> None:
    """Take batch normalisation's means and variances anew, as the mean of what those batches have.

    Averaged weights need it: what was gathered while training belongs to the weights before
    (Izmailov et al. 2018, arXiv:1803.05407).
    """
    import keras

    layers = [
        layer
        for layer in network.get_layer(BACKBONE).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momentum = [layer.momentum for layer in layers]
    for number, photos in enumerate(batches):
        for layer in layers:
            layer.momentum = number / (number + 1)
        network(np.stack(photos), training=True)
    for layer, usual in zip(layers, momentum, strict=True):
        layer.momentum = usual


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
    """The same layers: logits (N, C), features (N, D), feature_map (N, h, w, D).

    For `batch` photos at once, None for any number; pixels may come as "float32", too.
    """
    import keras

    pixels = keras.Input(batch_shape=(batch, *network.input_shape[1:]), dtype=dtype, name="pixels")
    scaling, body, pooling, head = (network.get_layer(name) for name in LAYERS)
    feature_map = body(scaling(pixels), training=False)
    features = pooling(feature_map)
    logits = head(features)
    outputs = {"logits": logits, "features": features, "feature_map": feature_map}
    return keras.Model(pixels, outputs)


def imagenet_weights(backbone: str) -> Path:
    """The file of that backbone's ImageNet weights, in Keras's cache; downloaded if need be.

    Raises WeightsUnavailableError where it is neither cached nor to be had, OptionError for a
    backbone without such weights.
    """
    known = find_backbone(backbone).pretrained
    if known is None:
        raise OptionError(
            f"weights 'imagenet': there are none for {backbone}; give none, or a model of it"
        )

    def download() -> None:
        """Let Keras fetch and check its own file, at the size that file is named for."""
        import keras

        application = getattr(keras.applications, known.application)
        application(input_shape=(224, 224, 3), include_top=False, weights="imagenet")

    (file,) = pretrained.fetch(f"ImageNet weights for {backbone} are", download, known.file)
    return file


def load_imagenet(network: keras.Model, backbone: str) -> None:
    """Fill the backbone with ImageNet weights; raises as `imagenet_weights` does."""
    _load_cached(network.get_layer(BACKBONE), imagenet_weights(backbone))


def load_with_head(network: keras.Model, file: Path) -> None:
    """Fill backbone and head from a file of Keras's cache that has both.

    Raises WeightsUnavailableError for one that is not of this network.
    """
    import keras

    body, features, head = (network.get_layer(name) for name in (BACKBONE, FEATURES, HEAD))
    _load_cached(keras.Model(body.input, head(features(body.output))), file)


def _load_cached(layers: keras.Model, file: Path) -> None:
    try:
        layers.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsUnavailableError(f"{file} is not what Keras caches: {error}") from error


def check_backbone(backbone: str, path: Path) -> None:
    """ModelError if `path` is a model file of ours with another backbone."""
    if (
        model_file.is_model_file(path)
        and (own := model_file.load(path).card["backbone"]) != backbone
    ):
        raise ModelError(f"{path}: its backbone is {own}, not {backbone}")


def load_backbone(network: keras.Model, backbone: str, path: Path) -> None:
    """Fill the backbone from a model file of ours, or from a Keras weights file of that network.

    Arrays are read by name; nothing in the file is run. Raises ModelError where they do not fit.
    """
    body = network.get_layer(BACKBONE)
    if not model_file.is_model_file(path):
        try:
            body.load_weights(path)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path}: not weights of {backbone} ({error})") from error
        return
    check_backbone(backbone, path)
    _fill(body, model_file.read_arrays(path), path)


def rebuild(model: model_file.ModelFile) -> keras.Model:
    """The Keras network of a model file: built by its backbone's name, then given its arrays.

    Nothing in the file is run. Raises ModelError where the arrays do not fit.
    """
    network = build(model.card["backbone"], model.image_size, len(model.labels))
    arrays = model_file.read_arrays(model.path)
    for layer in network.layers:
        _fill(layer, arrays, model.path)
    return network


def _fill(layer: keras.Layer, arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Give a layer of a network its arrays out of a model file, by name."""
    for variable in layer.weights:
        value = arrays.get(f"{layer.name}/{variable.path}")
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
