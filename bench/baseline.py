"""The baseline of all benchmarks: the usual Keras recipe, written faithfully.

    python bench/baseline.py train DATA MODEL.h5       # DATA/{train,val}/LABEL/ or DATA/LABEL/
    python bench/baseline.py predict MODEL.h5 PATH...  # photos or folders, a line for each photo
    python bench/baseline.py score MODEL.h5 FOLDER     # FOLDER/LABEL/: the accuracy

Photos squashed to 128 x 128 and held in one array, a frozen MobileNetV2 with a small dense head,
three epochs; then `load_model`, `model.predict` photo by photo, and softmax >= 0.70 or unknown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import cv2
import keras
import numpy as np
from keras.applications.mobilenet_v2 import MobileNetV2, preprocess_input
from numpy.typing import NDArray
from PIL import Image

SIDE = 128  # pixels
THRESHOLD = 0.70  # softmax
EPOCHS = 3
BATCH_SIZE = 32
VALIDATION_SHARE = 0.2  # where DATA has no val/
EXTENSIONS = (".jpg", ".jpeg", ".png")

Photos = NDArray[np.float32]  # (N, 128, 128, 3)
Indices = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description="The usual recipe, to compare with.")
    actions = parser.add_subparsers(required=True)
    for action, arguments in (
        (train, "data model"),
        (predict, "model paths"),
        (score, "model folder"),
    ):
        subparser = actions.add_parser(action.__name__)
        subparser.set_defaults(action=action)
        for name in arguments.split():
            subparser.add_argument(name, type=Path, nargs="+" if name == "paths" else None)
    options = parser.parse_args()
    options.action(options)


def train(options: argparse.Namespace) -> None:
    (photos, truth, names), held_out = load_splits(options.data)
    model = build(len(names))
    model.fit(photos, truth, BATCH_SIZE, EPOCHS, validation_data=held_out)
    model.save(options.model)
    labels_file(options.model).write_text("\n".join(names), encoding="utf-8")


def predict(options: argparse.Namespace) -> None:
    model = keras.models.load_model(options.model)
    names = labels_file(options.model).read_text(encoding="utf-8").split("\n")
    for path in find_photos(options.paths):
        photo = preprocess_input(read(path).astype(np.float32))
        softmax = model.predict(photo[None], verbose=0)[0]
        best = int(softmax.argmax())
        label = names[best] if softmax[best] >= THRESHOLD else "unknown"
        print(f"{path}: {label} {softmax[best]:.2%}")


def score(options: argparse.Namespace) -> None:
    model = keras.models.load_model(options.model)
    photos, truth, _ = load(options.folder)
    print(f"{(model.predict(photos, verbose=0).argmax(axis=1) == truth).mean():.6f}")


def build(labels: int) -> keras.Model:
    body = MobileNetV2(input_shape=(SIDE, SIDE, 3), include_top=False, weights=imagenet_weights())
    body.trainable = False
    layers = keras.layers
    model = keras.Sequential(
        [
            body,
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(128, activation="relu"),
            layers.Dense(labels, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def imagenet_weights() -> str:
    """Keras's weights for 128 pixels, or those for 224 if only these are cached."""
    from tagger.models import backbones, keras_cache

    pretrained = backbones.find_backbone("mobilenet_v2").pretrained
    cached = keras_cache.cached_path(pretrained.file)
    own = cached.with_name(cached.name.replace("_224_", f"_{SIDE}_"))
    return str(cached) if cached.is_file() and not own.is_file() else "imagenet"


def load_splits(data: Path) -> tuple[tuple[Photos, Indices, list[str]], tuple[Photos, Indices]]:
    """Training photos, labels and names; validation photos and labels."""
    if (data / "train").is_dir():
        return load(data / "train"), load(data / "val")[:2]
    from sklearn.model_selection import train_test_split

    photos, truth, names = load(data)
    split: list[Any] = train_test_split(photos, truth, test_size=VALIDATION_SHARE, random_state=0)
    train, held_out, train_truth, held_out_truth = split
    return (train, train_truth, names), (held_out, held_out_truth)


def load(folder: Path) -> tuple[Photos, Indices, list[str]]:
    """The photos of FOLDER/LABEL/ in one array, their labels, and the labels' names."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    photos, truth = [], []
    for index, name in enumerate(names):
        for path in find_photos([folder / name]):
            photos.append(read(path))
            truth.append(index)
    return preprocess_input(np.array(photos, np.float32)), np.array(truth), names


def find_photos(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (photo for photo in files if photo.suffix.lower() in EXTENSIONS)


def read(path: Path | IO[bytes]) -> NDArray[np.uint8]:
    photo = np.asarray(Image.open(path).convert("RGB"))
    return cv2.resize(photo, (SIDE, SIDE)).astype(np.uint8, copy=False)


def labels_file(model: Path) -> Path:
    return model.with_suffix(".txt")


if __name__ == "__main__":
    main()
