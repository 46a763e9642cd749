"""The model file `NAME.h5`: an ordinary Keras file with an extra group for tagging.

The group `image_tagger`, which Keras ignores, holds the LiteRT network, the reference features,
the words of a model that understands descriptions, and the card: a JSON document with labels,
preprocessing, thresholds, metrics, origin and digests. `NAME.json` is the card for people. Loading
runs no code from the file; both files are written atomically.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tagger.errors import ModelError, ModelNotFoundError, OptionError
from tagger.files import write_atomically
from tagger.inference.decision import DecisionRule, Reference
from tagger.inference.words import Words, pack_tokens, unpack_tokens
from tagger.labels import LabelSet

FORMAT = 1
GROUP = "image_tagger"
KERAS_GROUP = "model_weights"
MAX_CARD_BYTES = 2**24
MAX_NETWORK_BYTES = 2**30
MAX_REFERENCE_BYTES = 2**28
MAX_WORDS_BYTES = 2**26  # of each array
WORDS = "words"  # the group with these arrays, which may be missing
_WORD_ARRAYS = ("vectors", "text_bias", "projection", "photo_bias", "background")

Card = dict[str, Any]

# Raised while reading a damaged or manipulated file.
_READ_ERRORS = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RuntimeError,
    OptionError,
)


@dataclass(frozen=True)
class ModelFile:
    """A model for tagging, loaded from `path`.

    `network` is the LiteRT flatbuffer, `card` the card as written; `words` is None for a model
    that does not understand descriptions.
    """

    labels: LabelSet
    image_size: int
    rule: DecisionRule
    network: bytes
    card: Card
    path: Path = field(default=Path())
    words: Words | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending: "pets"."""
        return self.path.stem

    @property
    def space(self) -> str | None:
        """SHA-256 of what makes photos' vectors, so that vectors of two models are never mixed.

        That is the network and the photo side of the words; None without words.
        """
        if self.words is None:
            return None
        return _sha256(f"{_sha256(self.network)} {self.words.digests[1]}".encode())


def save(path: Path, keras_file: Path, model: ModelFile) -> Card:
    """Write a model file from a Keras `.h5` and a model, and `NAME.json` beside it.

    `keras_file` is moved to `path`. Returns the card as written: the model's card with labels,
    decision rule and digests.
    """
    card = _complete_card(model, keras_file)
    text = json.dumps(card, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace")
    with h5py.File(keras_file, "r+") as file:
        group = file.create_group(GROUP)
        group.attrs["format"] = FORMAT
        group.attrs["card_sha256"] = _sha256(text)
        group.create_dataset("card", data=np.frombuffer(text, np.uint8))
        group.create_dataset("network", data=np.frombuffer(model.network, np.uint8))
        if model.rule.reference:
            group.create_dataset("reference", data=_pack_reference(model.rule.reference))
        if model.words:
            _write_words(group, model.words)
    with open(keras_file, "r+b") as file:
        os.fsync(file.fileno())
    os.replace(keras_file, path)
    write_atomically(path.with_suffix(".json"), text + b"\n")
    return card


def load(path: str | os.PathLike[str]) -> ModelFile:
    """Load a model file and check its digests.

    Raises ModelNotFoundError for a missing file, ModelError for one that is truncated, foreign,
    newer or tampered with.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            return _read_model(path, _open_group(file, path))
    except FileNotFoundError:
        raise ModelNotFoundError(f"{path}: no such model file") from None
    except OSError as error:
        raise ModelError(f"{path}: truncated, or not a model file ({error})") from None
    except _READ_ERRORS as error:
        raise ModelError(f"{path}: not a model file this version can read: {error}") from error


def check_outputs(model: ModelFile, label_count: int, feature_count: int) -> None:
    """Raise ModelError unless the network's outputs fit the labels and the reference."""
    if label_count != len(model.labels):
        raise ModelError(
            f"{model.path}: {len(model.labels)} labels for a network with {label_count} outputs"
        )
    reference = model.rule.reference
    if reference is not None and reference.vectors.shape[1] != feature_count:
        raise ModelError(
            f"{model.path}: a reference of {reference.vectors.shape[1]} features for a network"
            f" with {feature_count}"
        )
    if model.words is not None and len(model.words.projection) != feature_count:
        raise ModelError(
            f"{model.path}: words for {len(model.words.projection)} features, and a network with"
            f" {feature_count}"
        )


def is_model_file(path: Path) -> bool:
    """Whether `path` is an HDF5 file with the group of a model file."""
    try:
        with h5py.File(path, "r") as file:
            return GROUP in file
    except OSError:
        return False


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The Keras arrays of a model file, checked against their digest.

    Names are those of Keras's variables: "backbone/Conv1/kernel", "head/head/bias". Raises
    ModelError as `load` does.
    """
    digests = load(path).card["digests"]
    try:
        arrays = _read_keras_arrays(path)
    except _READ_ERRORS as error:
        raise ModelError(f"{path}: its Keras arrays cannot be read: {error}") from error
    _check_digest(path, "Keras arrays", _digest_arrays(arrays), digests["keras_arrays"])
    return arrays


def _read_keras_arrays(path: Path) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = _read_array(item, name, MAX_NETWORK_BYTES)

    with h5py.File(path, "r") as file:
        file[KERAS_GROUP].visititems(add)
    return arrays


def _digest_arrays(arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _complete_card(model: ModelFile, keras_file: Path) -> Card:
    rule, reference = model.rule, model.rule.reference
    decision: Card = {
        "temperature": rule.temperature,
        "thresholds": dict(zip(model.labels.names, rule.thresholds, strict=True)),
        "familiarity": None,
    }
    digests = {
        "network": _sha256(model.network),
        "keras_arrays": _digest_arrays(_read_keras_arrays(keras_file)),
    }
    if reference:
        decision["familiarity"] = {
            "method": "mean cosine distance to the nearest reference vectors, guided by the margin",
            "threshold": reference.threshold,
            "validation_strangeness": [round(float(s), 6) for s in reference.validation_distances],
        }
        digests["reference"] = _sha256(_pack_reference(reference).tobytes())
    if model.words:
        digests[WORDS] = model.words.digests[0]
    return {
        "format": FORMAT,
        "kind": model.labels.kind,
        "labels": list(model.labels.names),
        "image_size": model.image_size,
        **{name: value for name, value in model.card.items() if name != WORDS},
        "decision": decision,
        **({WORDS: _describe_words(model.words)} if model.words else {}),
        "digests": digests,
    }


def _open_group(file: h5py.File, path: Path) -> h5py.Group:
    group = file.get(GROUP)
    if not isinstance(group, h5py.Group):
        raise ModelError(f"{path}: an HDF5 file, but not one that train.py made")
    if int(group.attrs["format"]) > FORMAT:
        raise ModelError(
            f"{path}: made by a newer version (format {group.attrs['format']}, this one reads"
            f" up to {FORMAT})"
        )
    return group


def _read_model(path: Path, group: h5py.Group) -> ModelFile:
    text = _read_bytes(group, "card", MAX_CARD_BYTES)
    _check_digest(path, "card", _sha256(text), str(group.attrs["card_sha256"]))
    card: Card = json.loads(text)
    network = _read_bytes(group, "network", MAX_NETWORK_BYTES)
    _check_digest(path, "network", _sha256(network), card["digests"]["network"])
    labels = LabelSet(tuple(card["labels"]), card["kind"])
    decision = card["decision"]
    rule = DecisionRule(
        kind=labels.kind,
        temperature=float(decision["temperature"]),
        thresholds=tuple(float(decision["thresholds"][name]) for name in labels.names),
        reference=_read_reference(path, group, card),
    )
    words = _read_words(path, group, card)
    return ModelFile(labels, int(card["image_size"]), rule, network, card, path, words)


def _read_reference(path: Path, group: h5py.Group, card: Card) -> Reference | None:
    familiarity = card["decision"]["familiarity"]
    if familiarity is None:
        return None
    packed = _read_dataset(group, "reference", MAX_REFERENCE_BYTES)
    _check_digest(path, "reference", _sha256(packed.tobytes()), card["digests"]["reference"])
    return Reference(
        scale=packed[0].astype(np.float32),
        vectors=packed[1:].astype(np.float32),
        validation_distances=np.asarray(familiarity["validation_strangeness"], np.float32),
        threshold=float(familiarity["threshold"]),
    )


def _pack_reference(reference: Reference) -> NDArray[np.float16]:
    """The scale, then the vectors, in half precision: (1 + R, D)."""
    return np.vstack([reference.scale, reference.vectors]).astype(np.float16)


def _describe_words(words: Words) -> Card:
    """The card's part about the words: their number, and the floor of likeness."""
    return {
        "tokens": len(words.tokens),
        "dimensions": words.dimensions,
        "background": len(words.background),
        "floor": float(words.floor),
    }


def _write_words(group: h5py.Group, words: Words) -> None:
    part = group.create_group(WORDS)
    part.create_dataset("tokens", data=pack_tokens(words))
    for name in _WORD_ARRAYS:
        part.create_dataset(name, data=getattr(words, name))


def _read_words(path: Path, group: h5py.Group, card: Card) -> Words | None:
    """The words; None for a model without, such as one of an earlier version."""
    if not card.get(WORDS):
        return None
    if not isinstance(group.get(WORDS, getlink=True), h5py.HardLink):
        raise ValueError(f"{WORDS} are missing or point outside the file")
    part = group[WORDS]
    words = Words(
        tokens=unpack_tokens(_read_dataset(part, "tokens", MAX_WORDS_BYTES)),
        floor=float(card[WORDS]["floor"]),
        **{name: _read_dataset(part, name, MAX_WORDS_BYTES) for name in _WORD_ARRAYS},
    )
    _check_digest(path, WORDS, words.digests[0], card["digests"][WORDS])
    return words


def _read_dataset(group: h5py.Group, name: str, limit: int) -> NDArray[Any]:
    """An array stored in this file itself, of at most `limit` bytes."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is missing or points outside the file")
    return _read_array(group[name], name, limit)


def _read_array(item: object, name: str, limit: int) -> NDArray[Any]:
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        raise ValueError(f"{name} is not an array in this file")
    if item.nbytes > limit:
        raise ValueError(f"{name} has {item.nbytes} bytes, more than {limit}")
    return np.asarray(item[()])


def _read_bytes(group: h5py.Group, name: str, limit: int) -> bytes:
    return _read_dataset(group, name, limit).astype(np.uint8, casting="equiv").tobytes()


def _check_digest(path: Path, part: str, digest: str, expected: str) -> None:
    if digest != expected:
        raise ModelError(f"{path}: changed after it was saved (the digest of its {part} differs)")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
