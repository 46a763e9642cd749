"""Label files that nobody wrote by hand: mutated, endless or nested ones end in a sentence."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.datasets import captions
from tagger.datasets.readers import detect
from tagger.errors import TaggerError
from tests.datasets import label_files
from tests.datasets.label_files import sentences, touch, write_file
from tests.datasets.long_label_files import (
    LONG_TABLES,
    LONG_YAML,
    describe_listing,
    write_long_table,
    write_long_yaml,
)

SEED = 13
MUTANTS = 150  # of each label file
PIECES = (
    *(
        b"\0",
        b"\n",
        b"\r",
        b'"',
        b"'",
        b",",
        b";",
        b"|",
        b"\t",
        b"%00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(
        b"[",
        b"{",
        b"]",
        b"}",
        b"&a ",
        b"*a",
        b"? ",
        b"- ",
        b": ",
        b"<",
        b">",
        b"&",
        b"<!DOCTYPE a>",
    ),
    *(b"-1", b"1e999", b"NaN", b"Infinity", b"9" * 40, b"../../", b"/etc/passwd", b"C:\\", b"null"),
    *(
        "\u202e".encode(),
        "\u2028".encode(),
        "e\u0301".encode(),
        b"\xed\xa0\x80",
        b" " * 300,
        b"[" * 900,
    ),
)
PHOTOS = {
    **{f"images/train/{name}.jpg": {"cat"} for name in "ab"},
    **{f"images/val/{name}.jpg": {"dog", "cat"} for name in "cd"},
}
NAMES = ["cat", "dog"]


def write_labels(root: Path, label_format: str) -> list[Path]:
    """A small collection; its label files."""
    touch(root, *PHOTOS)
    rows = [f"{path},{path.split('/')[1]},{'|'.join(sorted(t))}\n" for path, t in PHOTOS.items()]
    if label_format == "CSV":
        return [write_file(root / "labels.csv", f"image,split,tags\n{''.join(rows)}")]
    if label_format == "CSV of confidences":
        rows = [f"{path},{tag},{len(tags) / 2}\n" for path, tags in PHOTOS.items() for tag in tags]
        return [write_file(root / "labels.csv", f"image,label,confidence\n{''.join(sorted(rows))}")]
    if label_format == "CSV of columns":
        rows = [f"{path},{int('cat' in tags)},0.5\n" for path, tags in PHOTOS.items()]
        return [write_file(root / "labels.csv", f"image,cat,dog\n{''.join(rows)}")]
    if label_format == "COCO":
        return [label_files.write_coco(root / "instances_all.json", PHOTOS, NAMES)]
    if label_format == "VOC":
        label_files.write_voc(root, PHOTOS)
        lists = root / "ImageSets" / "Main"
        write_file(lists / "val.txt", "c\nd\n")
        return [
            write_file(lists / "train.txt", "a\nb\n"),
            *sorted((root / "Annotations").iterdir()),
        ]
    label_files.write_yolo(root, PHOTOS, NAMES)
    lines = "path: ../x\ntrain: images/train\nval: val.txt\nnames:\n  0: cat\n  1: dog\n"
    listed = write_file(root / "val.txt", "images/val/c.jpg\n./images/val/d.jpg\n")
    labels = sorted((root / "labels").rglob("*.txt"))
    return [write_file(root / "data.yaml", lines), listed, *labels]


def mutate(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """Copies of a file's content with up to four changes each."""
    for _ in range(MUTANTS):
        data = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            start = chance.randint(0, len(data))
            end = min(len(data), start + chance.randint(0, 12))
            match chance.randrange(4):
                case 0:
                    data[start:end] = b""
                case 1:
                    data[start:start] = chance.choice(PIECES)
                case 2:
                    data[start:start] = data[start:end] * chance.randint(1, 30)
                case _:
                    data[start:end] = chance.randbytes(end - start)
        yield bytes(data)


@pytest.mark.parametrize(
    "label_format", ["CSV", "CSV of confidences", "CSV of columns", "COCO", "VOC", "YOLO"]
)
def test_a_mutated_label_file_ends_in_a_listing_or_a_sentence(
    tmp_path: Path, label_format: str
) -> None:
    files = write_labels(tmp_path, label_format)
    assert len(detect.read(tmp_path, 2).samples) == len(PHOTOS)
    paths = {tmp_path / path for path in PHOTOS}
    chance = random.Random(SEED)
    outcomes = set()
    for file in files[:3]:
        content = file.read_bytes()
        for mutant in mutate(content, chance):
            file.write_bytes(mutant)
            try:
                listing = detect.read(tmp_path, 2, merge_case=True)
            except TaggerError as error:
                message = str(error)
                assert message and message.isprintable(), mutant
                outcomes.add("sentence")
            else:
                assert {sample.path for sample in listing.samples} <= paths, mutant
                assert all(sentence.isprintable() for sentence in sentences(listing))
                assert not any(name.splitlines() != [name] for name in listing.names), mutant
                outcomes.add("listing")
        file.write_bytes(content)
    assert outcomes == {"sentence", "listing"}


@pytest.mark.parametrize(
    "name",
    ["..", "../..", "/", "//", ".", "http://", "%2e%2e", "..\\", "C:\\", "/data/local-files/?d="],
)
@pytest.mark.parametrize("label_format", ["CSV", "COCO", "VOC", "YOLO", "captions"])
def test_a_name_that_is_no_photos_spoils_no_other(
    tmp_path: Path, label_format: str, name: str
) -> None:
    if label_format in ("CSV", "captions"):
        touch(tmp_path, *PHOTOS)
        rows = "".join(f"{path},text\n" for path in PHOTOS)
        file = write_file(tmp_path / "list.csv", f"image,caption\n{name},text\n{rows}")
        if label_format == "captions":
            assert len(captions.read(file, tmp_path).by_photo) == len(PHOTOS)
            return
        write_file(file, f"image,label\n{name},none\n{rows}")
    else:
        write_labels(tmp_path, label_format)
    if label_format == "COCO":
        label_files.write_coco(tmp_path / "instances_all.json", {**PHOTOS, "a/b": set()}, NAMES)
        content = (tmp_path / "instances_all.json").read_text()
        write_file(tmp_path / "instances_all.json", content.replace('"b"', json.dumps(name)))
    elif label_format == "VOC":
        write_file(tmp_path / "Annotations" / "x.xml", label_files.voc(name, {"cat"}))
        shutil.rmtree(tmp_path / "ImageSets")
    elif label_format == "YOLO":
        text = (tmp_path / "val.txt").read_text()
        write_file(tmp_path / "val.txt", f"{name}\n{text}")
    listing = detect.read(tmp_path, 1)
    assert {sample.path for sample in listing.samples} == {tmp_path / path for path in PHOTOS}
    assert any(" photo" in sentence for sentence in sentences(listing))


@pytest.mark.parametrize("name", LONG_TABLES)
def test_a_long_table_is_read_or_refused(tmp_path: Path, name: str) -> None:
    text, outcome = LONG_TABLES[name]
    write_long_table(tmp_path, text)
    assert outcome in describe_listing(tmp_path)


@pytest.mark.parametrize("name", LONG_YAML)
def test_a_long_yaml_list_is_read_or_refused(tmp_path: Path, name: str) -> None:
    text, outcome = LONG_YAML[name]
    write_long_yaml(tmp_path, text)
    assert outcome in describe_listing(tmp_path)
