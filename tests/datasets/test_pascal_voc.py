"""Pascal VOC: layouts, difficult objects, image sets, and XML that means harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tagger.datasets.readers import detect
from tagger.errors import DatasetError
from tests.datasets import written
from tests.datasets.written import content, present, put, save, sentences

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


def test_difficult_objects_leave_a_tag_open(tmp_path: Path) -> None:
    put(tmp_path, "JPEGImages/a.jpg", "JPEGImages/b.jpg")
    xml = written.voc("a.jpg", {"cat", "dog"}, {"dog"})
    save(tmp_path / "Annotations" / "a.xml", xml)
    sure = "<object><name>dog</name><difficult>0</difficult></object></annotation>"
    unsure = written.voc("b.jpg", {"dog", "emu"}, {"dog", "emu"}).replace("</annotation>", sure)
    save(tmp_path / "Annotations" / "b.xml", unsure)
    assert content(detect.read(tmp_path, 2), tmp_path) == {
        "JPEGImages/a.jpg": ({"cat"}, {"dog"}, "train"),
        "JPEGImages/b.jpg": ({"dog"}, {"emu"}, "train"),
    }


@pytest.mark.parametrize("top", ["", "VOCdevkit/VOC2007/"])
def test_image_sets_are_splits(tmp_path: Path, top: str) -> None:
    places = {top + place: tags for place, tags in PHOTOS.items()}
    put(tmp_path, *places, f"{top}JPEGImages/d.jpg")
    for place, tags in {**places, f"{top}JPEGImages/d.jpg": {"person"}}.items():
        xml = written.voc(place, tags)
        save(tmp_path / top / "Annotations" / f"{Path(place).stem}.xml", xml)
    sets = tmp_path / top / "ImageSets" / "Main"
    for name, stems in {"train": "a", "val": "b", "trainval": "ab", "test": "cx"}.items():
        save(sets / f"{name}.txt", "\n".join(stems))
    save(sets / "dog_train.txt", "a 1\nd -1\n")
    found = detect.read(tmp_path, 2)
    splits = {place[-5:]: split for place, (_, _, split) in content(found, tmp_path).items()}
    assert splits == {"a.jpg": "train", "b.jpg": "val", "c.jpg": "test"}
    assert present(found, tmp_path) == places
    assert sorted(sentences(found)) == [
        "1 name in ImageSets has no XML file: left out",
        "1 photo is in no list of ImageSets/Main: left out",
    ]
    assert len(found.remarked) == 1


@pytest.mark.parametrize("folder", ["train", "valid", "images", ""])
def test_xml_may_lie_beside_its_photo(tmp_path: Path, folder: str) -> None:
    put(tmp_path, *(str(Path(folder, name)) for name in ("a.jpg", "b.png")))
    save(tmp_path / folder / "a.xml", written.voc("renamed-since.jpg", {"cat"}))
    save(tmp_path / folder / "b.xml", written.voc("b.jpg", {"dog"}))  # since saved as PNG
    found = detect.read(tmp_path, 2)
    split = {"valid": "val"}.get(folder, "train")
    assert sorted(content(found, tmp_path).values(), key=str) == [
        ({"cat"}, set(), split),
        ({"dog"}, set(), split),
    ]
    assert found.remarks == ()


def test_what_cannot_be_taken_as_it_stands_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    put(root, *PHOTOS)
    put(tmp_path, "outside.jpg")
    written.write_voc(root, PHOTOS)
    folder = root / "Annotations"
    started = time.monotonic()
    save(folder / "laughs.xml", LAUGHS)
    save(folder / "entity.xml", OUTSIDE)
    save(folder / "cut.xml", written.voc("a.jpg", {"cat"})[:-20])
    save(folder / "bytes.xml", b"<annotation>\xff</annotation>")
    save(folder / "empty.xml", b"")
    save(folder / "deep.xml", "<annotation>" + "<a>" * 100_000)
    save(folder / "feed.xml", "<rss></rss>")
    save(folder / "nameless.xml", "<annotation><filename>c.jpg</filename><object/></annotation>")
    save(folder / "gone.xml", written.voc("gone.jpg", {"cat"}))
    save(folder / "leaves.xml", written.voc("x", {"cat"}).replace(">x<", ">../../outside.jpg<", 2))
    with open(folder / "large.xml", "wb") as file:
        file.truncate(2**24 + 1)
    found = detect.read(root, 2)
    assert time.monotonic() - started < 30
    assert present(found, root) == PHOTOS and found.names == ("cat", "dog")
    assert sorted(sentences(found)) == [
        "1 file is XML of another kind: not read",
        "1 file is of a photo that another is of: their tags put together",
        "1 file names a photo outside the collection: left out",
        "1 file names a photo that is not there: left out",
        "1 object has no name: left out",
        "7 files cannot be understood: left out",
    ]
    broken = next(remark for remark in found.remarks if "understood" in remark.singular)
    told = dict(name.split(": ", 1) for name in broken.names)
    assert told["Annotations/laughs.xml"] == "has a document type, which labels need not"
    assert told["Annotations/entity.xml"] == "has a document type, which labels need not"
    assert told["Annotations/large.xml"] == "larger than 16 MB"
    assert "line 1" in told["Annotations/bytes.xml"]


def test_nothing_but_broken_files_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "JPEGImages/a.jpg")
    save(tmp_path / "Annotations" / "a.xml", "<annotation><object>")
    with pytest.raises(DatasetError, match=r"found 0 photos by VOC.*1 file cannot be understood"):
        detect.read(tmp_path, 2)


def test_an_object_without_a_name_may_be_any(tmp_path: Path) -> None:
    put(tmp_path, *PHOTOS)
    written.write_voc(tmp_path, {"JPEGImages/a.jpg": {"cat", "dog"}})
    nameless = "<object><name> </name></object></annotation>"
    save(tmp_path / "Annotations" / "b.xml", f"<annotation>{nameless}")
    xml = written.voc("c.jpg", {"dog"}).replace("</annotation>", nameless)
    save(tmp_path / "Annotations" / "c.xml", xml)
    save(tmp_path / "Annotations" / "c2.xml", written.voc("c.jpg", set()))
    found = detect.read(tmp_path, 2)
    assert content(found, tmp_path) == {
        "JPEGImages/a.jpg": ({"cat", "dog"}, set(), "train"),
        "JPEGImages/b.jpg": (set(), {"cat", "dog"}, "train"),
        "JPEGImages/c.jpg": ({"dog"}, {"cat"}, "train"),
    }
    assert "2 objects have no name: left out" in sentences(found)


def test_an_encoding_that_nobody_knows_is_told(tmp_path: Path) -> None:
    put(tmp_path, *PHOTOS)
    written.write_voc(tmp_path, {"JPEGImages/a.jpg": {"cat", "dog"}})
    save(tmp_path / "Annotations" / "b.xml", '<?xml version="1.0" encoding="foo"?><annotation/>')
    found = detect.read(tmp_path, 2)
    assert sentences(found) == ["1 file cannot be understood: left out"]
    assert found.remarks[0].names == ("Annotations/b.xml: unknown encoding: foo",)
