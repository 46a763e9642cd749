"""Captions: tables and COCO's JSON, photos by the names that people write, and clear errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tagger.datasets import captions
from tagger.datasets.captions import Captions
from tagger.errors import DatasetError
from tests.datasets.label_files import touch, write_file


def read(root: Path, text: str, name: str = "captions.csv") -> dict[str, tuple[str, ...]]:
    return by_path(captions.read(write_file(root.parent / name, text), root), root)


def by_path(read_captions: Captions, root: Path) -> dict[str, tuple[str, ...]]:
    return {
        path.relative_to(root).as_posix(): texts for path, texts in read_captions.by_photo.items()
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    touch(tmp_path / "photos", "dog/a.jpg", "cat/b.jpg", "images/c.jpg")
    return tmp_path / "photos"


@pytest.mark.parametrize("header", ["image,caption", "file_name,Description", "Path,text"])
def test_a_table_has_a_row_for_each_caption(root: Path, header: str) -> None:
    table = f'{header}\ndog/a.jpg,Two dogs\nb.jpg,A cat\ndog/a.jpg," Dogs,  running "\nc.jpg,c\n'
    assert read(root, table) == {
        "dog/a.jpg": ("Two dogs", "Dogs, running"),
        "cat/b.jpg": ("A cat",),
        "images/c.jpg": ("c",),
    }


def test_the_table_may_have_other_columns_and_another_delimiter(root: Path) -> None:
    table = "id;label;caption\na.jpg;dog;a dog, running\n"
    assert read(root, table, "products.tsv") == {"dog/a.jpg": ("a dog, running",)}


def test_a_photo_may_be_named_by_the_path_of_another_machine(root: Path) -> None:
    table = "image,caption\nC:\\in\\A.JPG,Two dogs\n/data/upload/7/b.jpg,A cat\n"
    read_captions = captions.read(write_file(root.parent / "captions.csv", table), root)
    assert by_path(read_captions, root) == {"dog/a.jpg": ("Two dogs",), "cat/b.jpg": ("A cat",)}
    (remark,) = read_captions.remarks
    assert remark.sentence().startswith("2 captions name their photos by other paths")


def test_a_table_of_two_columns_needs_no_header(root: Path) -> None:
    table = "dog/a.jpg,Two dogs\nb.jpg,A cat\n"
    assert read(root, table) == {"dog/a.jpg": ("Two dogs",), "cat/b.jpg": ("A cat",)}


def test_captions_of_exact_copies_go_to_the_photo_that_is_kept(root: Path) -> None:
    table = "image,caption\ncat/b.jpg,a cat\ndog/a.jpg,a dog\nc.jpg,a cat\nc.jpg,asleep\n"
    file = write_file(root.parent / "captions.csv", table)
    copies = {root / "images" / "c.jpg": root / "cat" / "b.jpg"}
    assert by_path(captions.read(file, root, copies), root) == {
        "cat/b.jpg": ("a cat", "asleep"),
        "dog/a.jpg": ("a dog",),
    }


def test_cocos_json_of_captions(root: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, 7],
        "annotations": [
            {"image_id": 1, "caption": "Two dogs"},
            {"image_id": 1, "caption": "Dogs"},
            {"image_id": 3, "caption": "an image that is not listed"},
            {"image_id": 2},
            "x",
        ],
    }
    file = write_file(root.parent / "captions.json", json.dumps(content))
    loaded = captions.read(file, root)
    assert by_path(loaded, root) == {"dog/a.jpg": ("Two dogs", "Dogs")}
    assert [remark.sentence() for remark in loaded.remarks] == [
        "3 entries are not captions of images: left out"
    ]


def test_what_cannot_be_used_is_counted(root: Path) -> None:
    table = "image,caption\na.jpg,dog\nz.jpg,none\n../../b.jpg,outside\nb.jpg,  \nshort\n"
    file = write_file(root.parent / "c.csv", table)
    assert sorted(remark.sentence() for remark in captions.read(file, root).remarks) == [
        "1 caption is empty: left out",
        "1 row is not as long as the header: left out",
        "2 captions name no photo of the collection: left out",
    ]


def test_a_caption_twice_counts_once_and_a_long_one_is_cut(root: Path) -> None:
    table = f"image,caption\na.jpg,dog\na.jpg,dog\na.jpg,{'x' * 2000}\n"
    assert read(root, table)["dog/a.jpg"] == ("dog", "x" * captions.MAX_CAPTION)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty; it needs a line such as image,caption"),
        ("a.jpg,dog,1\n", "line 1: no header; .* such as image,caption"),
        ("image,label\na.jpg,dog\n", "no column of captions among image, label"),
        ("caption,label\na dog,dog\n", "no column of photos"),
        ("image,caption\nz.jpg,dog\n", "no caption of a photo in"),
        ('{"images": []}', "no lists of images and annotations"),
        ("{", "not JSON"),
    ],
)
def test_a_file_without_captions_is_an_error_with_its_reason(
    root: Path, text: str, reason: str
) -> None:
    with pytest.raises(DatasetError, match=reason):
        read(root, text)


def test_a_missing_file_is_an_error(root: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        captions.read(root / "nothing.csv", root)


def test_the_captions_of_ordinary_photos(data: Path) -> None:
    loaded = captions.read(data / "ordinary" / "captions.csv", data / "ordinary")
    assert not loaded.remarks and len(loaded.by_photo) == 7601
    assert sum(map(len, loaded.by_photo.values())) > 37_000


def test_the_digest_tells_photos_of_one_name_apart(root: Path, tmp_path: Path) -> None:
    def digest(folder: Path, table: str) -> str:
        file = write_file(tmp_path / "captions.csv", f"image,caption\n{table}")
        return captions.read(file, folder).digest

    touch(root, "cat/a.jpg")
    before = digest(root, "cat/a.jpg,a cat\ndog/a.jpg,a dog\n")
    assert digest(root, "dog/a.jpg,a cat\ncat/a.jpg,a dog\n") != before
    moved = root.rename(tmp_path / "moved")
    assert digest(moved, "cat/a.jpg,a cat\ndog/a.jpg,a dog\n") == before
