"""Labels are recognised by looking, and the same ones come back however they are written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagger.datasets import dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.readers import detect
from tagger.datasets.readers.listing import Listing
from tagger.errors import DatasetError
from tagger.images import decode
from tagger.library import export
from tests.datasets import written
from tests.datasets.written import content, present, put, save, sentences

WAYS = ("CSV", "COCO", "VOC", "YOLO")
QUICK = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(way: str, root: Path, photos: written.Photos, names: list[str]) -> None:
    """The same photos' labels in one of the ways."""
    for place in root.rglob("*"):
        if place.is_file() and place.suffix != ".jpg":
            place.unlink()
    put(root, *photos)
    if way == "CSV":
        with open(root / "labels.csv", "w", newline="", encoding="utf-8") as file:
            rows = ([p, *(int(name in tags) for name in names)] for p, tags in photos.items())
            csv.writer(file).writerows([["image", *names], *rows])
    elif way == "COCO":
        written.write_coco(root / "annotations" / "instances_all.json", photos, names)
    elif way == "VOC":
        written.write_voc(root, photos)
    else:
        written.write_yolo(root, photos, names)
        said = {"path": "somewhere/else", "train": "../images", "names": names}
        save(root / "data.yaml", json.dumps(said, ensure_ascii=False))  # is YAML


@pytest.mark.parametrize("way", WAYS)
def test_the_same_labels_come_back(tmp_path: Path, way: str) -> None:
    photos = {
        "images/a.jpg": {"sea", "sun & 'sand', \"hot\""},
        "images/b.jpg": {"sea"},
        "images/deep/c.png": set(),
        "images/猫 d.jpg": {"猫"},
    }
    names = sorted({name for tags in photos.values() for name in tags})
    write(way, tmp_path, photos, names)
    found = detect.read(tmp_path, 2)
    assert (found.label_format, found.kind, list(found.names)) == (way, "multi", names)
    assert content(found, tmp_path) == {p: (tags, set(), "train") for p, tags in photos.items()}
    assert found.remarks == ()


TAGS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8).map(
    lambda text: f"{text}, a b"
)


@QUICK
@given(names=st.lists(TAGS, min_size=2, max_size=5, unique=True), bits=st.integers(1, 2**15))
def test_any_name_and_any_tags_come_back(tmp_path: Path, names: list[str], bits: int) -> None:
    photos = {
        f"images/{photo}.jpg": {
            name for n, name in enumerate(names) if bits >> (photo * len(names) + n) & 1
        }
        for photo in range(3)
    }
    photos["images/all.jpg"] = set(names)
    for way in WAYS:
        write(way, tmp_path, photos, names)
        found = detect.read(tmp_path, 1)
        assert found.label_format == way and found.remarks == ()
        assert present(found, tmp_path) == photos


def test_folders_are_read_where_nothing_else_is_found(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.jpg", "dog/b.jpg", "dog/c.jpg")
    for name in ("notes.txt", "package.json", "prices.csv", "feed.xml"):
        save(tmp_path / name, "{}")
    save(tmp_path / "stock.csv", "id,path,price\n1,https://example.org,3\n2,,4\n")
    save(tmp_path / "classes.txt", "cat\ndog\n")
    save(tmp_path / "config.yaml", "names: [cat, dog]\n")
    found = detect.read(tmp_path, 2)
    assert (found.label_format, found.kind, found.remarks) == ("folders", "single", ())
    assert present(found, tmp_path) == {"cat/a.jpg": {"cat"}, "dog/b.jpg": {"dog"}} | {
        "dog/c.jpg": {"dog"}
    }


def test_of_several_ways_the_first_is_read_and_the_others_told_of(tmp_path: Path) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    put(tmp_path, *photos)
    save(tmp_path / "list.csv", "image,label\na.jpg,csv\nb.jpg,other\n")
    assert detect.read(tmp_path, 2).remarks == ()
    written.write_yolo(tmp_path, photos, ["x", "y"])
    save(tmp_path / "data.yaml", "names: [x, y]")
    found = detect.read(tmp_path, 2)
    assert found.label_format == "YOLO"
    assert sentences(found) == ["1 other label format lies beside the one read: not read"]
    assert found.remarks[0].names == ("CSV",)
    written.write_voc(tmp_path, photos)
    assert detect.read(tmp_path, 2).label_format == "VOC"
    written.write_coco(tmp_path / "instances_x.json", photos, ["x", "y"])
    assert detect.read(tmp_path, 2).label_format == "COCO"
    (tmp_path / "list.csv").rename(tmp_path / "labels.csv")
    put(tmp_path, "cat/1.jpg", "dog/1.jpg")
    found = detect.read(tmp_path, 2)
    assert found.label_format == "CSV" and present(found, tmp_path)["images/a.jpg"] == {"csv"}
    assert found.remarks[-1].names == ("COCO", "VOC", "YOLO", "folders")
    assert sentences(found)[-1] == "4 other label formats lie beside the one read: not read"


def test_an_archives_outer_folder_is_looked_through(tmp_path: Path) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    for way in WAYS:
        root = tmp_path / way
        write(way, root / "archive", photos, ["x", "y"])
        found = detect.read(root, 2)
        assert found.label_format == way and present(found, root / "archive") == photos


def test_links_that_lead_out_are_not_read(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere.csv", "image,label\na.jpg,x\nb.jpg,y\n")
    root = tmp_path / "photos"
    put(root, "cat/a.jpg", "dog/b.jpg")
    (root / "labels.csv").symlink_to(tmp_path / "elsewhere.csv")
    found = detect.read(root, 2)
    assert found.label_format == "folders"
    assert sentences(found) == ["1 link leads out of the collection: left out"]


@pytest.fixture(scope="module")
def coco128(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Listing]:
    """The names of 128 real photos of COCO, in a folder to write labels into, and their labels."""
    root = tmp_path_factory.mktemp("coco128")
    found = detect.read(data / "coco128", 2)
    put(root, *(f"images/{sample.path.name}" for sample in found.samples))
    return root, found


@pytest.mark.parametrize("way", WAYS)
def test_coco128_comes_back_from_every_way(coco128: tuple[Path, Listing], way: str) -> None:
    root, expected = coco128
    photos = {
        f"images/{s.path.name}": {expected.names[label] for label in s.present}
        for s in expected.samples
    }
    write(way, root, photos, list(expected.names))
    found = detect.read(root, 2)
    assert found.label_format == way and found.remarks == ()
    assert len(found.samples) == 128 and present(found, root) == photos
    held = {name for tags in photos.values() for name in tags}
    # Pascal VOC has no list of classes: those without an object are not known
    assert set(found.names) == (held if way == "VOC" else set(expected.names))
    assert len(expected.names) == 80 and sum(map(len, photos.values())) == 362


@pytest.mark.parametrize("way", WAYS)
def test_photos_of_every_way_are_surveyed(tmp_path: Path, way: str) -> None:
    rng = np.random.default_rng(5)
    photos = {
        f"images/{number:02}.jpg": {name for name in "xyz" if rng.random() < 0.5}
        for number in range(40)
    }
    root = tmp_path / "photos"
    write(way, root, photos, ["x", "y", "z"])
    for place in (*photos, "images/stray.jpg"):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        pixels = cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)
        (root / place).write_bytes(decode.encode(pixels))
    if way == "YOLO":
        save(root / "list.txt", "\n".join(photos))
        save(root / "data.yaml", "train: list.txt\nnames: [x, y, z]\n")
    store = PixelStore(tmp_path / "pixels.u8", 24)
    try:
        found = dataset.load(root, store)
    finally:
        store.close()
    assert found.labels.names == ("x", "y", "z") and len(found.samples) == 40
    assert found.problems.ignored == ("images/stray.jpg",)
    assert found.problems.lines() == ["1 photo has no label: left out"]
    assert set(found.sizes()) == {"train", "val"}


def test_nothing_at_all_says_what_would_work(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"make one folder for each label.*labels\.csv or COCO"):
        detect.read(tmp_path, 2)


# --- files that are not of labels


def folder_collection(root: Path) -> dict[str, set[str]]:
    photos = {f"{label}/{n}.jpg": {label} for label in ("cat", "dog") for n in range(3)}
    put(root, *photos)
    return photos


@pytest.mark.parametrize(
    ("strays", "useless"),
    [
        ({"classes.txt": "cat\ndog\n", "LICENSE.txt": "0 1 1 1 1"}, ""),
        ({"environment.yml": "{% x %}\n\t-", "notes.txt": "x"}, ""),
        ({"environment.yml": "{% x %}\n\t-", "cat/0.txt": "a cat"}, "YOLO"),
        ({"data.yaml": "{% x %}\n\t-", "classes.txt": "cat", "cat/0.txt": "a cat"}, "YOLO"),
        ({"classes.txt": "cat\ndog\n", "cat/0.txt": "a cat on a mat with a hat"}, "YOLO"),
        ({"manifest.csv": "id,name,email\n17,Ann,a@b.c\n18,Bob,b@b.c\n"}, ""),
        ({"manifest.csv": "id,price,stock\ncat/1.jpg,17,3\n"}, "CSV"),
        ({"x.json": '{"images": [], "categories": [], "annotations": []}'}, "COCO"),
        ({"instances_train.json": '{"images": ['}, "COCO"),
        ({"Annotations/a.xml": "<annotation><object>"}, "VOC"),
        ({"instances.json": "{", "manifest.csv": "id,x,y\ncat/1,17,3\n"}, "COCO, CSV"),
    ],
)  # fmt: skip
def test_a_stray_file_leaves_good_folders_as_they_are(
    tmp_path: Path, strays: dict[str, str], useless: str
) -> None:
    photos = folder_collection(tmp_path)
    for name, text in strays.items():
        save(tmp_path / name, text)
    found = detect.read(tmp_path, 2)
    assert (found.label_format, found.kind) == ("folders", "single")
    assert present(found, tmp_path) == photos
    told = {
        1: f"1 label format leads to no labelled photos: {useless} not read",
        2: f"2 label formats lead to no labelled photos: {useless} not read",
    }
    ways = useless.split(", ") if useless else []
    assert sentences(found) == ([told[len(ways)]] if ways else [])
    named = [name.split(": ")[0] for remark in found.remarks for name in remark.names]
    assert named == ways


def test_labels_that_come_to_nothing_leave_the_next_way(tmp_path: Path) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    put(tmp_path, *photos)
    written.write_yolo(tmp_path, photos, ["x", "y"])
    save(tmp_path / "data.yaml", "names: [x, y]")
    save(tmp_path / "instances.json", "{")
    found = detect.read(tmp_path, 2)
    assert found.label_format == "YOLO" and present(found, tmp_path) == photos
    assert sentences(found) == ["1 label format leads to no labelled photos: COCO not read"]
    assert "instances.json, line 1: not JSON" in found.remarks[0].names[0]


def test_folders_named_for_what_they_hold_are_no_way_out(tmp_path: Path) -> None:
    put(tmp_path, "train2017/a.jpg", "val2017/b.jpg", "images/c.jpg", "cat/d.jpg")
    save(tmp_path / "instances_train2017.json", "{")
    with pytest.raises(DatasetError, match=r"instances_train2017\.json, line 1: not JSON"):
        detect.read(tmp_path, 2)


def test_a_table_called_labels_is_meant(tmp_path: Path) -> None:
    folder_collection(tmp_path)
    save(tmp_path / "labels.csv", "image,label\ngone.jpg,cat\n")
    with pytest.raises(DatasetError, match=r"found 0 photos by CSV.*1 row names a photo"):
        detect.read(tmp_path, 2)


def test_a_table_of_the_app_is_not_taken_for_labels(tmp_path: Path) -> None:
    put(tmp_path, "cat/1.jpg", "dog/2.jpg")
    with open(tmp_path / "photos.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([export.HEADER, [1, "beach.jpg"], [2, "room.jpg"]])
    found = detect.read(tmp_path, 2)
    assert (found.names, found.remarks) == (("cat", "dog"), ())


def test_folders_beside_are_told_of_though_every_photo_is_listed(tmp_path: Path) -> None:
    photos = folder_collection(tmp_path)
    rows = "".join(f"{place},{'in' if '0' in place else 'out'}\n" for place in photos)
    save(tmp_path / "labels.csv", f"image,label\n{rows}")
    found = detect.read(tmp_path, 2)
    assert found.names == ("in", "out") and found.remarks[0].names == ("folders",)
    rows = "".join(f"{place},{label}\n" for place, (label,) in photos.items())
    save(tmp_path / "labels.csv", f"image,label\n{rows}")
    assert detect.read(tmp_path, 2).remarks == ()  # they say the same
    put(tmp_path, "new/1.jpg", "newer/1.jpg")  # two among eight
    assert detect.read(tmp_path, 2).remarks == ()
