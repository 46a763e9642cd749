"""The model `imagenet`: MobileNetV2 as trained on ImageNet's thousand classes.

Its weights come from Keras's cache or a download. The first use converts them into a model file
in the user's cache folder, which takes TensorFlow; later uses load that file like any other model.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagger import provenance
from tagger.errors import ModelError, WeightsUnavailableError
from tagger.images.transforms import PREPROCESSING
from tagger.inference import model_file, registry, vocabulary
from tagger.inference.decision import DEFAULT_THRESHOLD, DecisionRule, to_probabilities
from tagger.labels import LabelSet
from tagger.models import convert, keras_cache, networks
from tagger.models.weights import load_with_head, save_h5

RECIPE = 1  # raised when the conversion changes; files of another recipe are made again
BACKBONE = "mobilenet_v2"
IMAGE_SIZE = 224
CLASSES = 1000
CHUNK = 1000  # photos whose probabilities are computed at once
WEIGHTS_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"
NAMES_FILE = "imagenet_class_index.json"
MAKING = "Making the model imagenet from Keras's weights: some seconds, this once."

# By WordNet id, names for classes whose own names are equal or differ only in case.
UNIQUE_NAMES = {
    "n02012849": "crane (bird)",
    "n03126707": "crane (machine)",
    "n03710637": "maillot (tights)",
    "n03710721": "maillot (swimsuit)",
    "n02113186": "Cardigan Welsh corgi",
    "n02113023": "Pembroke Welsh corgi",
}


def load(say: Callable[[str], None] = lambda sentence: None) -> model_file.ModelFile:
    """The model; made first if there is none yet, or none by this version.

    `say` gets a sentence before it is made. Raises WeightsUnavailableError, which says which
    files to put where.
    """
    path = registry.imagenet_model()
    try:
        return _load_current(path)
    except ModelError:
        path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        try:
            return _load_current(path)  # another process made it while this one waited
        except ModelError:
            _convert_weights(path, say)
            return _load_current(path)


def _load_current(path: Path) -> model_file.ModelFile:
    model = model_file.load(path)
    if model.card.get("recipe") != RECIPE:
        raise ModelError(f"{path}: made by another version")
    return model


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process, and one thread of it, at a time."""
    import fcntl

    with open(path.with_suffix(".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert_weights(path: Path, say: Callable[[str], None]) -> None:
    weights, names = keras_cache.fetch(
        "ImageNet weights and class names are", _download, WEIGHTS_FILE, NAMES_FILE
    )
    labels = LabelSet(class_names(names))
    say(MAKING)
    network = networks.build(BACKBONE, IMAGE_SIZE, CLASSES)
    load_with_head(network, weights)
    # There are no photos here to fit temperature, thresholds and a reference on.
    rule = DecisionRule("single", 1.0, (DEFAULT_THRESHOLD,) * CLASSES)
    # int8 would disagree on one photo in sixteen: bench/imagenet.py
    model = model_file.ModelFile(labels, IMAGE_SIZE, rule, convert.to_litert(network), _card())
    temporary = path.with_name(f".{path.stem}.unfinished.h5")
    save_h5(network, temporary)
    model_file.save(path, temporary, model)


def check_head() -> None:
    """Raise WeightsUnavailableError if what `load_head` reads is not there."""
    keras_cache.fetch("ImageNet weights are", _download, WEIGHTS_FILE, NAMES_FILE)


def load_head() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel `(1280, 1000)` and bias `(1000,)` of MobileNetV2's own head, for `load_names`.

    Raises WeightsUnavailableError if its weights are neither cached nor downloadable.
    """
    (weights,) = keras_cache.fetch("ImageNet weights are", _download, WEIGHTS_FILE)
    network = networks.build(BACKBONE, IMAGE_SIZE, CLASSES)
    load_with_head(network, weights)
    kernel, bias = network.get_layer(networks.HEAD).get_weights()
    return kernel, bias


def class_probabilities(
    features: NDArray[np.float32], head: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> NDArray[np.float16]:
    """The probability `(N, K)` of each class by `features (N, D)` and a head of K classes."""
    kernel, bias = head
    parts = np.array_split(features, max(1, len(features) // CHUNK))
    return np.concatenate(
        [to_probabilities(part @ kernel + bias, "single").astype(np.float16) for part in parts]
    )


def roll_up(tags: Sequence[str]) -> NDArray[np.float32]:
    """Which classes `(CLASSES, C)` each of C tags sums up: 1 for those below it, else 0.

    A Doberman and a pointer are dogs by `vocabulary.csv`; a tag that it does not know has none.
    Raises WeightsUnavailableError.
    """
    table = vocabulary.load()
    numbers = {tag: number for number, tag in enumerate(tags)}
    rolled_up = np.zeros((CLASSES, len(tags)), np.float32)
    for row, name in zip(rolled_up, load_names(), strict=True):
        for meaning in table.lookup(name)[:1]:
            above = (meaning, *table.ancestors(meaning))
            row[[numbers[tag] for tag in above if tag in numbers]] = 1
    return rolled_up


def load_names() -> tuple[str, ...]:
    """The names of the classes, in order. Raises WeightsUnavailableError."""
    return class_names(*keras_cache.fetch("ImageNet class names are", _download, NAMES_FILE))


def _download() -> None:
    import keras

    keras.applications.MobileNetV2(weights="imagenet")
    keras.applications.imagenet_utils.decode_predictions(np.zeros((1, CLASSES)))


def class_names(file: Path) -> tuple[str, ...]:
    """Readable, unique class names by class index, from Keras's class index file.

    Raises WeightsUnavailableError for any other file.
    """
    try:
        classes = json.loads(file.read_text(encoding="utf-8"))
        rows = [classes[str(index)] for index in range(CLASSES)]
        return tuple(UNIQUE_NAMES.get(wnid) or name.replace("_", " ") for wnid, name in rows)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsUnavailableError(f"{file} is not what Keras caches: {error}") from error


def _card() -> model_file.Card:
    return {
        "name": registry.IMAGENET,
        "about": "ImageNet's thousand classes, by MobileNetV2 as Keras gives it: animals, more"
        " than a hundred breeds of dogs among them, plants, food, vehicles, tools, places.",
        "recipe": RECIPE,
        "backbone": BACKBONE,
        "preprocessing": PREPROCESSING,
        "trained_on": {"collection": "ImageNet (ILSVRC 2012), not by this project"},
        "precision": {"precision": "float32"},
        "started_from": WEIGHTS_FILE,
        "scores": {"validation": None, "test": None, "unknown": None},
        "weakest": [
            "cannot say “unfamiliar”: it has no photos to know the familiar by, so a photo of"
            " none of its classes may get one of them",
            "is as sure as its softmax is: its confidence was not calibrated, and a label needs"
            f" {DEFAULT_THRESHOLD:.0%} of it",
            "names one thing a photo: of several it takes one",
        ],
        "versions": provenance.versions(),
        "command": f"python predict.py PHOTO --model {registry.IMAGENET}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
