"""Backbones by name: the body of a network, and what it wants to be given.

Each takes pixels in its own way, and its layers for that are part of the network, so that every
network here takes `uint8` RGB. Keras, and with it TensorFlow, is imported when a function runs.
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

DEFAULT_BACKBONE = "mobilenet_v2"  # unless another is asked for

Channels = float | tuple[float, float, float]  # one number for red, green and blue, or one each


def _mean_pooling(name: str) -> keras.Layer:
    import keras

    return keras.layers.GlobalAveragePooling2D(name=name)


@dataclass(frozen=True)
class Pretrained:
    """ImageNet weights that Keras has: its class in keras.applications, and its cache's file."""

    application: str
    file: str  # without the top


@dataclass(frozen=True)
class Backbone:
    """A network body.

    `body` builds it for an image size S: `(N, S, S, 3)` → a feature map `(N, h, w, D)`, all its
    layers directly in it. A pixel p of an RGB photo reaches it as `p * scale + offset`, blue
    first if it wants `bgr`. `pooling` builds the layer, of the name it is given, that makes the
    features `(N, D)` of the map. Layers with arrays need names of their own, by which a file's
    arrays are found again. `pretrained` is None for one that only starts from nothing; `prepare`
    then takes its first values from photos `(N, S, S, 3)` as the body gets them. Training leaves
    the arrays called `kept` as they are. `image_sizes` are the S it can be built for.
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
    """The backbone of that name; OptionError naming those there are."""
    if name not in BACKBONES:
        raise OptionError(f"backbone {name!r}: there are {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]


def scaling_layer(backbone: Backbone, name: str) -> keras.Layer:
    """The layer, of that name, from pixels `uint8 (N, S, S, 3)`, RGB, to what the body wants."""
    import keras

    if not backbone.bgr:
        return keras.layers.Rescaling(backbone.scale, backbone.offset, name=name)
    # A convolution that swaps channels: any Keras loads it, any converter takes it, int8 as well.
    swap = keras.layers.Conv2D(3, 1, use_bias=False, trainable=False, name="bgr")
    scaling = keras.layers.Rescaling(backbone.scale, backbone.offset)
    both = keras.Sequential([keras.Input((None, None, 3)), scaling, swap], name=name)
    swap.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)])
    return both


def _application(name: str, image_size: int, **options: Any) -> keras.Model:
    """The body of a network in keras.applications, in layers that an `.h5` file can hold."""
    import keras

    body = getattr(keras.applications, name)(
        input_shape=(image_size, image_size, 3), include_top=False, weights=None, **options
    )
    return keras.models.clone_model(body, clone_function=_itself, call_function=_call_as_layer)


def _itself(layer: keras.Layer) -> keras.Layer:
    return layer


def _call_as_layer(operation: Any, *inputs: Any, **options: Any) -> Any:
    """Call a layer; of a bare `x + 3` or `x * 2`, which no `.h5` file gives back, make one."""
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
        build_body=partial(_application, "MobileNetV2"),
        scale=1 / 127.5,
        offset=-1.0,
        pretrained=Pretrained(
            "MobileNetV2", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
        ),
    ),
    # The large one: Howard et al. 2019, arXiv:1905.02244
    "mobilenet_v3": Backbone(
        build_body=partial(_application, "MobileNetV3Large", include_preprocessing=False),
        scale=1 / 127.5,
        offset=-1.0,
        pretrained=Pretrained(
            "MobileNetV3Large", "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5"
        ),
    ),
    # Tan & Le 2021, arXiv:2104.00298
    "efficientnet_v2_b0": Backbone(
        build_body=partial(_application, "EfficientNetV2B0", include_preprocessing=False),
        scale=(1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
        offset=(-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
        pretrained=Pretrained("EfficientNetV2B0", "efficientnetv2-b0_notop.h5"),
    ),
    # He et al. 2015, arXiv:1512.03385, with the weights of its authors' Caffe: blue first
    "resnet50": Backbone(
        build_body=partial(_application, "ResNet50"),
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
