"""COCO reader: where the photos are, which split, and remarks on broken files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tagger.datasets.readers import detect
from tagger.errors import DatasetError
from tests.datasets import label_files
from tests.datasets.label_files import contents, sentences, tags_of, touch, write_file

PHOTOS = {"a.jpg": {"cat", "dog"}, "b.jpg": set(), "c.jpg": {"dog"}}
NAMES = ["cat", "dog", "emu"]


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/instances_val2017.json", "val2017"),
        ("annotations/instances_val2017.json", "images/val2017"),
        ("annotations/instances_val2017.json", "images"),
        ("annotations/instances_val.json", "pictures/val2014"),
        ("annotations/instances_default.json", "anywhere/else"),
        ("instances_all.json", ""),
        ("valid/_annotations.coco.json", "valid"),
        ("my labels.json", "photos"),
    ],
)
def test_photos_are_found_in_the_usual_folders(tmp_path: Path, file: str, folder: str) -> None:
    paths = {f"{folder}/{name}".lstrip("/"): tags for name, tags in PHOTOS.items()}
    touch(tmp_path, *paths)
    label_files.write_coco(tmp_path / file, PHOTOS, NAMES)
    listing = detect.read(tmp_path, 2)
    split = "val" if "val" in file or "val" in folder else "train"
    assert contents(listing, tmp_path) == {p: (tags, set(), split) for p, tags in paths.items()}
    assert listing.names == ("cat", "dog", "emu") and listing.remarks == ()


def test_each_file_has_its_split_and_categories(tmp_path: Path) -> None:
    touch(tmp_path, "train2017/a.jpg", "val2017/a.jpg", "train2017/b.jpg")
    folder = tmp_path / "annotations"
    label_files.write_coco(folder / "instances_train2017.json", {"a.jpg": {"cat"}}, ["cat", "dog"])
    label_files.write_coco(folder / "instances_val2017.json", {"a.jpg": {"emu"}}, ["cat", "emu"])
    label_files.write_coco(
        folder / "person_keypoints_train2017.json", {"b.jpg": {"person"}}, ["person"]
    )
    write_file(folder / "captions_val2017.json", '{"images": [], "annotations": []}')
    assert contents(detect.read(tmp_path, 2), tmp_path) == {
        "train2017/a.jpg": ({"cat"}, {"emu"}, "train"),
        "val2017/a.jpg": ({"emu"}, {"dog"}, "val"),
    }


def test_unusable_files_are_counted_in_remarks(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, *PHOTOS, "d.jpg")
    touch(tmp_path, "outside.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    lists: dict[str, list[Any]] = dict(label_files.coco(PHOTOS, NAMES))
    first = lists["images"][0]
    lists["images"] += [
        {"id": 1, "file_name": "gone.jpg"},
        {"id": 2, "file_name": "../outside.jpg"},
        {"id": "3", "file_name": str(tmp_path / "outside.jpg")},
        {"id": 4, "file_name": "link.jpg"},
        {**first, "id": 5},
        {**first, "file_name": "d.jpg"},
        {"id": 6},
        {"file_name": "d.jpg"},
        "a.jpg",
    ]
    lists["categories"] += [{"id": 7, "name": " "}, {"id": [8], "name": "x"}, None]
    number = lists["categories"][2]["id"]
    lists["annotations"] += [
        {"image_id": 5, "category_id": number},
        {"image_id": 1, "category_id": number},
        {"image_id": 999, "category_id": number},
        {"image_id": first["id"], "category_id": 999},
        {"image_id": [], "category_id": {}},
        7,
    ]
    write_file(root / "instances.json", json.dumps(lists))
    listing = detect.read(root, 2)
    assert tags_of(listing, root) == {**PHOTOS, "a.jpg": {"cat", "dog", "emu"}}
    assert sorted(sentences(listing)) == [
        "1 annotation names a category that is not listed: left out",
        "1 image has the id of an earlier one: left out",
        "1 image is listed twice: their tags put together",
        "1 image names a photo that is not there: left out",
        "2 annotations name images that are not listed: left out",
        "3 images name photos outside the collection: left out",
        "7 entries lack an id or a name: left out",
    ]
    gone = next(remark for remark in listing.remarks if "not there" in remark.plural)
    assert gone.names == ("instances.json: images[3]: gone.jpg",)


def test_a_photo_in_two_splits_is_kept_out_of_training(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    label_files.write_coco(tmp_path / "instances_train.json", PHOTOS, NAMES)
    label_files.write_coco(tmp_path / "instances_val.json", {"a.jpg": {"emu"}}, NAMES)
    listing = detect.read(tmp_path, 2)
    assert contents(listing, tmp_path)["a.jpg"] == ({"cat", "dog", "emu"}, set(), "val")
    assert sentences(listing) == ["1 photo is listed in several splits: kept out of train"]
    label_files.write_coco(tmp_path / "instances_val.json", PHOTOS, NAMES)
    listing = detect.read(tmp_path, 2)
    assert {sample.split for sample in listing.samples} == {"train"}
    assert sentences(listing) == ["3 photos are listed in several splits: split anew"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "instances.json, line 1: not JSON (Expecting value); export it again as COCO"),
        (b'{"images": [\n{"id": 1,}]}', "instances.json, line 2: not JSON"),
        (b"[" * 200_000, "instances.json: not JSON that anyone wrote"),
        (b'{"images": [' + b"9" * 10_000 + b"]}", "instances.json: not JSON that anyone wrote"),
        (b"\xff\xfe\x00", "instances.json, line 1: not UTF-8 text"),
        (b"[]", "instances.json: no list of images or categories or annotations; COCO labels have"),
        (b'{"images": [], "categories": {}}', "no list of categories or annotations"),
        (
            b'{"images": [], "categories": [], "annotations": []}',
            "found 0 photos by COCO, 0 labels",
        ),
    ],
)
def test_a_file_that_is_not_coco_is_an_error_with_its_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    touch(tmp_path, "a.jpg")
    write_file(tmp_path / "instances.json", text)
    with pytest.raises(DatasetError) as caught:
        detect.read(tmp_path, 2)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_huge_file_is_an_error_without_reading_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    with open(tmp_path / "instances.json", "wb") as file:
        file.truncate(2**30 + 1)  # takes no room on the disk
    with pytest.raises(DatasetError, match=r"larger than 1,024 MB; divide it"):
        detect.read(tmp_path, 2)


def test_an_object_of_an_unknown_category_makes_other_tags_unseen(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    lists: dict[str, list[Any]] = dict(label_files.coco({**PHOTOS, "b.jpg": {"x"}}, [*NAMES, "x"]))
    lists["categories"].pop()
    lists["annotations"].append({"image_id": lists["images"][2]["id"], "category_id": "dog"})
    write_file(tmp_path / "instances.json", json.dumps(lists))
    listing = detect.read(tmp_path, 2)
    assert contents(listing, tmp_path) == {
        "a.jpg": ({"cat", "dog"}, set(), "train"),
        "b.jpg": (set(), {"cat", "dog", "emu"}, "train"),
        "c.jpg": ({"dog"}, {"cat", "emu"}, "train"),
    }
    assert sentences(listing) == ["3 annotations name categories that are not listed: left out"]
