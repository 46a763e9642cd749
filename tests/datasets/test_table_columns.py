"""Columns are understood by their names and by what is in them."""

from __future__ import annotations

import pytest

from tagger.datasets.readers.table_columns import Columns, read_columns
from tagger.datasets.readers.table_file import PREDICTION_HEADER, Table
from tagger.errors import DatasetError


def columns(header: str, *rows: str) -> Columns:
    cells = [row.split(",") for row in rows]
    lines = list(range(2, 2 + len(rows)))
    return read_columns(Table("t.csv", tuple(header.split(",")), 0, cells, lines, []), "t.csv")


@pytest.mark.parametrize(
    ("header", "listed", "several"),
    [
        ("image,Label", 1, False),
        ("image,class_name", 1, False),
        ("image,Keywords", 1, True),
        ("image,label,tags", 2, False),  # as the library writes it
        ("image,tags,label", 1, True),
        ("image,whatever", 1, False),
    ],
)
def test_one_column_of_labels(header: str, listed: int, several: bool) -> None:
    row = ",".join(["a.jpg", *"pqr"[: header.count(",")]])
    found = columns(header, row)
    assert (found.listed, found.several, found.tags) == (listed, several, ())
    assert found.exported == (header == "image,label,tags")


def test_what_predict_writes_is_understood_as_that() -> None:
    found = columns(f"{','.join(PREDICTION_HEADER)},label 1", "a.jpg,x,0.9,False,,0.5,x|y,x")
    assert (found.listed, found.exported, found.strays) == (6, True, ())


def test_a_column_for_each_tag_and_one_for_the_split() -> None:
    found = columns("image,split,sea,sun,note", "a,train,1,0,old", "b,val,0,,new", "c,,yes,no,x")
    assert (found.split, found.tags, found.listed) == (1, (2, 3), None)
    assert found.strays == ("note",)
    assert found.meanings == {"1": 1, "yes": 1, "0": 0, "no": 0, "": -1}


@pytest.mark.parametrize(
    ("cells", "meanings"),
    [
        ("1 0", {"1": 1, "0": 0}),
        ("1 -1", {"1": 1, "-1": 0}),
        ("1 ", {"1": 1, "": 0}),
        ("1 -1 ", {"1": 1, "-1": 0, "": -1}),
        ("1 0 -1 ", {"1": 1, "0": 0, "-1": -1, "": -1}),
        ("TRUE No n/a", {"TRUE": 1, "No": 0, "n/a": -1, "1": 1}),
    ],
)
def test_what_says_absent_depends_on_what_else_there_is(
    cells: str, meanings: dict[str, int]
) -> None:
    found = columns("image,x,y", *(f"{n},{cell},1" for n, cell in enumerate(cells.split(" "))))
    assert found.meanings == meanings


def test_a_cell_that_says_neither_means_nothing() -> None:
    found = columns("image,x", *["a,1"] * 9, "b,maybe")
    assert found.meanings == {"1": 1, "maybe": None}


def test_boxes_are_objects_and_no_tags() -> None:
    found = columns("image,class,xmin,ymin,xmax,ymax", "a,cat,1,1,5,5", "a,dog,0,1,1,1")
    assert found.boxes and found.listed == 1 and found.strays == ()


def test_a_tag_may_be_called_label_among_others() -> None:
    found = columns("image,label,sun", "a,1,0", "b,0,1")
    assert found.listed is None and found.tags == (1, 2)


@pytest.mark.parametrize(
    ("header", "rows", "told"),
    [
        ("image,label", [], "t.csv: no rows below the header"),
        ("image", ["a"], "line 1: no column of labels; Call it label"),
        ("image,who,what", ["a,A,B"], "which column holds the labels: who, what? Call it label"),
    ],
)
def test_what_no_one_can_tell_is_asked(header: str, rows: list[str], told: str) -> None:
    with pytest.raises(DatasetError) as caught:
        columns(header, *rows)
    assert told in str(caught.value)
