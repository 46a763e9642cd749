"""Weights of Keras networks: from ImageNet, from model files, and back into an `.h5`.

Arrays are read by name; nothing in a file is run. Keras, and with it TensorFlow, is imported when
a function here runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tagger.errors import ModelError, OptionError, WeightsUnavailableError
from tagger.inference import model_file
from tagger.models import keras_cache, networks
from tagger.models.backbones import find_backbone
from tagger.models.networks import BACKBONE, FEATURES, HEAD

if TYPE_CHECKING:
    import keras

NO_WEIGHTS = "none"  # the value of `weights` that means random initial values


def imagenet_weights(backbone: str) -> Path:
    """The file of a backbone's ImageNet weights in Keras's cache; downloaded if it is missing.

    Raises WeightsUnavailableError if it is neither cached nor downloadable, OptionError for a
    backbone without ImageNet weights.
    """
    pretrained = find_backbone(backbone).pretrained
    if pretrained is None:
        raise OptionError(
            f"weights 'imagenet': there are none for {backbone}; give none, or a model of it"
        )

    def download() -> None:
        import keras

        application = getattr(keras.applications, pretrained.application)
        # The side in the file's name; the weights fit every image size.
        application(input_shape=(224, 224, 3), include_top=False, weights="imagenet")

    (file,) = keras_cache.fetch(f"ImageNet weights for {backbone} are", download, pretrained.file)
    return file


def load_imagenet(network: keras.Model, backbone: str) -> None:
    """Load ImageNet weights into the backbone; raises as `imagenet_weights` does."""
    _load_cached(network.get_layer(BACKBONE), imagenet_weights(backbone))


def load_with_head(network: keras.Model, file: Path) -> None:
    """Load backbone and head from a weights file in Keras's cache.

    Raises WeightsUnavailableError if the file is of another network.
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
    """Raise ModelError if `path` is a model file of another backbone."""
    if not model_file.is_model_file(path):
        return
    if (own := model_file.load_card(path)["backbone"]) != backbone:
        raise ModelError(f"{path}: its backbone is {own}, not {backbone}")


def load_backbone(network: keras.Model, backbone: str, path: Path) -> None:
    """Load the backbone from a model file, or from a Keras weights file of that network.

    Raises ModelError if the arrays do not fit.
    """
    body = network.get_layer(BACKBONE)
    if not model_file.is_model_file(path):
        try:
            body.load_weights(path)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path}: not weights of {backbone} ({error})") from error
        return
    check_backbone(backbone, path)
    _assign_arrays(body, model_file.read_arrays(path), path)


def rebuild(model: model_file.ModelFile) -> keras.Model:
    """The Keras network of a model file: built by its backbone's name, then given its arrays.

    Raises ModelError if the arrays do not fit.
    """
    network = networks.build(model.card["backbone"], model.image_size, len(model.labels))
    arrays = model_file.read_arrays(model.path)
    for layer in network.layers:
        _assign_arrays(layer, arrays, model.path)
    return network


def _assign_arrays(layer: keras.Layer, arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Set a layer's variables to the arrays of the same names."""
    for variable in layer.weights:
        value = arrays.get(f"{layer.name}/{variable.path}")
        if value is None or value.shape != tuple(variable.shape):
            raise ModelError(f"{path}: its array {variable.path} is missing or of another shape")
        variable.assign(value)


def save_h5(network: keras.Model, path: Path) -> None:
    """Write an ordinary Keras `.h5` without an optimizer."""
    from absl import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # Keras would suggest its other file format
    try:
        network.save(path, include_optimizer=False)
    finally:
        logging.set_verbosity(level)
