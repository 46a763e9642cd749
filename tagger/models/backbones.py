"""Backbones by name: the convolutional body of a network, and the preprocessing it expects.

Preprocessing becomes a layer of the network, so that every network takes `uint8` RGB. Keras, and
with it TensorFlow, is imported when a function here runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import OptionError
from tagger.models import small_cnn

if TYPE_CHECKING:
    import keras

DEFAULT_BACKBONE = "mobilenet_v2"

Channels = float | tuple[float, float, float]  # one number for all three channels, or one each


def _mean_pooling(name: str) -> keras.Layer:
    import keras

    return keras.layers.GlobalAveragePooling2D(name=name)


@dataclass(frozen=True)
class Pretrained:
    """ImageNet weights: the class in keras.applications, and the weights file in its cache."""

    application: str
    file: str  # without the classification head


@dataclass(frozen=True)
class Backbone:
    """How to build a backbone.

    `build_body(S)` gives a model from `(N, S, S, 3)` to a feature map `(N, h, w, D)`, its layers
    not nested; layers with weights need fixed names, by which a file's arrays are assigned.
    `image_sizes` are the valid S. The body's input is `pixel * scale + offset`, in BGR order if
    `bgr`. `build_pooling(name)` gives the layer from the map to features `(N, D)`. `pretrained`
    is None for a backbone without ImageNet weights; `initialize(body, scaled_photos)` then sets
    initial weights that depend on photos, `(N, S, S, 3)` scaled like the body's input. Arrays
    named in `frozen_arrays` are never trained.
    """

    build_body: Callable[[int], keras.Model]
    scale: Channels
    offset: Channels
    bgr: bool = False
    build_pooling: Callable[[str], keras.Layer] = _mean_pooling
    pretrained: Pretrained | None = None
    initialize: Callable[[keras.Model, NDArray[np.floating]], None] | None = None
    frozen_arrays: tuple[str, ...] = ()
    image_sizes: range = range(32, 513, 32)


def find_backbone(name: str) -> Backbone:
    """The backbone of that name. Raises OptionError, which lists the names."""
    if name not in BACKBONES:
        raise OptionError(f"backbone {name!r}: there are {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]


def scaling_layer(backbone: Backbone, name: str) -> keras.Layer:
    """The layer called `name` from RGB pixels `uint8 (N, S, S, 3)` to the body's input."""
    import keras

    if not backbone.bgr:
        return keras.layers.Rescaling(backbone.scale, backbone.offset, name=name)
    # Channels are swapped by a convolution, which every Keras and every converter supports.
    swap = keras.layers.Conv2D(3, 1, use_bias=False, trainable=False, name="bgr")
    scaling = keras.layers.Rescaling(backbone.scale, backbone.offset)
    layers = keras.Sequential([keras.Input((None, None, 3)), scaling, swap], name=name)
    swap.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)])
    return layers


def _keras_application(name: str, image_size: int, **options: Any) -> keras.Model:
    """A body from keras.applications, made of layers that an `.h5` file can store."""
    import keras

    body = getattr(keras.applications, name)(
        input_shape=(image_size, image_size, 3), include_top=False, weights=None, **options
    )
    return keras.models.clone_model(body, clone_function=_keep_layer, call_function=_call_as_layer)


def _keep_layer(layer: keras.Layer) -> keras.Layer:
    return layer


def _call_as_layer(operation: Any, *inputs: Any, **options: Any) -> Any:
    """Call a layer; turn a bare `x + 3` or `x * 2`, which no `.h5` file stores, into a layer."""
    import keras

    if isinstance(operation, keras.Layer):
        return operation(*inputs, **options)
    features, number = inputs
    kind = type(operation).__name__
    if kind == "Add":
        return keras.layers.Rescaling(1.0, number)(features)
    if kind == "Multiply":
        return keras.layers.Rescaling(number)(features)
    raise NotImplementedError(f"no layer does what {kind} does")


BACKBONES = {
    # Sandler et al. 2018, arXiv:1801.04381
    "mobilenet_v2": Backbone(
        build_body=partial(_keras_application, "MobileNetV2"),
        scale=1 / 127.5,
        offset=-1.0,
        pretrained=Pretrained(
            "MobileNetV2", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
        ),
    ),
    # The large variant: Howard et al. 2019, arXiv:1905.02244
    "mobilenet_v3": Backbone(
        build_body=partial(_keras_application, "MobileNetV3Large", include_preprocessing=False),
        scale=1 / 127.5,
        offset=-1.0,
        pretrained=Pretrained(
            "MobileNetV3Large", "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5"
        ),
    ),
    # Tan & Le 2021, arXiv:2104.00298
    "efficientnet_v2_b0": Backbone(
        build_body=partial(_keras_application, "EfficientNetV2B0", include_preprocessing=False),
        scale=(1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
        offset=(-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
        pretrained=Pretrained("EfficientNetV2B0", "efficientnetv2-b0_notop.h5"),
    ),
    # He et al. 2015, arXiv:1512.03385, with weights converted from Caffe: BGR
    "resnet50": Backbone(
        build_body=partial(_keras_application, "ResNet50"),
        scale=1.0,
        offset=(-123.68, -116.779, -103.939),
        bgr=True,
        pretrained=Pretrained("ResNet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    ),
    "small_cnn": Backbone(
        build_body=small_cnn.build_body,
        scale=1 / 127.5,
        offset=-1.0,
        initialize=small_cnn.initialize,
        frozen_arrays=small_cnn.FROZEN_ARRAYS,
        image_sizes=range(16, 129),
    ),
}
