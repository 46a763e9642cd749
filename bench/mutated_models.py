"""Mutated model files: each ends in a verdict of its trial, whatever its bytes are.

    python bench/mutated_models.py                       # all: 8,000 networks and the other kinds
    python bench/mutated_models.py --kinds network --count 200

A seed changes a few bytes of one part of a small model file: of the LiteRT network, of HDF5's own
structure, of the card's JSON, the words or the reference vectors. Digests are made anew, so that
only what reads the part can notice. Files that pass are tried again in another process. Exit
status: 0 every file got a verdict, and the same one again; 1 not so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from tagger.inference import model_file, model_trial
from tagger.inference.words import Words
from tagger.paths import MODELS

COUNTS = {"network": 8000, "structure": 4000, "card": 1000, "words": 500, "reference": 500}
TOGETHER = 50  # files tried by one process
SMALL_BUFFER = 64  # bytes; larger ones are weights, which are most of a network
NUMBERS = (0, 1, 2**16, 24_000, 2**31 - 1, 2**32 - 1)
JSON_VALUES = (None, True, -1, 0, 24_000, 1e300, 10**30, "", "x" * 10_000, [], {}, [[]], {"a": []})


class Mutator:
    """Makes mutated copies of a small model file, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "base.h5"
        write_small_model(self.base)
        model = model_file.read_untried(self.base)
        self.network, self.card = model.network, model.card
        self.network_structure = find_network_structure(self.network)
        self.structure = find_file_structure(self.base)
        self.content = self.base.read_bytes()
        self.kinds: dict[str, Callable[[Path, random.Random], None]] = {
            "network": self.mutate_network,
            "structure": self.mutate_structure,
            "card": self.mutate_card,
            "words": lambda path, rng: self.mutate_array(path, rng, "words"),
            "reference": lambda path, rng: self.mutate_array(path, rng, "reference"),
        }

    def write(self, path: Path, kind: str, seed: int) -> Path:
        """The copy of a kind and a seed, always the same."""
        path.write_bytes(self.content)
        self.kinds[kind](path, random.Random(f"{kind} {seed}"))
        return path

    def mutate_network(self, path: Path, rng: random.Random) -> None:
        network = bytearray(self.network)
        for _ in range(rng.randint(1, 3)):
            is_structure = rng.random() < 0.8
            position = rng.choice(self.network_structure if is_structure else range(len(network)))
            change_bytes(network, position, rng)
        replace_parts(path, self.card, network=np.frombuffer(bytes(network), np.uint8))

    def mutate_structure(self, path: Path, rng: random.Random) -> None:
        content = bytearray(self.content)
        for _ in range(rng.randint(1, 4)):
            change_bytes(content, rng.choice(self.structure), rng)
        path.write_bytes(content)

    def mutate_card(self, path: Path, rng: random.Random) -> None:
        if rng.random() < 0.3:
            text = bytearray(json.dumps(self.card).encode())
            for _ in range(rng.randint(1, 4)):
                change_bytes(text, rng.randrange(len(text)), rng)
            replace_parts(path, bytes(text))
            return
        card = json.loads(json.dumps(self.card))
        for _ in range(rng.randint(1, 3)):
            change_value(card, rng)
        replace_parts(path, card)

    def mutate_array(self, path: Path, rng: random.Random, group: str) -> None:
        """Of the words, or of the reference: other bytes, or another shape."""
        with h5py.File(path, "r") as file:
            own = file[model_file.GROUP]
            name = f"words/{rng.choice(sorted(own['words']))}" if group == "words" else group
            array = own[name][()]
        if rng.random() < 0.3:
            array = rng.choice([array[:0], array[:1], array.reshape(-1), array[None], array.T])
            if rng.random() < 0.3:
                array = array.astype(rng.choice([np.float64, np.int8, np.uint8]))
        else:
            content = bytearray(np.ascontiguousarray(array).tobytes())
            for _ in range(rng.randint(1, 4)):
                change_bytes(content, rng.randrange(len(content)), rng)
            array = np.frombuffer(bytes(content), array.dtype).reshape(array.shape)
        replace_parts(path, self.card, **{name: array})


def write_small_model(path: Path) -> None:
    """The bundled model with its network, and little of everything else."""
    model = model_file.load(MODELS / "everyday.h5")
    words, reference = model.words, model.rule.reference
    assert isinstance(words, Words) and reference is not None
    keras_file = path.with_suffix(".keras.h5")
    with h5py.File(model.path) as source, h5py.File(keras_file, "w") as file:
        for name, value in source.attrs.items():
            file.attrs[name] = str(value)[:100]
        for name in ("backbone/Conv1/kernel", "head/head/kernel", "head/head/bias"):
            file[f"{model_file.KERAS_GROUP}/{name}"] = source[f"{model_file.KERAS_GROUP}/{name}"][
                ..., :4
            ]
    few = replace(
        words,
        tokens=words.tokens[:50],
        vectors=words.vectors[:50],
        background=words.background[:20],
    )
    small = replace(reference, vectors=reference.vectors[:8])
    rule = replace(model.rule, reference=small)
    model_file.save(path, keras_file, replace(model, rule=rule, words=few))


def find_network_structure(network: bytes) -> list[int]:
    """Positions in a LiteRT network beside its weights."""
    is_structure = np.ones(len(network), bool)
    model = schema.Model.GetRootAsModel(network, 0)
    for number in range(model.BuffersLength()):
        buffer = model.Buffers(number)
        if buffer.DataLength() > SMALL_BUFFER:
            start = buffer._tab.Vector(buffer._tab.Offset(4))
            is_structure[start : start + buffer.DataLength()] = False
    return _positions(is_structure)


def find_file_structure(path: Path) -> list[int]:
    """Positions in an HDF5 file beside the content of its arrays."""
    is_structure = np.ones(path.stat().st_size, bool)

    def exclude(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.id.get_offset() is not None:
            start = item.id.get_offset()
            is_structure[start : start + item.nbytes] = False

    with h5py.File(path) as file:
        file.visititems(exclude)
    return _positions(is_structure)


def _positions(mask: NDArray[np.bool_]) -> list[int]:
    return [int(position) for position in np.flatnonzero(mask)]


def change_bytes(data: bytearray, position: int, rng: random.Random) -> None:
    """Another byte, another bit, or a telling number in place of four or eight bytes."""
    way = rng.randrange(4)
    if way == 0:
        data[position] = rng.randrange(256)
    elif way == 1:
        data[position] ^= 1 << rng.randrange(8)
    else:
        size = 4 if way == 2 else 8
        number = rng.choice((*NUMBERS, len(data) - 1)).to_bytes(size, "little")
        data[position : position + size] = number[: len(data) - position]


def change_value(card: model_file.Card, rng: random.Random) -> None:
    """Remove or replace a value somewhere in a card."""
    part = card
    while True:
        name = rng.choice(sorted(part))
        if not isinstance(part[name], dict) or not part[name] or rng.random() < 0.5:
            break
        part = part[name]
    if rng.random() < 0.4:
        del part[name]
    else:
        part[name] = rng.choice(JSON_VALUES)


def replace_parts(path: Path, card: model_file.Card | bytes, **parts: NDArray[np.generic]) -> None:
    """Write other parts into a model file, and their digests into its card."""
    with h5py.File(path, "r+") as file:
        group = file[model_file.GROUP]
        for name, array in parts.items():
            del group[name]
            group[name] = array
        if not isinstance(card, bytes):
            card = json.loads(json.dumps(card))
            for name, array in parts.items():
                digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
                if not name.startswith("words/"):
                    card["digests"][name] = digest
                else:
                    words = read_words(group, card)
                    card["digests"]["words"] = words.digests[0] if words else ""
            card = json.dumps(card).encode()
        del group["card"]
        group["card"] = np.frombuffer(card, np.uint8)
        group.attrs["card_sha256"] = hashlib.sha256(card).hexdigest()


def read_words(group: h5py.Group, card: model_file.Card) -> Words | None:
    """The words of a file; None if they do not even make such an object."""
    try:
        return model_file._read_words(group, card)
    except Exception:  # noqa: BLE001 - then there is nothing to take a digest of
        return None


def run(kind: str, first: int, count: int) -> bool:
    """Try the files of a kind and print what became of them; whether all is well."""
    results: Counter[str] = Counter()
    crashing, changed = [], []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        mutator = Mutator(Path(folder))
        for start in range(first, first + count, TOGETHER):
            seeds = range(start, min(start + TOGETHER, first + count))
            paths = [mutator.write(Path(folder, f"{seed}.h5"), kind, seed) for seed in seeds]
            verdicts = model_trial.try_files(paths)
            for seed, verdict in zip(seeds, verdicts, strict=True):
                is_crash = "crashes" in verdict.reason or "took more than" in verdict.reason
                results["crashing or hanging" if is_crash else verdict.result] += 1
                crashing += [f"{seed}: {verdict.reason}"] if is_crash else []
            usable = [
                (seed, path)
                for seed, path, verdict in zip(seeds, paths, verdicts, strict=True)
                if verdict.result == "usable"
            ]
            again = model_trial.try_files([path for _, path in usable])
            changed += [
                f"{seed}: {verdict.reason}"
                for (seed, _), verdict in zip(usable, again, strict=True)
                if verdict.result != "usable"
            ]
            for path in paths:
                path.unlink()
    seconds = time.perf_counter() - began
    figures = ", ".join(f"{number:,} {result}" for result, number in sorted(results.items()))
    print(f"{kind}: {count:,} files in {seconds:.0f} s: {figures}", flush=True)
    for line in crashing:
        print(f"  seed {line}")
    for line in changed:
        print(f"  NOT THE SAME AGAIN: seed {line}")
    return sum(results.values()) == count and not changed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=COUNTS, default=list(COUNTS))
    parser.add_argument("--count", type=int, help="files of each kind; default: thousands")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=int, help="of processor time before a file is given up")
    options = parser.parse_args()
    model_trial.SECONDS = options.seconds or model_trial.SECONDS
    counts = {kind: options.count or COUNTS[kind] for kind in options.kinds}
    failed = [kind for kind, count in counts.items() if not run(kind, options.first, count)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
