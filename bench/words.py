"""Descriptions: time to read one, and latency and memory of searches with `like:` in libraries.

python bench/words.py
python bench/words.py --folder /tmp/described     # builds the libraries there once and reuses them

A search is a page of 48 photos with tags, and everything said about it. Libraries are those of
large_library.py, with a vector for each photo, and a model with random words: vectors and words
are made up, of the sizes of real ones, and about one photo in 160 looks like a description. Each
library is searched in a process of its own, whose peak memory counts; the first search, which
reads the vectors, is listed alone.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import Row, Run, at_most, make_parser, publish, run, temporary_folder

EMBED_BAR = 0.2  # ms to read a description
BARS = {  # by photos: ms for 95 searches of 100, and MB of the process
    100_000: (50.0, None),
    1_000_000: (150.0, 700.0),
}
TAGS_EACH = 5
TOKENS, DIMENSIONS = 8_000, 256
FLOOR = 2.5  # standard deviations
PAGE = 48
WORDS = 6  # in a description
KINDS = {  # queries by name; {0} and {1} are descriptions
    "description": 'like:"{0}"',
    "with a tag": 'like:"{0}" person',
    "with a date": 'like:"{0}" taken:2019 -dog',
    "one of two": 'like:"{0}" OR like:"{1}"',
    "without": '-like:"{0}"',
    "plain words": "{0}",
    "second page": 'like:"{0}"',
}


def main() -> None:
    options = parse()
    if options.step:
        {"build": build, "search": search}[options.step](options.folder, options.photos[0], options)
    elif options.folder:
        compare(options.folder, options)
    else:
        with temporary_folder() as folder:
            compare(folder, options)


def parse() -> argparse.Namespace:
    arguments = make_parser(__doc__)
    add = arguments.add_argument
    add("--photos", type=int, nargs="+", default=list(BARS), help="sizes of the libraries")
    add("--rounds", type=int, default=20, help="of all kinds of searches")
    add("--folder", type=Path, help="where the libraries are, or will be built")
    add("--step", choices=("build", "search"), help=argparse.SUPPRESS)
    return arguments.parse_args()


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Build each library, search it, and print the table."""
    rows: list[Row] = []
    runs: dict[str, list[Run]] = {}
    for photos in options.photos:
        home = folder / str(photos)
        arguments = ("--folder", home, "--photos", str(photos), "--rounds", str(options.rounds))
        run(sys.executable, __file__, "--step", "build", *arguments)
        finished = run(sys.executable, __file__, "--step", "search", *arguments)
        rows += report(photos, json.loads(finished.output), finished.peak_mb)
        runs[f"{photos:,} photos"] = [finished]
    publish("Descriptions: ms, and MB of the process", rows, runs, options.json)


def report(photos: int, times: dict[str, list[float]], peak_mb: float) -> list[Row]:
    latency_bar, memory_bar = BARS.get(photos, (None, None))
    reading, first = times.pop("reading"), times.pop("first")
    every = [milliseconds for timings in times.values() for milliseconds in timings]
    p95 = quantile(every, 0.95)
    return [
        row(photos, "read a description", reading, at_most(quantile(reading, 0.95), EMBED_BAR)),
        row(photos, "first search", first),
        *(row(photos, kind, timings) for kind, timings in times.items()),
        row(photos, "all kinds", every, at_most(p95, latency_bar) if latency_bar else ""),
        {
            **row(photos, "peak memory, MB", [peak_mb]),
            "bar": at_most(peak_mb, memory_bar) if memory_bar else "",
        },
    ]


def row(photos: int, name: str, times: Sequence[float], bar: str = "") -> Row:
    p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
    return {"search": name, "photos": photos, "p50": p50, "p95": p95, "bar": bar}


def quantile(times: Sequence[float], share: float) -> float:
    """The smallest time that a share of the times does not exceed."""
    return sorted(times)[math.ceil(share * len(times)) - 1]


# Steps, each in a process of its own. Only they import the project.


def build(home: Path, photos: int, options: argparse.Namespace) -> None:
    """Build a library with vectors, unless it is there, and its model."""
    import numpy as np
    from large_library import build as build_library
    from sqlalchemy import func, insert, select

    from tagger.inference import model_file
    from tagger.inference.decision import unit_vectors
    from tagger.library.database import schema
    from tagger.library.library import Library

    home.mkdir(parents=True, exist_ok=True)
    if not (home / "words.h5").is_file():
        make_model(home / "words.h5")
    library = Library.open(home, build_library(home, photos, TAGS_EACH * photos))
    library.use_model(str(home / "words.h5"))
    space = model_file.load(home / "words.h5").space
    with library.database.write_transaction() as connection:
        if not connection.scalar(select(func.count()).select_from(schema.vectors)):
            connection.execute(insert(schema.spaces).values(id=1, sha256=space))
            rng = np.random.default_rng(3)
            for start in range(1, photos + 1, 10_000):
                numbers = range(start, min(start + 10_000, photos + 1))
                vectors = unit_vectors(rng.standard_normal((len(numbers), DIMENSIONS), np.float32))
                rows = [
                    {"space_id": 1, "photo_id": number, "vector": vector.tobytes()}
                    for number, vector in zip(numbers, vectors.astype(np.float16), strict=True)
                ]
                connection.execute(insert(schema.vectors), rows)
    library.close()


def make_model(path: Path) -> None:
    """The bundled model with random words."""
    import shutil
    from dataclasses import replace

    import h5py
    import numpy as np

    from tagger.inference import model_file
    from tagger.inference.litert import Runtime
    from tagger.inference.registry import BUNDLED_MODEL
    from tagger.inference.words import Words

    bundled = model_file.load(BUNDLED_MODEL)
    features = Runtime(bundled.network).feature_count
    rng = np.random.default_rng(2)
    words = Words(
        tokens=tuple(f"word{number}" for number in range(TOKENS)),
        vectors=rng.standard_normal((TOKENS, DIMENSIONS), np.float32).astype(np.float16),
        text_bias=np.zeros(DIMENSIONS, np.float32),
        projection=rng.standard_normal((features, DIMENSIONS), np.float32).astype(np.float16),
        photo_bias=np.zeros(DIMENSIONS, np.float32),
        background=rng.standard_normal((512, DIMENSIONS), np.float32).astype(np.float16) / 16,
        floor=FLOOR,
    )
    keras_file = Path(shutil.copyfile(BUNDLED_MODEL, path.with_suffix(".keras")))
    with h5py.File(keras_file, "r+") as file:
        del file[model_file.GROUP]
    model_file.save(path, keras_file, replace(bundled, words=words))


def search(home: Path, photos: int, options: argparse.Namespace) -> None:
    """Print the milliseconds of each kind of search as JSON."""
    import time

    from tagger.library.library import Library
    from tagger.tagger import Tagger

    def milliseconds(call: Any) -> float:
        began = time.perf_counter()
        call()
        return 1000 * (time.perf_counter() - began)

    rng = random.Random(1)

    def describe() -> str:
        return " ".join(f"word{rng.randrange(TOKENS)}" for _ in range(WORDS))

    library = Library.open(home)
    times: dict[str, list[float]] = {}
    times["first"] = [milliseconds(lambda: library.search(f'like:"{describe()}"'))]
    for _ in range(options.rounds):
        for kind in rng.sample(list(KINDS), len(KINDS)):
            query = KINDS[kind].format(describe(), describe())
            offset = PAGE if kind == "second page" else 0
            seconds = milliseconds(lambda q=query, o=offset: library.search(q, None, o, PAGE))
            times.setdefault(kind, []).append(seconds)
    library.close()
    tagger = Tagger.load(home / "words.h5")
    tagger.embed_text(describe())
    texts = [describe() for _ in range(200)]
    times["reading"] = [milliseconds(lambda t=text: tagger.embed_text(t)) for text in texts]
    print(json.dumps(times))


if __name__ == "__main__":
    main()
