"""Keras network → LiteRT flatbuffer, in float or in int8 if that predicts the same.

TensorFlow is imported when a function here runs.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import chunks
from tagger.images.decode import Pixels
from tagger.inference.litert import Runtime
from tagger.models.networks import with_all_outputs

if TYPE_CHECKING:
    import keras

# What int8 needs to replace float, on the validation photos.
MIN_AGREEMENT = 0.99  # share of photos with the same likeliest label
MIN_TAG_AGREEMENT = 0.9  # share of tags; lower, since many tags lie close to even odds
MAX_ACCURACY_LOSS = 0.003
MAX_MAP_LOSS = 0.01  # one photo of a rare tag moves mAP by more than accuracy
HEAD_OPERATION = "FULLY_CONNECTED"  # stays in float
BATCH = 50  # photos the float network predicts at once


@dataclass(frozen=True)
class PrecisionCheck:
    """How an int8 network compares with its float original on the validation photos.

    `precision` is the one chosen, "int8" or "float32". `agreement` and the accuracies are in
    [0, 1]; for tags accuracy is mAP, None if no tag can be ranked.
    """

    precision: str
    agreement: float
    float_accuracy: float | None
    int8_accuracy: float | None


@dataclass(frozen=True)
class Conversion:
    """The LiteRT network to ship, and how its precision was chosen."""

    network: bytes
    check: PrecisionCheck


def to_litert(network: keras.Model, ranges: Sequence[Pixels] | None = None) -> bytes:
    """A LiteRT flatbuffer for one photo, with outputs logits, features and feature_map.

    With `ranges`, photos `uint8 (S, S, 3)`, weights and activations become int8; the photos give
    the ranges of activations (Jacob et al. 2018, arXiv:1712.05877). The head stays in float: one
    int8 scale for the logits of all tags would give many photos the very same probability.
    """
    return to_flatbuffer(with_all_outputs(network), ranges)


def to_flatbuffer(
    outputs: keras.Model, ranges: Iterable[Pixels] | None = None, integer_only: bool = False
) -> bytes:
    """The LiteRT flatbuffer of a Keras model for one photo, with the model's output names.

    In float, or with `ranges` in int8 but for HEAD_OPERATION. `integer_only` allows no float
    operation except at the outputs; the input, `float32` in Keras, becomes `uint8`.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _save_model(outputs, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if ranges is not None:

            def representative_dataset() -> Iterator[list[NDArray[Any]]]:
                for pixels in ranges:
                    yield [_with_full_range(pixels) if integer_only else pixels[None]]

            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = representative_dataset
            if integer_only:
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = tf.uint8
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if ranges is None or integer_only:
                return bytes(converter.convert())
            # TensorFlow's way to keep chosen operations in float.
            debugger = tf.lite.experimental.QuantizationDebugger(
                converter=converter,
                debug_dataset=representative_dataset,
                debug_options=tf.lite.experimental.QuantizationDebugOptions(
                    denylisted_ops=[HEAD_OPERATION]
                ),
            )
            return bytes(debugger.get_nondebug_quantized_model())


def _save_model(model: keras.Model, folder: str) -> None:
    """Write `model` to `folder` as a SavedModel that takes one photo.

    `TFLiteConverter.from_keras_model` does so through `model.export`, which is slower: it traces
    the network several times.
    """
    import tensorflow as tf

    photo = tf.TensorSpec((1, *model.input.shape[1:]), model.input.dtype, name=model.input.name)
    predict = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    module = tf.Module()
    # The function reads these: they are saved only if the module refers to them.
    module.weights = [variable.value for variable in model.variables]
    tf.saved_model.save(module, folder, signatures=predict.get_concrete_function(photo))


def _with_full_range(pixels: Pixels) -> NDArray[np.float32]:
    """A batch of one photo with a black and a white pixel: an input range of exactly 0 to 255."""
    batch = pixels[None].astype(np.float32)  # (1, S, S, 3)
    batch[0, 0, 0], batch[0, 0, 1] = 0, 255
    return batch


def choose_precision(
    network: keras.Model,
    ranges: Sequence[Pixels],
    photos: Callable[[], Iterable[Pixels]],
    labels: NDArray[Any],
    mean_average_precision: Callable[[NDArray[np.float32], NDArray[Any]], float | None],
) -> Conversion:
    """Convert to int8 if that predicts the same on the validation photos, else to float.

    `photos` yields the validation photos anew on each call. `labels` are theirs: numbers `(N,)`,
    or cells `(N, C)` of tags, for which `mean_average_precision(logits, cells)` is the accuracy.
    """
    int8_network = to_litert(network, ranges)
    float_logits = np.concatenate(
        [np.asarray(network.predict_on_batch(np.stack(b))) for b in chunks(photos(), BATCH)]
    )
    int8_logits = np.stack([o.logits for o in Runtime(int8_network).run_all(photos())])
    if labels.ndim == 2:
        measure, min_agreement, max_loss = mean_average_precision, MIN_TAG_AGREEMENT, MAX_MAP_LOSS
        same = agreement(float_logits > 0, int8_logits > 0)
    else:
        measure, min_agreement, max_loss = accuracy, MIN_AGREEMENT, MAX_ACCURACY_LOSS
        same = agreement(float_logits.argmax(axis=1), int8_logits.argmax(axis=1))
    float_accuracy, int8_accuracy = measure(float_logits, labels), measure(int8_logits, labels)
    faithful = same >= min_agreement
    if float_accuracy is not None and int8_accuracy is not None:
        faithful = faithful and int8_accuracy >= float_accuracy - max_loss
    return Conversion(
        int8_network if faithful else to_litert(network),
        PrecisionCheck("int8" if faithful else "float32", same, float_accuracy, int8_accuracy),
    )


def accuracy(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Share of `logits (N, C)` whose largest is that of the label `(N,)`."""
    return float((logits.argmax(axis=1) == labels).mean())


def agreement(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Share of equal labels `(N,)`; of the tags in either of two `(N, C)`, the share in both."""
    if first.ndim == 1:
        return float((first == second).mean())
    either = int((first | second).sum())
    return int((first & second).sum()) / either if either else 1.0
