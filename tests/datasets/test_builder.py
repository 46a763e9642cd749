"""The ledger: what several files say of the same photos, settled into one listing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers.builder import ListingBuilder, PhotoTags, is_name, split_of
from tagger.datasets.readers.listing import Remark
from tagger.datasets.readers.photo_index import PhotoIndex
from tests.datasets.written import content, put, sentences


def ledger(root: Path, *places: str) -> ListingBuilder:
    put(root, *places)
    return ListingBuilder(PhotoIndex(root))


def test_what_nobody_was_asked_is_unseen(tmp_path: Path) -> None:
    found = ledger(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    found.entries["a.jpg"] = PhotoTags({"sea"})
    found.entries["b.jpg"] = PhotoTags({"sun"}, asked=frozenset(("sun", "sky")))
    found.entries["c.jpg"] = PhotoTags({"sea"}, unseen=("sun",))
    found.entries["d.jpg"] = PhotoTags({"sea"}, unseen=("sea",))
    listing = found.listing("CSV", "multi", ["sky"])
    assert listing.names == ("sea", "sky", "sun")
    assert content(listing, tmp_path) == {
        "a.jpg": ({"sea"}, set(), "train"),
        "b.jpg": ({"sun"}, {"sea"}, "train"),
        "c.jpg": ({"sea"}, {"sun"}, "train"),
        "d.jpg": ({"sea"}, set(), "train"),
    }


def test_an_object_that_may_be_anything_leaves_every_other_tag_open(tmp_path: Path) -> None:
    found = ledger(tmp_path, "a.jpg")
    entry = found.entries["a.jpg"] = PhotoTags(set())
    for name in ("sea", None):
        entry.add(name)
    listing = found.listing("COCO", "multi", ["sky", "sun"])
    assert content(listing, tmp_path) == {"a.jpg": ({"sea"}, {"sky", "sun"}, "train")}


@pytest.mark.parametrize(
    ("splits", "settled"),
    [("train", "train"), ("val", "val"), ("train val", "val"), ("val test train", "test")],
)
def test_a_photo_in_several_splits_is_kept_to_check_with(
    tmp_path: Path, splits: str, settled: str
) -> None:
    found = ledger(tmp_path, "a.jpg", "b.jpg")
    for place in ("a.jpg", "b.jpg"):
        found.entries[place] = PhotoTags({"x"})
    for split in splits.split():
        found.put_in(split, "a.jpg")
    listing = found.listing("CSV", "multi")
    assert [sample.split for sample in listing.samples] == [settled, "train"]
    several = ["1 photo is listed in several splits: kept out of train"]
    assert sentences(listing) == (several if " " in splits else [])


def test_splits_that_leave_nothing_to_learn_from_are_drawn_anew(tmp_path: Path) -> None:
    found = ledger(tmp_path, "a.jpg", "b.jpg")
    for place in ("a.jpg", "b.jpg"):
        found.entries[place] = PhotoTags({"x"})
        found.put_in("train", place)
        found.put_in("val", place)
    listing = found.listing("CSV", "multi")
    assert {sample.split for sample in listing.samples} == {"train"}
    assert sentences(listing) == ["2 photos are listed in several splits: split anew"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.jpg", "1 row names a photo that is not there: left out"),
        ("../b.jpg", "1 row names a photo outside the collection: left out"),
        ("twin.jpg", "1 row names more than one photo: left out"),
    ],
)
def test_a_name_that_leads_to_no_photo_is_told(tmp_path: Path, name: str, told: str) -> None:
    found = ledger(tmp_path, "a.jpg", "x/twin.jpg", "y/twin.jpg")
    assert found.find("a.jpg", [""], "row", "t.csv:2") == "a.jpg"
    assert found.find(name, [""], "row", "t.csv:3") is None
    listing = found.listing("CSV", "multi")
    assert sentences(listing) == [told] and listing.remarks[0].names == (f"t.csv:3: {name}",)


def test_a_photo_left_out_is_told_of_once(tmp_path: Path) -> None:
    found = ledger(tmp_path, "a.jpg")
    found.leave_out("a.jpg", Remark("photo", "is odd", "are odd"), "a.jpg:\x1b[2J")
    listing = found.listing("CSV", "multi")
    assert listing.remarked == {tmp_path / "a.jpg"} and not listing.samples
    assert "\x1b" not in listing.remarks[0].names[0]


def test_splits_of_folders_and_names_of_labels() -> None:
    assert split_of("a/Valid/b") == "val" and split_of("train2017") == "train"
    assert split_of("") == split_of("photos") == "train"
    assert is_name("猫") and not any(map(is_name, ("", " ", None, 7, "\udcff")))
