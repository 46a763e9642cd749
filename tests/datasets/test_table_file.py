"""Tables in text files, as programs and people save them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers import table_file
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.errors import DatasetError
from tests.datasets.written import put, save


def read(root: Path, text: str | bytes) -> table_file.Table:
    save(root / "t.csv", text)
    return table_file.read(PhotoIndex(root), "t.csv")


@pytest.mark.parametrize("divider", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_rows_come_with_their_lines(tmp_path: Path, divider: str, end: str, start: str) -> None:
    lines = [f"file{divider}label", "", f'a.jpg{divider}"x{divider}y"', f"b.jpg{divider}z"]
    sheet = read(tmp_path, start + end.join(lines) + end)
    assert (sheet.header, sheet.image) == (("file", "label"), 0)
    assert sheet.rows == [["a.jpg", f"x{divider}y"], ["b.jpg", "z"]]
    assert [sheet.at(row) for row in (0, 1)] == ["t.csv:3", "t.csv:4"]


def test_a_cell_of_several_lines_counts_them(tmp_path: Path) -> None:
    sheet = read(tmp_path, 'image,label\na.jpg,"x\ny"\nb.jpg,z\n')
    assert sheet.rows[0] == ["a.jpg", "x\ny"] and sheet.lines == [2, 4]


def test_rows_of_another_length_are_told(tmp_path: Path) -> None:
    sheet = read(tmp_path, "image,label,\na.jpg,x,\nb.jpg\nc.jpg,z,,,\nd.jpg,x,y\n")
    assert sheet.header == ("image", "label", "")  # one row has something there
    assert [row[0] for row in sheet.rows] == ["a.jpg", "c.jpg", "d.jpg"] and sheet.uneven == [3]
    assert read(tmp_path, "image,label,\na.jpg,x,\n").header == ("image", "label")


@pytest.mark.parametrize(
    ("header", "column"),
    [
        (["label", "File Name"], 1),
        (["ID", "image_path"], 1),  # a column called image is surer than an id
        (["id", "label"], 0),
        (["label", "price"], None),
        ([], None),
    ],
)
def test_the_column_of_photos_is_found_by_its_name(header: list[str], column: int | None) -> None:
    assert table_file.image_column(header) == column


@pytest.mark.parametrize(
    ("text", "holds", "leads"),
    [
        ("image,label\na.jpg,x\n", True, True),
        ("a.jpg,x\n", True, True),
        ("image,label\ngone.jpg,x\n", True, False),
        ("price,label\n1,x\n", False, False),
        ("path,label,confidence,unknown,reason,ood_score,tags,error\na.jpg,x\n", False, True),
        ("ID,Name,Timestamp,Label 1\n1,a.jpg\n", False, False),
        ("", False, False),
    ],
)
def test_a_look_tells_whether_a_table_is_of_photos(
    tmp_path: Path, text: str, holds: bool, leads: bool
) -> None:
    put(tmp_path, "a.jpg")
    save(tmp_path / "t.csv", text)
    tree = PhotoIndex(tmp_path)
    assert table_file.holds_photos(tree, "t.csv") == holds
    assert table_file.leads_to_photos(tree, "t.csv") == leads


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "t.csv: empty; it needs a line such as image,label"),
        ("\n\n", "t.csv: empty"),
        ("a.jpg,x,y\n", "line 1: no header; put a line above it"),
        ("price,label\n1,x\n", "line 1: no column of photos among price, label; call it image"),
        ("image,x,x\na.jpg,1,0\n", "line 1: two columns are called x; rename one"),
        ('image,label\na.jpg,"x\n', "line 2: not a row of a table"),
        ('image,label\na.jpg,x\nb.jpg,"x"y\n', "line 3: not a row of a table"),
        ("image,label\na.jpg," + "x" * 200_000, "line 2: not a row of a table (field larger"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, text)
    assert told in str(caught.value)
