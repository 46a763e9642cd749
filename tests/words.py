"""Words for the tiny network: descriptions of the drawn shapes, fitted in closed form.

A ridge regression from features to the shapes makes photos' vectors, one dimension a shape; a
word's vector points to its shape and away from the others.
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

FLOOR = 1.0  # deviations
PHOTOS = 40  # of each shape to fit on
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
    features = np.stack([output.features for output in outputs])  # (N, F)
    centre = features.mean(axis=0)
    directions = np.eye(len(shapes)) - 1 / len(shapes)  # of the shapes
    targets = np.repeat(directions, PHOTOS, axis=0)
    covariance = (features - centre).T @ (features - centre)
    ridge = 0.01 * np.trace(covariance) / len(centre) * np.eye(len(centre))
    projection = np.linalg.solve(covariance + ridge, (features - centre).T @ targets)
    projection = projection.astype(np.float16)
    photo_bias = -centre @ projection.astype(np.float32)
    by_shape = dict(zip(shapes, directions, strict=True))
    vectors = [by_shape.get(shape or "", np.zeros(len(shapes))) for shape in TOKENS.values()]
    background = unit_vectors(features @ projection.astype(np.float32) + photo_bias)
    words = Words(
        tokens=tuple(TOKENS),
        vectors=np.array(vectors, np.float16),
        text_bias=np.zeros(len(shapes), np.float32),
        projection=projection,
        photo_bias=photo_bias.astype(np.float32),
        background=background.astype(np.float16),
        floor=FLOOR,
    )
    return _save_with_words(model, target, words)


def copy_to_other_space(model: Path, target: Path) -> Path:
    """Write a model with words again, so that its photos' vectors count as those of another."""
    words = model_file.load(model).words
    assert words is not None
    doubled = replace(words, projection=words.projection * 2, photo_bias=words.photo_bias * 2)
    return _save_with_words(model, target, doubled)


def _save_with_words(model: Path, target: Path, words: Words) -> Path:
    keras_file = Path(shutil.copyfile(model, target.with_suffix(".keras")))
    with h5py.File(keras_file, "r+") as file:
        del file[model_file.GROUP]
    model_file.save(target, keras_file, replace(model_file.load(model), words=words))
    return target
