"""A Keras network → LiteRT, in float or int8, checked against the original.

TensorFlow is imported when a function here runs.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagger.images import Pixels
from tagger.networks import with_features
from tagger.parallel import chunks
from tagger.runtime import Runtime

if TYPE_CHECKING:
    import keras

MIN_AGREEMENT = 0.99  # share of validation photos with the float network's label
MAX_ACCURACY_LOSS = 0.003
BATCH = 50  # photos the float network sees at once


@dataclass(frozen=True)
class Conversion:
    """The network that ships, and what the int8 one was found to be.

    `agreement` and the accuracies are shares in [0, 1] of the validation photos.
    """

    network: bytes
    precision: str  # "int8" or "float32"
    agreement: float
    float_accuracy: float
    int8_accuracy: float

    def summary(self) -> dict[str, object]:
        """What the card keeps of it."""
        return {key: value for key, value in asdict(self).items() if key != "network"}


def to_litert(network: keras.Model, ranges: Sequence[Pixels] | None = None) -> bytes:
    """A LiteRT flatbuffer of `network`: one photo in; logits, features and feature map out.

    With `ranges`, photos `uint8 (S, S, 3)`, weights and activations become int8, the ranges of
    activations taken from those photos (Jacob et al. 2018, arXiv:1712.05877).
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(with_features(network))
    if ranges is not None:

        def representative() -> Iterator[list[NDArray[np.uint8]]]:
            for pixels in ranges:
                yield [pixels[None]]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # it prints what it saved
        warnings.simplefilter("ignore")
        return bytes(converter.convert())


def choose_precision(
    network: keras.Model,
    ranges: Sequence[Pixels],
    photos: Callable[[], Iterable[Pixels]],
    labels: NDArray[np.int64],
) -> Conversion:
    """int8 if it says what `network` says on the validation photos, else float.

    `photos` gives the validation photos anew each time; `labels` are theirs.
    """
    int8_network = to_litert(network, ranges)
    in_float = np.concatenate(
        [
            np.asarray(network.predict_on_batch(np.stack(batch))).argmax(axis=1)
            for batch in chunks(photos(), BATCH)
        ]
    )
    in_int8 = np.array([int(o.logits.argmax()) for o in Runtime(int8_network).run_all(photos())])
    agreement = float((in_float == in_int8).mean())
    float_accuracy = float((in_float == labels).mean())
    int8_accuracy = float((in_int8 == labels).mean())
    faithful = agreement >= MIN_AGREEMENT
    faithful = faithful and int8_accuracy >= float_accuracy - MAX_ACCURACY_LOSS
    return Conversion(
        int8_network if faithful else to_litert(network),
        "int8" if faithful else "float32",
        agreement,
        float_accuracy,
        int8_accuracy,
    )
