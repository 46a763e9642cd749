"""Pascal VOC reader: layouts, difficult objects, image sets, and malicious XML."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tagger.datasets.readers import detect
from tagger.errors import DatasetError
from tests.datasets import label_files
from tests.datasets.label_files import contents, sentences, tags_of, touch, write_file

PHOTOS = {
    "JPEGImages/a.jpg": {"cat", "dog"},
    "JPEGImages/b.jpg": set(),
    "JPEGImages/c.jpg": {"dog"},
}

ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
LAUGHS = (
    f'<!DOCTYPE x [<!ENTITY l0 "lol">{ENTITIES}]>'
    "<annotation><filename>&l11;</filename></annotation>"
)
OUTSIDE = (
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    "<annotation><filename>a.jpg</filename><object><name>&e;</name></object></annotation>"
)


def test_a_tag_of_difficult_objects_is_unseen(tmp_path: Path) -> None:
    touch(tmp_path, "JPEGImages/a.jpg", "JPEGImages/b.jpg")
    xml = label_files.voc("a.jpg", {"cat", "dog"}, {"dog"})
    write_file(tmp_path / "Annotations" / "a.xml", xml)
    sure = "<object><name>dog</name><difficult>0</difficult></object></annotation>"
    unsure = label_files.voc("b.jpg", {"dog", "emu"}, {"dog", "emu"}).replace("</annotation>", sure)
    write_file(tmp_path / "Annotations" / "b.xml", unsure)
    assert contents(detect.read(tmp_path, 2), tmp_path) == {
        "JPEGImages/a.jpg": ({"cat"}, {"dog"}, "train"),
        "JPEGImages/b.jpg": ({"dog"}, {"emu"}, "train"),
    }


@pytest.mark.parametrize("top", ["", "VOCdevkit/VOC2007/"])
def test_image_sets_are_splits(tmp_path: Path, top: str) -> None:
    paths = {top + path: tags for path, tags in PHOTOS.items()}
    touch(tmp_path, *paths, f"{top}JPEGImages/d.jpg")
    for path, tags in {**paths, f"{top}JPEGImages/d.jpg": {"person"}}.items():
        xml = label_files.voc(path, tags)
        write_file(tmp_path / top / "Annotations" / f"{Path(path).stem}.xml", xml)
    sets = tmp_path / top / "ImageSets" / "Main"
    for name, stems in {"train": "a", "val": "b", "trainval": "ab", "test": "cx"}.items():
        write_file(sets / f"{name}.txt", "\n".join(stems))
    write_file(sets / "dog_train.txt", "a 1\nd -1\n")
    listing = detect.read(tmp_path, 2)
    splits = {path[-5:]: split for path, (_, _, split) in contents(listing, tmp_path).items()}
    assert splits == {"a.jpg": "train", "b.jpg": "val", "c.jpg": "test"}
    assert tags_of(listing, tmp_path) == paths
    assert sorted(sentences(listing)) == [
        "1 name in ImageSets has no XML file: left out",
        "1 photo is in no list of ImageSets/Main: left out",
    ]
    assert len(listing.left_out) == 1


@pytest.mark.parametrize("folder", ["train", "valid", "images", ""])
def test_an_xml_file_may_be_beside_its_photo(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, *(str(Path(folder, name)) for name in ("a.jpg", "b.png")))
    write_file(tmp_path / folder / "a.xml", label_files.voc("renamed-since.jpg", {"cat"}))
    write_file(tmp_path / folder / "b.xml", label_files.voc("b.jpg", {"dog"}))  # since saved as PNG
    listing = detect.read(tmp_path, 2)
    split = {"valid": "val"}.get(folder, "train")
    assert sorted(contents(listing, tmp_path).values(), key=str) == [
        ({"cat"}, set(), split),
        ({"dog"}, set(), split),
    ]
    assert listing.remarks == ()


def test_unusable_files_are_counted_in_remarks(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, *PHOTOS)
    touch(tmp_path, "outside.jpg")
    label_files.write_voc(root, PHOTOS)
    folder = root / "Annotations"
    started = time.monotonic()
    write_file(folder / "laughs.xml", LAUGHS)
    write_file(folder / "entity.xml", OUTSIDE)
    write_file(folder / "cut.xml", label_files.voc("a.jpg", {"cat"})[:-20])
    write_file(folder / "bytes.xml", b"<annotation>\xff</annotation>")
    write_file(folder / "empty.xml", b"")
    write_file(folder / "deep.xml", "<annotation>" + "<a>" * 100_000)
    write_file(folder / "feed.xml", "<rss></rss>")
    write_file(
        folder / "nameless.xml", "<annotation><filename>c.jpg</filename><object/></annotation>"
    )
    write_file(folder / "gone.xml", label_files.voc("gone.jpg", {"cat"}))
    write_file(
        folder / "leaves.xml",
        label_files.voc("x", {"cat"}).replace(">x<", ">../../outside.jpg<", 2),
    )
    with open(folder / "large.xml", "wb") as file:
        file.truncate(2**24 + 1)
    listing = detect.read(root, 2)
    assert time.monotonic() - started < 30
    assert tags_of(listing, root) == PHOTOS and listing.names == ("cat", "dog")
    assert sorted(sentences(listing)) == [
        "1 file is XML of another kind: not read",
        "1 file is of a photo that another is of: their tags put together",
        "1 file names a photo outside the collection: left out",
        "1 file names a photo that is not there: left out",
        "1 object has no name: left out",
        "7 files cannot be understood: left out",
    ]
    broken = next(remark for remark in listing.remarks if "understood" in remark.singular)
    message = dict(name.split(": ", 1) for name in broken.names)
    assert message["Annotations/laughs.xml"] == "has a document type, which labels need not"
    assert message["Annotations/entity.xml"] == "has a document type, which labels need not"
    assert message["Annotations/large.xml"] == "larger than 16 MB"
    assert "line 1" in message["Annotations/bytes.xml"]


def test_only_broken_files_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "JPEGImages/a.jpg")
    write_file(tmp_path / "Annotations" / "a.xml", "<annotation><object>")
    with pytest.raises(DatasetError, match=r"found 0 photos by VOC.*1 file cannot be understood"):
        detect.read(tmp_path, 2)


def test_an_object_without_a_name_makes_other_tags_unseen(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    label_files.write_voc(tmp_path, {"JPEGImages/a.jpg": {"cat", "dog"}})
    nameless = "<object><name> </name></object></annotation>"
    write_file(tmp_path / "Annotations" / "b.xml", f"<annotation>{nameless}")
    xml = label_files.voc("c.jpg", {"dog"}).replace("</annotation>", nameless)
    write_file(tmp_path / "Annotations" / "c.xml", xml)
    write_file(tmp_path / "Annotations" / "c2.xml", label_files.voc("c.jpg", set()))
    listing = detect.read(tmp_path, 2)
    assert contents(listing, tmp_path) == {
        "JPEGImages/a.jpg": ({"cat", "dog"}, set(), "train"),
        "JPEGImages/b.jpg": (set(), {"cat", "dog"}, "train"),
        "JPEGImages/c.jpg": ({"dog"}, {"cat"}, "train"),
    }
    assert "2 objects have no name: left out" in sentences(listing)


def test_an_unknown_encoding_is_counted_in_a_remark(tmp_path: Path) -> None:
    touch(tmp_path, *PHOTOS)
    label_files.write_voc(tmp_path, {"JPEGImages/a.jpg": {"cat", "dog"}})
    write_file(
        tmp_path / "Annotations" / "b.xml", '<?xml version="1.0" encoding="foo"?><annotation/>'
    )
    listing = detect.read(tmp_path, 2)
    assert sentences(listing) == ["1 file cannot be understood: left out"]
    assert listing.remarks[0].names == ("Annotations/b.xml: unknown encoding: foo",)
