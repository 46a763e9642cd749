"""CSV and TSV files as programs and people save them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers import table_file
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.errors import DatasetError
from tests.datasets.label_files import touch, write_file


def read(root: Path, text: str | bytes) -> table_file.Table:
    write_file(root / "t.csv", text)
    return table_file.read(PhotoIndex(root), "t.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_rows_come_with_their_lines(tmp_path: Path, delimiter: str, end: str, start: str) -> None:
    lines = [f"file{delimiter}label", "", f'a.jpg{delimiter}"x{delimiter}y"', f"b.jpg{delimiter}z"]
    table = read(tmp_path, start + end.join(lines) + end)
    assert (table.header, table.image) == (("file", "label"), 0)
    assert table.rows == [["a.jpg", f"x{delimiter}y"], ["b.jpg", "z"]]
    assert [table.position(row) for row in (0, 1)] == ["t.csv:3", "t.csv:4"]


def test_a_cell_of_several_lines_counts_them(tmp_path: Path) -> None:
    table = read(tmp_path, 'image,label\na.jpg,"x\ny"\nb.jpg,z\n')
    assert table.rows[0] == ["a.jpg", "x\ny"] and table.lines == [2, 4]


def test_rows_of_another_length_are_listed(tmp_path: Path) -> None:
    table = read(tmp_path, "image,label,\na.jpg,x,\nb.jpg\nc.jpg,z,,,\nd.jpg,x,y\n")
    assert table.header == ("image", "label", "")  # one row has something there
    assert [row[0] for row in table.rows] == ["a.jpg", "c.jpg", "d.jpg"] and table.uneven == [3]
    assert read(tmp_path, "image,label,\na.jpg,x,\n").header == ("image", "label")


@pytest.mark.parametrize(
    ("header", "column"),
    [
        (["label", "File Name"], 1),
        (["ID", "image_path"], 1),  # a column called image comes before an id
        (["id", "label"], 0),
        (["label", "price"], None),
        ([], None),
    ],
)
def test_the_column_of_photos_is_found_by_its_name(header: list[str], column: int | None) -> None:
    assert table_file.find_image_column(header) == column


@pytest.mark.parametrize(
    ("text", "has_column", "has_photos"),
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
def test_a_preview_shows_whether_a_table_is_about_photos(
    tmp_path: Path, text: str, has_column: bool, has_photos: bool
) -> None:
    touch(tmp_path, "a.jpg")
    write_file(tmp_path / "t.csv", text)
    index = PhotoIndex(tmp_path)
    assert table_file.has_photo_column(index, "t.csv") == has_column
    assert table_file.names_photos(index, "t.csv") == has_photos


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_a_malformed_table_is_an_error_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
