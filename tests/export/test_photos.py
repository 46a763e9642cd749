"""Photos to check exports with: labelled or not, held out, apart from those for int8 ranges."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tagger.datasets.pixel_store import PixelStore
from tagger.errors import DatasetError
from tagger.export.photos import load_photos
from tagger.images import decode, transforms
from tagger.labels import LabelSet
from tests.conftest import SHAPES, draw, draw_collection

LABELS = LabelSet(tuple(sorted(SHAPES)))


@pytest.fixture
def store(tmp_path: Path):  # type: ignore[no-untyped-def]
    opened = PixelStore(tmp_path / "p.u8", 32)
    yield opened
    opened.close()


def shape_of(pixels: decode.Pixels, collection: Path) -> str:
    """The label of the photo that these pixels were prepared from."""
    (label,) = {
        path.parent.name
        for path in decode.find_photos(collection)
        if np.array_equal(transforms.prepare(path, 32), pixels)
    }
    return label


def test_photos_of_a_labelled_collection_have_labels(shapes: Path, store: PixelStore) -> None:
    photos = load_photos(shapes, LABELS, store)
    checked = list(photos.pixels())
    assert photos.truth is not None and len(checked) == len(photos.truth) == 100
    for row in (0, 50, 99):
        assert shape_of(checked[row], shapes) == LABELS.names[photos.truth[row]]
    assert set(photos.truth.tolist()) == {0, 1, 2}
    assert all(map(np.array_equal, checked, photos.pixels()))  # the same photos again


def test_ranges_come_from_other_photos(shapes: Path, store: PixelStore) -> None:
    photos = load_photos(shapes, LABELS, store)
    checked = {pixels.tobytes() for pixels in photos.pixels()}
    assert len(photos.ranges) == 20
    assert not checked & {pixels.tobytes() for pixels in photos.ranges}


def test_held_out_photos_are_preferred(tmp_path: Path, store: PixelStore) -> None:
    draw_collection(tmp_path / "c" / "train", 9)
    held_out = draw_collection(tmp_path / "c" / "val", 4, first=100)
    photos = load_photos(tmp_path / "c", LABELS, store)
    loaded = [*photos.pixels(), *photos.ranges]
    assert len(loaded) == 12
    assert {shape_of(pixels, held_out) for pixels in loaded} == set(SHAPES)


def test_unlabelled_photos_are_enough_for_agreement(tmp_path: Path, store: PixelStore) -> None:
    for seed in range(12):
        (tmp_path / f"{seed}.png").write_bytes(decode.encode(draw("disc", seed)))
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    messages: list[str] = []
    photos = load_photos(tmp_path, LABELS, store, say=messages.append)
    assert photos.truth is None and len(list(photos.pixels())) == 10 and len(photos.ranges) == 2
    unlabelled, broken, few = messages
    assert unlabelled.startswith("What is right is not known, so agreement alone is checked: ")
    assert broken.startswith("Left out: broken.jpg: ")
    assert few == "Only 10 photos: too few for reliable figures."


def test_unseen_tags_stay_unseen(tmp_path: Path, store: PixelStore) -> None:
    rows = ["image,disc,square", "0.png,1,0", "1.png,0,", "2.png,1,1", "3.png,,0"]
    for seed in range(4):
        (tmp_path / f"{seed}.png").write_bytes(decode.encode(draw("disc", seed)))
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    labels = LabelSet(("disc", "square", "stripes"), "multi")
    truth = load_photos(tmp_path, labels, store).truth
    assert truth is not None
    assert sorted(truth.tolist()) == [[-1, 0, -1], [0, -1, -1], [1, 0, -1], [1, 1, -1]]


def test_a_folder_without_readable_photos_is_refused(tmp_path: Path, store: PixelStore) -> None:
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        load_photos(tmp_path / "nowhere", LABELS, store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"none of 0 photos could be read; looked for .*jpg"):
        load_photos(tmp_path / "empty", LABELS, store)


def test_one_photo_also_gives_the_ranges(tmp_path: Path, store: PixelStore, shapes: Path) -> None:
    shutil.copy(shapes / "disc" / "000.jpg", tmp_path)
    photos = load_photos(tmp_path, LABELS, store)
    assert len(list(photos.pixels())) == len(photos.ranges) == 1
