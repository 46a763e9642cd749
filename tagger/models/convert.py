"""A Keras network → LiteRT, in float or int8, checked against the original.

TensorFlow is imported when a function here runs.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import chunks
from tagger.images.decode import Pixels
from tagger.inference.litert import Runtime
from tagger.models.networks import with_all_outputs

if TYPE_CHECKING:
    import keras

MIN_AGREEMENT = 0.99  # share of validation photos where it says the same
MIN_TAG_AGREEMENT = 0.9  # of the tags that either says of them: many stand on the brink
MAX_ACCURACY_LOSS = 0.003
MAX_MAP_LOSS = 0.01  # a tag of few photos moves it by more than a photo moves the accuracy
BATCH = 50  # photos the float network sees at once


@dataclass(frozen=True)
class Conversion:
    """The network that ships, and what the int8 one was found to be.

    `agreement` and the accuracies are in [0, 1], on the validation photos. Of tags, accuracy is
    mAP, None where no tag can be ranked.
    """

    network: bytes
    precision: str  # "int8" or "float32"
    agreement: float
    float_accuracy: float | None
    int8_accuracy: float | None

    def summary(self) -> dict[str, object]:
        """What the card keeps of it."""
        return {key: value for key, value in asdict(self).items() if key != "network"}


def to_litert(network: keras.Model, ranges: Sequence[Pixels] | None = None) -> bytes:
    """A LiteRT flatbuffer of `network`: one photo in; logits, features and feature map out.

    With `ranges`, photos `uint8 (S, S, 3)`, weights and activations become int8, the ranges of
    activations taken from those photos (Jacob et al. 2018, arXiv:1712.05877).
    """
    return to_flatbuffer(with_all_outputs(network), ranges)


def to_flatbuffer(
    outputs: keras.Model, ranges: Iterable[Pixels] | None = None, integer_only: bool = False
) -> bytes:
    """The LiteRT flatbuffer of a Keras model of one photo, its outputs by their names.

    In float, or with `ranges` in int8. `integers_alone` leaves no float in it but its outputs;
    its input, `float32` to Keras, then is `uint8`.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(outputs)
    if ranges is not None:

        def representative() -> Iterator[list[NDArray[Any]]]:
            for pixels in ranges:
                yield [_marked(pixels) if integer_only else pixels[None]]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        if integer_only:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # it prints what it saved
        warnings.simplefilter("ignore")
        return bytes(converter.convert())


def _marked(pixels: Pixels) -> NDArray[np.float32]:
    """With one black and one white pixel, so that the input's range is 0 to 255 to the bit."""
    marked = pixels[None].astype(np.float32)  # (1, S, S, 3)
    marked[0, 0, 0], marked[0, 0, 1] = 0, 255
    return marked


def choose_precision(
    network: keras.Model,
    ranges: Sequence[Pixels],
    photos: Callable[[], Iterable[Pixels]],
    labels: NDArray[Any],
    mean_average_precision: Callable[[NDArray[np.float32], NDArray[Any]], float | None],
) -> Conversion:
    """int8 if it predicts what `network` predicts on the validation photos, else float.

    `photos` yields the validation photos anew each time. `labels` are theirs: numbers `(N,)`, or
    cells `(N, C)` of tags; then `mean_average_precision` of logits and cells is the accuracy.
    """
    int8_network = to_litert(network, ranges)
    in_float = np.concatenate(
        [np.asarray(network.predict_on_batch(np.stack(b))) for b in chunks(photos(), BATCH)]
    )
    in_int8 = np.stack([o.logits for o in Runtime(int8_network).run_all(photos())])
    accuracy = mean_average_precision if labels.ndim == 2 else _accuracy
    float_accuracy, int8_accuracy = accuracy(in_float, labels), accuracy(in_int8, labels)
    agreement = _agreement(in_float, in_int8, labels)
    least, loss = MIN_AGREEMENT, MAX_ACCURACY_LOSS
    if labels.ndim == 2:
        least, loss = MIN_TAG_AGREEMENT, MAX_MAP_LOSS
    faithful = agreement >= least
    if float_accuracy is not None and int8_accuracy is not None:
        faithful = faithful and int8_accuracy >= float_accuracy - loss
    return Conversion(
        int8_network if faithful else to_litert(network),
        "int8" if faithful else "float32",
        agreement,
        float_accuracy,
        int8_accuracy,
    )


def _accuracy(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def _agreement(one: NDArray[np.float32], other: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Of photos, with the same likeliest label; of tags that either finds likely, that both do."""
    if labels.ndim == 2:
        either, both = (one > 0) | (other > 0), (one > 0) & (other > 0)
        return float(both.sum() / either.sum()) if either.any() else 1.0
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())
