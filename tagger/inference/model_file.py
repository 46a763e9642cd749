"""The model file `NAME.h5`: an ordinary Keras file with an extra group for tagging.

The group `image_tagger`, which Keras ignores, holds the LiteRT network, the reference features,
the words of a model that understands descriptions, and the card: a JSON document with labels,
preprocessing, thresholds, metrics, origin and digests. `NAME.json` is the card for people. Loading
runs no code from the file, and a file that this machine has not seen is first tried in a child
process (`model_trial`); both files are written atomically.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tagger.errors import ForeignFileError, ModelError, ModelNotFoundError, OptionError
from tagger.files import write_atomically
from tagger.inference import model_trial
from tagger.inference.card import Card as Card
from tagger.inference.card import parse_card
from tagger.inference.decision import DecisionRule, Reference
from tagger.inference.words import Words, pack_tokens, unpack_tokens
from tagger.labels import LabelSet

FORMAT = 1
GROUP = "image_tagger"
KERAS_GROUP = "model_weights"
MAX_FILE_BYTES = 2**32
MAX_CARD_BYTES = 2**24
MAX_NETWORK_BYTES = 2**30
MAX_REFERENCE_BYTES = 2**28
MAX_WORDS_BYTES = 2**26  # of each array
MAX_EXPANSION = 20  # bytes of arrays a byte of the file: compressed ones may have more
WORDS = "words"  # the group with these arrays, which may be missing
_WORD_ARRAYS = ("vectors", "text_bias", "projection", "photo_bias", "background")

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
    that does not understand descriptions. `sha256` is the digest of the file it was loaded from.
    """

    labels: LabelSet
    image_size: int
    rule: DecisionRule
    network: bytes
    card: Card
    path: Path = field(default=Path())
    words: Words | None = None
    sha256: str = ""

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
    """Load a model file. One that is new to this machine is tried, and its digests checked, first.

    Raises ModelNotFoundError for a missing file, ModelError for one that is truncated, foreign,
    newer, tampered with, or crashes the process that tries it.
    """
    path = Path(path)
    with _open_tried(path) as (file, sha256):
        return replace(_read_model(path, file), sha256=sha256)


def load_card(path: str | os.PathLike[str]) -> Card:
    """The card of a model file alone. Raises as `load` does."""
    path = Path(path)
    with _open_tried(path) as (file, _):
        return _read_card(path, _open_group(file, path))


def read_untried(path: Path) -> ModelFile:
    """Read all of a model file without a trial, and check its digests: the trial itself does.

    Raises as `load` does, but for Keras arrays that cannot be read: tagging does not need them.
    """
    _check_is_file(path)
    with _open(path) as file:
        model = _read_model(path, file)
        _check_digests(model)
        with suppress(*_READ_ERRORS, OSError):
            _read_keras_arrays(file)
    return model


def digest_file(path: Path) -> str:
    """SHA-256 of a model file. Raises ModelError for one that is missing, or cannot be read."""
    _check_is_file(path)
    with _explain_errors(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_outputs(model: ModelFile, label_count: int, feature_count: int, image_size: int) -> None:
    """Raise ModelError unless the network fits the card, the labels and the reference."""
    if image_size != model.image_size:
        raise ModelError(
            f"{model.path}: its card says {model.image_size} pixels a side, its network takes"
            f" {image_size}"
        )
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
    """Whether `path` is an HDF5 file with the group of a model file, whole or damaged."""
    try:
        load_card(path)
    except (ForeignFileError, ModelNotFoundError):
        return False
    except ModelError:
        return True
    return True


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The Keras arrays of a model file, checked against their digest.

    Names are those of Keras's variables: "backbone/Conv1/kernel", "head/head/bias". Raises
    ModelError as `load` does.
    """
    with _open_tried(path) as (file, _):
        card = _read_card(path, _open_group(file, path))
        try:
            arrays = _read_keras_arrays(file)
            digest = _digest_arrays(arrays)
        except _READ_ERRORS as error:
            raise ModelError(f"{path}: its Keras arrays cannot be read: {error}") from error
        _check_digest(path, "Keras arrays", digest, card["digests"]["keras_arrays"])
    return arrays


@contextmanager
def _open_tried(path: Path) -> Iterator[tuple[h5py.File, str]]:
    """A file that passed its trial, now or before, opened for reading; and its SHA-256."""
    before = _check_is_file(path)

    def check_unchanged() -> None:
        if _check_is_file(path) != before:
            raise ModelError(f"{path}: changed while it was read; try again")

    sha256 = digest_file(path)
    model_trial.require_usable(path, sha256, check_unchanged)
    with _open(path) as file:
        yield file, sha256
    check_unchanged()


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    with _explain_errors(path), h5py.File(path, "r") as file:
        yield file


@contextmanager
def _explain_errors(path: Path) -> Iterator[None]:
    """Turn errors of reading the file into a ModelError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise ModelNotFoundError(f"{path}: no such model file") from None
    except PermissionError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except OSError as error:
        kind = ModelError if h5py.is_hdf5(path) else ForeignFileError
        raise kind(f"{path}: truncated, or not a model file ({error})") from None
    except _READ_ERRORS as error:
        raise ModelError(f"{path}: not a model file this version can read: {error}") from error


def _check_is_file(path: Path) -> tuple[int, ...]:
    """Numbers that change with the file. Raises ModelError for a pipe, which would wait for ever.

    And for a folder, a device, a missing file, and one that is too large.
    """
    with _explain_errors(path):
        status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ForeignFileError(f"{path}: not a file, so no model file")
    if status.st_size > MAX_FILE_BYTES:
        raise ModelError(f"{path}: has {status.st_size:,} bytes, more than {MAX_FILE_BYTES:,}")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_keras_arrays(file: h5py.File) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    left = [MAX_EXPANSION * file.id.get_filesize()]

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = _read_array(item, name, MAX_NETWORK_BYTES)
            left[0] -= item.nbytes
            if left[0] < 0:
                raise ValueError("they have far more bytes than the file")

    group = _get_group(file, KERAS_GROUP)
    if group is None:
        raise ValueError(f"there is no group {KERAS_GROUP}")
    group.visititems(add)
    return arrays


def _digest_arrays(arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items(), key=lambda item: str(item[0])):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _complete_card(model: ModelFile, keras_file: Path) -> Card:
    rule, reference = model.rule, model.rule.reference
    with h5py.File(keras_file, "r") as file:
        arrays = _read_keras_arrays(file)
    decision: Card = {
        "temperature": rule.temperature,
        "thresholds": dict(zip(model.labels.names, rule.thresholds, strict=True)),
        "familiarity": None,
    }
    digests = {
        "network": _sha256(model.network),
        "keras_arrays": _digest_arrays(arrays),
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
    group = _get_group(file, GROUP)
    if group is None:
        raise ForeignFileError(f"{path}: an HDF5 file, but not one that train.py made")
    form = int(_read_attribute(group, "format"))
    if form > FORMAT:
        raise ModelError(
            f"{path}: made by a newer version (format {form}, this one reads up to {FORMAT})"
        )
    return group


def _get_group(parent: h5py.Group, name: str) -> h5py.Group | None:
    """A group stored in this file itself; None if there is none, or a link to another place."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        return None
    group = parent[name]
    return group if isinstance(group, h5py.Group) else None


def _read_attribute(group: h5py.Group, name: str) -> Any:
    """A single number or text."""
    if h5py.h5a.open(group.id, name.encode()).shape != ():
        raise ValueError(f"{name} is not a single value")
    return group.attrs[name]


def _read_card(path: Path, group: h5py.Group) -> Card:
    text = _read_bytes(group, "card", MAX_CARD_BYTES)
    _check_digest(path, "card", _sha256(text), str(_read_attribute(group, "card_sha256")))
    return parse_card(text)


def _read_model(path: Path, file: h5py.File) -> ModelFile:
    group = _open_group(file, path)
    card = _read_card(path, group)
    network = _read_bytes(group, "network", MAX_NETWORK_BYTES)
    labels = LabelSet(tuple(card["labels"]), card["kind"])
    decision = card["decision"]
    rule = DecisionRule(
        kind=labels.kind,
        temperature=float(decision["temperature"]),
        thresholds=tuple(float(decision["thresholds"][name]) for name in labels.names),
        reference=_read_reference(group, card),
    )
    return ModelFile(
        labels, card["image_size"], rule, network, card, path, _read_words(group, card)
    )


def _check_digests(model: ModelFile) -> None:
    """Raise ModelError for parts that were changed after the file was saved."""
    digests = model.card["digests"]
    _check_digest(model.path, "network", _sha256(model.network), digests["network"])
    if (reference := model.rule.reference) is not None:
        packed = _sha256(_pack_reference(reference).tobytes())
        _check_digest(model.path, "reference", packed, digests["reference"])
    if model.words is not None:
        _check_digest(model.path, WORDS, model.words.digests[0], digests[WORDS])


def _read_reference(group: h5py.Group, card: Card) -> Reference | None:
    familiarity = card["decision"].get("familiarity")
    if familiarity is None:
        return None
    packed = _read_dataset(group, "reference", MAX_REFERENCE_BYTES)
    if packed.ndim != 2:
        raise ValueError(f"reference is of shape {packed.shape}, not of rows")
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


def _read_words(group: h5py.Group, card: Card) -> Words | None:
    """The words; None for a model without, such as one of an earlier version."""
    if card.get(WORDS) is None:
        return None
    part = _get_group(group, WORDS)
    if part is None:
        raise ValueError(f"{WORDS} are missing or point outside the file")
    return Words(
        tokens=unpack_tokens(_read_dataset(part, "tokens", MAX_WORDS_BYTES)),
        floor=float(card[WORDS]["floor"]),
        **{name: _read_dataset(part, name, MAX_WORDS_BYTES) for name in _WORD_ARRAYS},
    )


def _read_dataset(group: h5py.Group, name: str, limit: int) -> NDArray[Any]:
    """An array stored in this file itself, of at most `limit` bytes."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is missing or points outside the file")
    return _read_array(group[name], name, limit)


def _read_array(item: object, name: str, limit: int) -> NDArray[Any]:
    """An array, refused from its description where it takes more memory than it should."""
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        raise ValueError(f"{name} is not an array in this file")
    if item.dtype.kind not in "fiub":
        raise ValueError(f"{name} is of {item.dtype}, not of numbers")
    chunk = math.prod(item.chunks or ()) * item.dtype.itemsize  # is decompressed as a whole
    size = max(item.nbytes, chunk)
    limit = min(limit, MAX_EXPANSION * item.file.id.get_filesize())
    if size > limit:
        raise ValueError(f"{name} has {size:,} bytes, more than {limit:,}")
    return np.asarray(item[()])


def _read_bytes(group: h5py.Group, name: str, limit: int) -> bytes:
    return _read_dataset(group, name, limit).astype(np.uint8, casting="equiv").tobytes()


def _check_digest(path: Path, part: str, digest: str, expected: str) -> None:
    if digest != expected:
        raise ModelError(f"{path}: changed after it was saved (the digest of its {part} differs)")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
