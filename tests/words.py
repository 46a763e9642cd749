"""Words for the tiny network: descriptions of the drawn shapes, without any training.

A photo's vector is its logits less those of the background's mean, so photos of a shape lie
together, and a word's vector is the mean of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from tagger.images import transforms
from tagger.images.decode import Pixels
from tagger.inference import model_file
from tagger.inference.decision import unit_vectors
from tagger.inference.litert import Runtime
from tagger.inference.words import Words

FLOOR = 0.5  # standard deviations
PHOTOS = 20  # of each shape in the background
TOKENS = {  # the shape that a token means, None: any
    "disc": "disc",
    "~disk": "disc",
    "circle": "disc",
    "ball": "disc",
    "square": "square",
    "box": "square",
    "stripes": "stripes",
    "zebra": "stripes",
    "in": None,
    "picture": None,
}


def add_words(model: Path, target: Path, draw: Callable[[str, int], Pixels]) -> Path:
    """Write the model of the drawn shapes with words for them."""
    trained = model_file.load(model)
    shapes = trained.labels.names
    runtime = Runtime(trained.network)
    photos = [draw(shape, seed) for shape in shapes for seed in range(300, 300 + PHOTOS)]
    outputs = [runtime.run(transforms.fit(photo, trained.image_size)) for photo in photos]
    kernel = model_file.read_arrays(model)["head/head/kernel"].astype(np.float16)  # (F, 3)
    projected = np.stack([output.features for output in outputs]) @ kernel.astype(np.float32)
    photo_bias = -projected.mean(axis=0)
    background = unit_vectors(projected + photo_bias)
    means = dict(zip(shapes, background.reshape(len(shapes), PHOTOS, -1).mean(axis=1), strict=True))
    nothing = np.zeros(len(shapes))
    words = Words(
        tokens=tuple(TOKENS),
        vectors=np.stack([means.get(shape, nothing) for shape in TOKENS.values()]).astype(
            np.float16
        ),
        text_bias=np.zeros(len(shapes), np.float32),
        projection=kernel,
        photo_bias=photo_bias.astype(np.float32),
        background=background.astype(np.float16),
        floor=FLOOR,
    )
    keras_file = Path(shutil.copyfile(model, target.with_suffix(".keras")))
    with h5py.File(keras_file, "r+") as file:
        del file[model_file.GROUP]
    model_file.save(target, keras_file, replace(trained, words=words))
    return target
