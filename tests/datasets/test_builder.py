"""The listing builder: what several label files say of the same photos, in one listing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers.builder import (
    ListingBuilder,
    PhotoTags,
    is_label_name,
)
from tagger.datasets.readers.listing import Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tests.datasets.label_files import contents, sentences, touch


def builder_of(root: Path, *photos: str) -> ListingBuilder:
    touch(root, *photos)
    return ListingBuilder(PhotoIndex(root))


def test_tags_that_were_not_looked_for_are_unseen(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    builder.tags["a.jpg"] = PhotoTags({"sea"})
    builder.tags["b.jpg"] = PhotoTags({"sun"}, looked_for=frozenset(("sun", "sky")))
    builder.tags["c.jpg"] = PhotoTags({"sea"}, unseen=("sun",))
    builder.tags["d.jpg"] = PhotoTags({"sea"}, unseen=("sea",))
    listing = builder.build("CSV", "multi", ["sky"])
    assert listing.names == ("sea", "sky", "sun")
    assert contents(listing, tmp_path) == {
        "a.jpg": ({"sea"}, set(), "train"),
        "b.jpg": ({"sun"}, {"sea"}, "train"),
        "c.jpg": ({"sea"}, {"sun"}, "train"),
        "d.jpg": ({"sea"}, set(), "train"),
    }


def test_an_object_without_a_name_makes_all_other_tags_unseen(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, "a.jpg")
    tags = builder.tags["a.jpg"] = PhotoTags(set())
    for name in ("sea", None):
        tags.add_object(name)
    listing = builder.build("COCO", "multi", ["sky", "sun"])
    assert contents(listing, tmp_path) == {"a.jpg": ({"sea"}, {"sky", "sun"}, "train")}


@pytest.mark.parametrize(
    ("splits", "settled"),
    [("train", "train"), ("val", "val"), ("train val", "val"), ("val test train", "test")],
)
def test_a_photo_in_several_splits_is_kept_out_of_training(
    tmp_path: Path, splits: str, settled: str
) -> None:
    builder = builder_of(tmp_path, "a.jpg", "b.jpg")
    for photo in ("a.jpg", "b.jpg"):
        builder.tags[photo] = PhotoTags({"x"})
    for split in splits.split():
        builder.add_split("a.jpg", split)
    listing = builder.build("CSV", "multi")
    assert [sample.split for sample in listing.samples] == [settled, "train"]
    several = ["1 photo is listed in several splits: kept out of train"]
    assert sentences(listing) == (several if " " in splits else [])


def test_photos_are_split_anew_if_no_training_photo_is_left(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, "a.jpg", "b.jpg")
    for photo in ("a.jpg", "b.jpg"):
        builder.tags[photo] = PhotoTags({"x"})
        builder.add_split(photo, "train")
        builder.add_split(photo, "val")
    listing = builder.build("CSV", "multi")
    assert {sample.split for sample in listing.samples} == {"train"}
    assert sentences(listing) == ["2 photos are listed in several splits: split anew"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.jpg", "1 row names a photo that is not there: left out"),
        ("../b.jpg", "1 row names a photo outside the collection: left out"),
        ("twin.jpg", "1 row names more than one photo: left out"),
    ],
)
def test_a_name_without_a_photo_is_counted_in_a_remark(
    tmp_path: Path, name: str, message: str
) -> None:
    builder = builder_of(tmp_path, "a.jpg", "x/twin.jpg", "y/twin.jpg")
    assert builder.find_photo("a.jpg", [""], "row", "t.csv:2") == "a.jpg"
    assert builder.find_photo(name, [""], "row", "t.csv:3") is None
    listing = builder.build("CSV", "multi")
    assert sentences(listing) == [message] and listing.remarks[0].names == (f"t.csv:3: {name}",)


def test_a_photo_left_out_is_counted_in_a_remark(tmp_path: Path) -> None:
    builder = builder_of(tmp_path, "a.jpg")
    builder.leave_out("a.jpg", Remark("photo", "is odd", "are odd"), "a.jpg:\x1b[2J")
    listing = builder.build("CSV", "multi")
    assert listing.left_out == {tmp_path / "a.jpg"} and not listing.samples
    assert "\x1b" not in listing.remarks[0].names[0]


def test_a_folder_gives_the_split_of_photos_in_no_list(tmp_path: Path) -> None:
    photos = {
        "a/Valid/b/1.jpg": "val",
        "train2017/2.jpg": "train",
        "c/3.jpg": "train",
        "4.jpg": "train",
    }
    photos |= {"pets_train/5.jpg": "train", "pets_test/6.jpg": "test"}
    builder = builder_of(tmp_path, *photos)
    builder.tags = {photo: PhotoTags({"x"}) for photo in photos}
    listing = builder.build("CSV", "multi")
    assert {path: split for path, (_, _, split) in contents(listing, tmp_path).items()} == photos


def test_a_folder_of_a_label_that_is_called_like_a_split_is_no_split(tmp_path: Path) -> None:
    photos = {"test/1.jpg": "train", "fail/2.jpg": "train"}
    builder = builder_of(tmp_path, *photos)
    builder.tags = {photo: PhotoTags({photo.split("/")[0]}) for photo in photos}
    listing = builder.build("CSV", "single")
    assert {path: split for path, (_, _, split) in contents(listing, tmp_path).items()} == photos
    touch(tmp_path, "train/3.jpg")
    builder = ListingBuilder(PhotoIndex(tmp_path))
    builder.tags = {photo: PhotoTags({"test"}) for photo in ("test/1.jpg", "train/3.jpg")}
    listing = builder.build("CSV", "single")
    assert [sample.split for sample in listing.samples] == ["test", "train"]


def test_names_of_labels_are_text_that_can_be_seen() -> None:
    invisible = ("", " ", "\u200b", None, 7, "\udcff")
    assert is_label_name("猫") and not any(map(is_label_name, invisible))
