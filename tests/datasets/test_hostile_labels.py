"""Label files that nobody wrote by hand: mutated, endless or nested ones end in a sentence."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.datasets import captions
from tagger.datasets.readers import detect
from tagger.errors import TaggerError
from tests.datasets import label_files
from tests.datasets.label_files import sentences, touch, write_file

SEED = 13
MUTANTS = 150  # of each label file
SECONDS = 3.0  # for the longest tables and lists
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
    started = time.process_time()
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
    assert time.process_time() - started < 60


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


def read_within_seconds(root: Path) -> str:
    """What was read, or the sentence why not; it must not take long."""
    started = time.process_time()
    try:
        listing = detect.read(root, 2)
        outcome = f"{len(listing.samples)} photos, {len(listing.names)} labels"
    except TaggerError as error:
        outcome = str(error)
    assert time.process_time() - started < SECONDS
    return outcome


def numbered(template: str, count: int) -> str:
    return "".join(template.format(n=n, few=n % 50) for n in range(count))


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("image,label\n" + numbered("{few}.jpg,l{few}\n", 100_000), "50 photos, 50 labels"),
        ("image,label\n" + numbered("C:\\x\\{n}.jpg,l{few}\n", 100_000), "50 photos, 50 labels"),
        ("image,label\n" + numbered("x/{few}.png,l\n", 100_000), "found 0 photos by CSV"),
        ("image,tags\n" + numbered("{few}.jpg,name {n}\n", 100_000), "50 photos, 100000 labels"),
        (
            "image,tags\n" + numbered("{few}.jpg,a{few} b\n", 100_000) + "1.jpg,a1\n",
            "50 photos, 51",
        ),
        ("image," + numbered("t{n},", 200_000), "200,002 columns; a table may have 25,000"),
        ("image,label" + "," * 200_000 + "\n", "200,002 columns"),
        ("image," + "t," * 200_000, "200,002 columns"),
        ("x" * 9_000_000, "line 1: not a row of a table"),
    ],
    ids=[
        "rows",
        "foreign",
        "missing",
        "names",
        "words",
        "columns",
        "blank columns",
        "twins",
        "one line",
    ],
)
def test_a_long_table_is_read_in_time_or_refused(tmp_path: Path, text: str, outcome: str) -> None:
    touch(tmp_path, *(f"{n}.jpg" for n in range(50)))
    write_file(tmp_path / "labels.csv", text)
    assert outcome in read_within_seconds(tmp_path)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("names:\n" + numbered("- name {n}\n", 60_000), "50 photos, 60000 labels"),
        ("names: [a, b]\ntrain:\n" + numbered("- images/{few}.jpg\n", 50_000), "50 photos, 2"),
        ("names: [a, b]\ntrain:\n" + numbered("- images/{n}.png\n", 50_000), "found 0 photos"),
        ("names: [a, b]\ntrain: [" + "images, ./images/../images, " * 30_000 + "]", "50 photos, 2"),
        ("names:\n" + numbered("- name {n}\n", 100_000), "data.yaml: larger than 1 MB"),
        ("names: " + "[" * 500_000, "not YAML"),
        ("- " * 500_000, "not YAML"),
        ("? " * 500_000, "not YAML"),
        ("names: [a]\nx: " + "{a: " * 200_000, "not YAML"),
    ],
    ids=["names", "photos", "missing", "folders", "large", "flow", "block", "keys", "maps"],
)
def test_a_long_yaml_list_is_read_in_time_or_refused(
    tmp_path: Path, text: str, outcome: str
) -> None:
    touch(tmp_path, *(f"images/{n}.jpg" for n in range(50)))
    for n in range(50):
        write_file(tmp_path / "labels" / f"{n}.txt", f"{n % 2} .5 .5 .1 .1\n")
    write_file(tmp_path / "data.yaml", text)
    assert outcome in read_within_seconds(tmp_path)
