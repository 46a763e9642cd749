"""Detection of label formats: the same labels are read in every format."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

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
from tagger.labels import normalize_label
from tagger.library import export
from tests.conftest import draw_smooth_colours
from tests.datasets import label_files
from tests.datasets.label_files import contents, sentences, tags_of, touch, write_file
from tests.trees import make_too_deep

FORMATS = ("CSV", "COCO", "VOC", "YOLO")
QUICK = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(label_format: str, root: Path, photos: label_files.Photos, names: list[str]) -> None:
    """Labels of the same photos in a format, instead of earlier ones."""
    for path in root.rglob("*"):
        if path.is_file() and path.suffix != ".jpg":
            path.unlink()
    touch(root, *photos)
    if label_format == "CSV":
        with open(root / "labels.csv", "w", newline="", encoding="utf-8") as file:
            rows = ([p, *(int(name in tags) for name in names)] for p, tags in photos.items())
            csv.writer(file).writerows([["image", *names], *rows])
    elif label_format == "COCO":
        label_files.write_coco(root / "annotations" / "instances_all.json", photos, names)
    elif label_format == "VOC":
        label_files.write_voc(root, photos)
    else:
        label_files.write_yolo(root, photos, names)
        content = {"path": "somewhere/else", "train": "../images", "names": names}
        write_file(root / "data.yaml", json.dumps(content, ensure_ascii=False))  # is YAML


@pytest.mark.parametrize("label_format", FORMATS)
def test_labels_can_be_read_back_in_every_format(tmp_path: Path, label_format: str) -> None:
    photos = {
        "images/a.jpg": {"sea", "sun & 'sand', \"hot\""},
        "images/b.jpg": {"sea"},
        "images/deep/c.png": set(),
        "images/猫 d.jpg": {"猫"},
    }
    names = sorted({name for tags in photos.values() for name in tags})
    write(label_format, tmp_path, photos, names)
    listing = detect.read(tmp_path, 2)
    assert (listing.label_format, listing.kind, list(listing.names)) == (
        label_format,
        "multi",
        names,
    )
    assert contents(listing, tmp_path) == {p: (tags, set(), "train") for p, tags in photos.items()}
    assert listing.remarks == ()


TAGS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8).map(
    lambda text: normalize_label(f"{text}, a b")
)


@QUICK
@given(names=st.lists(TAGS, min_size=2, max_size=5, unique=True), bits=st.integers(1, 2**15))
def test_any_names_and_tags_can_be_read_back(tmp_path: Path, names: list[str], bits: int) -> None:
    photos = {
        f"images/{photo}.jpg": {
            name for n, name in enumerate(names) if bits >> (photo * len(names) + n) & 1
        }
        for photo in range(3)
    }
    photos["images/all.jpg"] = set(names)
    for label_format in FORMATS:
        write(label_format, tmp_path, photos, names)
        listing = detect.read(tmp_path, 1)
        assert listing.label_format == label_format and listing.remarks == ()
        assert tags_of(listing, tmp_path) == photos


def test_folders_are_read_without_label_files(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.jpg", "dog/b.jpg", "dog/c.jpg")
    for name in ("notes.txt", "package.json", "prices.csv", "feed.xml"):
        write_file(tmp_path / name, "{}")
    write_file(tmp_path / "stock.csv", "id,path,price\n1,https://example.org,3\n2,,4\n")
    write_file(tmp_path / "classes.txt", "cat\ndog\n")
    write_file(tmp_path / "config.yaml", "names: [cat, dog]\n")
    listing = detect.read(tmp_path, 2)
    assert (listing.label_format, listing.kind, listing.remarks) == ("folders", "single", ())
    assert tags_of(listing, tmp_path) == {"cat/a.jpg": {"cat"}, "dog/b.jpg": {"dog"}} | {
        "dog/c.jpg": {"dog"}
    }


def test_the_first_format_is_read_and_the_others_are_listed(tmp_path: Path) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    touch(tmp_path, *photos)
    write_file(tmp_path / "list.csv", "image,label\na.jpg,csv\nb.jpg,other\n")
    assert detect.read(tmp_path, 2).remarks == ()
    label_files.write_yolo(tmp_path, photos, ["x", "y"])
    write_file(tmp_path / "data.yaml", "names: [x, y]")
    listing = detect.read(tmp_path, 2)
    assert listing.label_format == "YOLO"
    assert sentences(listing) == ["1 other label format lies beside the one read: not read"]
    assert listing.remarks[0].names == ("CSV",)
    label_files.write_voc(tmp_path, photos)
    assert detect.read(tmp_path, 2).label_format == "VOC"
    label_files.write_coco(tmp_path / "instances_x.json", photos, ["x", "y"])
    assert detect.read(tmp_path, 2).label_format == "COCO"
    (tmp_path / "list.csv").rename(tmp_path / "labels.csv")
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    listing = detect.read(tmp_path, 2)
    assert listing.label_format == "CSV" and tags_of(listing, tmp_path)["images/a.jpg"] == {"csv"}
    assert listing.remarks[-1].names == ("COCO", "VOC", "YOLO", "folders")
    assert sentences(listing)[-1] == "4 other label formats lie beside the one read: not read"


def test_the_outer_folder_of_an_archive_is_skipped(tmp_path: Path) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    for label_format in FORMATS:
        root = tmp_path / label_format
        write(label_format, root / "archive", photos, ["x", "y"])
        listing = detect.read(root, 2)
        assert listing.label_format == label_format and tags_of(listing, root / "archive") == photos


def test_links_that_lead_outside_are_not_read(tmp_path: Path) -> None:
    write_file(tmp_path / "elsewhere.csv", "image,label\na.jpg,x\nb.jpg,y\n")
    root = tmp_path / "photos"
    touch(root, "cat/a.jpg", "dog/b.jpg")
    (root / "labels.csv").symlink_to(tmp_path / "elsewhere.csv")
    listing = detect.read(root, 2)
    assert listing.label_format == "folders"
    assert sentences(listing) == ["1 link leads out of the collection: left out"]


@pytest.mark.parametrize("label_format", FORMATS)
def test_linked_folders_belong_to_the_collection(tmp_path: Path, label_format: str) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    root = tmp_path / "photos"
    write(label_format, root, photos, ["x", "y"])
    (root / "images").rename(tmp_path / "disk")
    (root / "images").symlink_to(tmp_path / "disk")
    listing = detect.read(root, 2)
    assert listing.label_format == label_format and tags_of(listing, root) == photos


def test_the_outer_folder_is_the_one_with_photos(tmp_path: Path) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    for label_format in FORMATS:
        root = tmp_path / label_format
        write(label_format, root / "archive", photos, ["x", "y"])
        touch(root, "__MACOSX/archive/images/._a.jpg")
        write_file(root / "docs" / "readme.txt", "x")
        (root / "empty").mkdir()
        listing = detect.read(root, 2)
        assert listing.label_format == label_format and tags_of(listing, root / "archive") == photos
        assert listing.skipped.own_folders == ["__MACOSX"]


@pytest.fixture(scope="module")
def coco128(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Listing]:
    """The names of 128 real photos of COCO, in a folder to write labels into, and their labels."""
    root = tmp_path_factory.mktemp("coco128")
    listing = detect.read(data / "coco128", 2)
    touch(root, *(f"images/{sample.path.name}" for sample in listing.samples))
    return root, listing


@pytest.mark.parametrize("label_format", FORMATS)
def test_coco128_can_be_read_back_in_every_format(
    coco128: tuple[Path, Listing], label_format: str
) -> None:
    root, expected = coco128
    photos = {
        f"images/{s.path.name}": {expected.names[label] for label in s.present}
        for s in expected.samples
    }
    write(label_format, root, photos, list(expected.names))
    listing = detect.read(root, 2)
    assert listing.label_format == label_format and listing.remarks == ()
    assert len(listing.samples) == 128 and tags_of(listing, root) == photos
    held = {name for tags in photos.values() for name in tags}
    # Pascal VOC has no list of classes: classes without an object are unknown
    assert set(listing.names) == (held if label_format == "VOC" else set(expected.names))
    assert len(expected.names) == 80 and sum(map(len, photos.values())) == 362


@pytest.mark.parametrize("label_format", FORMATS)
def test_a_dataset_in_every_format_can_be_loaded(
    root: Path, store: PixelStore, label_format: str
) -> None:
    rng = np.random.default_rng(5)
    photos = {
        f"images/{number:02}.jpg": {name for name in "xyz" if rng.random() < 0.5}
        for number in range(40)
    }
    write(label_format, root, photos, ["x", "y", "z"])
    for seed, path in enumerate([*photos, "images/stray.jpg"]):
        (root / path).write_bytes(decode.encode(draw_smooth_colours(seed, 64)))
    if label_format == "YOLO":
        write_file(root / "list.txt", "\n".join(photos))
        write_file(root / "data.yaml", "train: list.txt\nnames: [x, y, z]\n")
    loaded = dataset.load(root, store)
    assert loaded.labels.names == ("x", "y", "z") and len(loaded.samples) == 40
    assert loaded.problems.ignored == ("images/stray.jpg",)
    assert loaded.problems.lines() == ["1 photo has no label: left out"]
    assert set(loaded.sizes()) == {"train", "val"}


def test_an_empty_folder_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"make one folder for each label.*labels\.csv or COCO"):
        detect.read(tmp_path, 2)


# --- other files


def folder_collection(root: Path) -> dict[str, set[str]]:
    photos = {f"{label}/{n}.jpg": {label} for label in ("cat", "dog") for n in range(3)}
    touch(root, *photos)
    return photos


@pytest.mark.parametrize(
    ("strays", "unusable"),
    [
        ({"classes.txt": "cat\ndog\n", "LICENSE.txt": "0 1 1 1 1"}, ""),
        ({"environment.yml": "{% x %}\n\t-", "notes.txt": "x"}, ""),
        ({"environment.yml": "{% x %}\n\t-", "cat/0.txt": "a cat"}, "YOLO"),
        ({"data.yaml": "{% x %}\n\t-", "classes.txt": "cat", "cat/0.txt": "a cat"}, "YOLO"),
        ({"classes.txt": "cat\ndog\n", "cat/0.txt": "a cat on a mat with a hat"}, "YOLO"),
        ({"manifest.csv": "id,name,email\n17,Ann,a@b.c\n18,Bob,b@b.c\n"}, ""),
        ({"captions.csv": "image,caption\ncat/1.jpg,a cat\n"}, ""),
        ({"catalogue.csv": "id,Title,Description\ncat/1.jpg,Tom,a cat\n"}, ""),
        ({"manifest.csv": "id,price,stock\ncat/1.jpg,17,3\n"}, "CSV"),
        ({"x.json": '{"images": [], "categories": [], "annotations": []}'}, "COCO"),
        ({"instances_train.json": '{"images": ['}, "COCO"),
        ({"Annotations/a.xml": "<annotation><object>"}, "VOC"),
        ({"instances.json": "{", "manifest.csv": "id,x,y\ncat/1,17,3\n"}, "COCO, CSV"),
    ],
)  # fmt: skip
def test_other_files_do_not_hide_label_folders(
    tmp_path: Path, strays: dict[str, str], unusable: str
) -> None:
    photos = folder_collection(tmp_path)
    for name, text in strays.items():
        write_file(tmp_path / name, text)
    listing = detect.read(tmp_path, 2)
    assert (listing.label_format, listing.kind) == ("folders", "single")
    assert tags_of(listing, tmp_path) == photos
    messages = {
        1: f"1 label format leads to no labelled photos: {unusable} not read",
        2: f"2 label formats lead to no labelled photos: {unusable} not read",
    }
    formats = unusable.split(", ") if unusable else []
    assert sentences(listing) == ([messages[len(formats)]] if formats else [])
    named = [name.split(": ")[0] for remark in listing.remarks for name in remark.names]
    assert named == formats


def test_the_next_format_is_read_after_unusable_labels(tmp_path: Path) -> None:
    photos = {"images/a.jpg": {"x"}, "images/b.jpg": {"y"}}
    touch(tmp_path, *photos)
    label_files.write_yolo(tmp_path, photos, ["x", "y"])
    write_file(tmp_path / "data.yaml", "names: [x, y]")
    write_file(tmp_path / "instances.json", "{")
    listing = detect.read(tmp_path, 2)
    assert listing.label_format == "YOLO" and tags_of(listing, tmp_path) == photos
    assert sentences(listing) == ["1 label format leads to no labelled photos: COCO not read"]
    assert "instances.json, line 1: not JSON" in listing.remarks[0].names[0]


def test_folders_with_other_names_than_labels_are_not_read_instead(tmp_path: Path) -> None:
    touch(tmp_path, "train2017/a.jpg", "val2017/b.jpg", "images/c.jpg", "cat/d.jpg")
    write_file(tmp_path / "instances_train2017.json", "{")
    with pytest.raises(DatasetError, match=r"instances_train2017\.json, line 1: not JSON"):
        detect.read(tmp_path, 2)


def test_a_table_called_labels_is_always_read(tmp_path: Path) -> None:
    folder_collection(tmp_path)
    write_file(tmp_path / "labels.csv", "image,label\ngone.jpg,cat\n")
    with pytest.raises(DatasetError, match=r"found 0 photos by CSV.*1 row names a photo"):
        detect.read(tmp_path, 2)


def test_a_table_of_the_app_is_not_read_as_labels(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    with open(tmp_path / "photos.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([export.HEADER, [1, "beach.jpg"], [2, "room.jpg"]])
    listing = detect.read(tmp_path, 2)
    assert (listing.names, listing.remarks) == (("cat", "dog"), ())


def test_folders_that_differ_from_the_labels_are_listed(tmp_path: Path) -> None:
    photos = folder_collection(tmp_path)
    rows = "".join(f"{path},{'in' if '0' in path else 'out'}\n" for path in photos)
    write_file(tmp_path / "labels.csv", f"image,label\n{rows}")
    listing = detect.read(tmp_path, 2)
    assert listing.names == ("in", "out") and listing.remarks[0].names == ("folders",)
    rows = "".join(f"{path},{label}\n" for path, (label,) in photos.items())
    write_file(tmp_path / "labels.csv", f"image,label\n{rows}")
    assert detect.read(tmp_path, 2).remarks == ()  # the labels are the same
    touch(tmp_path, "new/1.jpg", "newer/1.jpg")  # two among eight
    assert detect.read(tmp_path, 2).remarks == ()


def test_a_table_with_paths_of_another_machine_is_read_beside_folders(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    write_file(tmp_path / "list.csv", "image,label\nC:\\in\\1.jpg,x\nC:\\in\\2.JPG,y\n")
    listing = detect.read(tmp_path, 2)
    assert listing.label_format == "CSV"
    assert tags_of(listing, tmp_path) == {"cat/1.jpg": {"x"}, "dog/2.jpg": {"y"}}


# --- labels that differ in case alone


def test_labels_that_differ_in_case_alone_can_be_merged(tmp_path: Path) -> None:
    photos = {"train/Cat/1.jpg": "cat", "train/cat/2.jpg": "cat", "train/cat/3.jpg": "cat"}
    photos |= {"val/CAT/4.jpg": "cat", "train/dog/5.jpg": "dog", "val/dog/6.jpg": "dog"}
    touch(tmp_path, *photos)
    listing = detect.read(tmp_path, 2)
    assert listing.names == ("CAT", "Cat", "cat", "dog")
    assert listing.case_variants() == (("cat", "CAT", "Cat"),)
    listing = detect.read(tmp_path, 2, merge_case=True)
    assert tags_of(listing, tmp_path) == {path: {label} for path, label in photos.items()}
    assert sentences(listing) == ["2 labels differ from others in case alone: merged"]
    assert listing.remarks[0].names == ("CAT → cat", "Cat → cat") and not listing.case_variants()


@pytest.mark.parametrize("label_format", FORMATS)
def test_tags_that_differ_in_case_alone_are_merged_in_every_format(
    tmp_path: Path, label_format: str
) -> None:
    photos = {"images/a.jpg": {"Sea", "x"}, "images/b.jpg": {"sea"}, "images/c.jpg": {"sea", "Sea"}}
    write(label_format, tmp_path, photos, ["Sea", "sea", "x"])
    listing = detect.read(tmp_path, 1, merge_case=True)
    assert listing.names == ("Sea", "x")
    assert contents(listing, tmp_path) == {
        "images/a.jpg": ({"Sea", "x"}, set(), "train"),
        "images/b.jpg": ({"Sea"}, set(), "train"),
        "images/c.jpg": ({"Sea"}, set(), "train"),
    }


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("name", ["my.csv", "labels.csv"])
def test_an_unreadable_table_is_named(tmp_path: Path, name: str) -> None:
    photos = folder_collection(tmp_path)
    write_file(tmp_path / name, "image,label\n").chmod(0)
    if name == "labels.csv":
        with pytest.raises(DatasetError, match=r"labels\.csv: cannot be read \(Permission"):
            detect.read(tmp_path, 2)
        return
    listing = detect.read(tmp_path, 2)
    assert tags_of(listing, tmp_path) == photos
    assert sentences(listing) == ["1 label format leads to no labelled photos: CSV not read"]
    assert "my.csv: cannot be read (Permission denied)" in listing.remarks[0].names[0]


def test_a_folder_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    folder = make_too_deep(tmp_path)
    with pytest.raises(DatasetError, match=r"cannot be opened \(File name too long\)"):
        detect.read(folder, 2)


def _write_coco_scores(root: Path, scores: dict[str, str]) -> None:
    content = label_files.coco({photo: {"dog"} for photo in scores}, ["cat", "dog"])
    content["annotations"] = content["annotations"][::2]  # two objects a photo
    for entry, score in zip(content["annotations"], scores.values(), strict=True):
        entry["score"] = json.loads(score)
    write_file(root / "annotations" / "instances_train.json", json.dumps(content))


def _write_voc_scores(root: Path, scores: dict[str, str]) -> None:
    for photo, score in scores.items():
        xml = label_files.voc(photo, {"dog"})
        xml = xml.replace("</difficult>", f"</difficult><confidence>{score}</confidence>")
        write_file(root / "Annotations" / f"{Path(photo).stem}.xml", xml)


def _write_yolo_scores(root: Path, scores: dict[str, str]) -> None:
    write_file(root / "classes.txt", "cat\ndog\n")
    for photo, score in scores.items():
        write_file(root / f"{Path(photo).stem}.txt", f"1 0.5 0.5 0.1 0.1 {score}\n")


@pytest.mark.parametrize("write", [_write_coco_scores, _write_voc_scores, _write_yolo_scores])
def test_objects_that_are_rather_not_there_are_not_counted(
    tmp_path: Path, write: Callable[[Path, dict[str, str]], None]
) -> None:
    scores = {"a.jpg": "1", "b.jpg": "0", "c.jpg": "0.49", "d.jpg": "0.5", "e.jpg": "0.93"}
    touch(tmp_path, *scores)
    write(tmp_path, scores)
    listing = detect.read(tmp_path, 2)
    present = {path: tags for path, (tags, _, _) in contents(listing, tmp_path).items()}
    assert present == {
        path: {"dog"} if float(score) >= 0.5 else set() for path, score in scores.items()
    }
    assert "2 objects have a confidence below 0.5: not counted" in sentences(listing)
