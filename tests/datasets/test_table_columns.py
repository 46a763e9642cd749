"""The columns of a table are found by their names and cells."""

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
    ("header", "labels", "is_tag_list"),
    [
        ("image,Label", 1, False),
        ("image,class_name", 1, False),
        ("image,Keywords", 1, True),
        ("image,label,tags", 2, False),  # as the library writes it
        ("image,tags,label", 1, True),
        ("image,whatever", 1, False),
    ],
)
def test_a_single_column_of_labels(header: str, labels: int, is_tag_list: bool) -> None:
    row = ",".join(["a.jpg", *"pqr"[: header.count(",")]])
    result = columns(header, row)
    assert (result.labels, result.is_tag_list, result.tags) == (labels, is_tag_list, ())
    assert result.is_export == (header == "image,label,tags")


def test_a_table_of_predictions_is_recognised() -> None:
    result = columns(f"{','.join(PREDICTION_HEADER)},label 1", "a.jpg,x,0.9,False,,0.5,x|y,x")
    assert (result.labels, result.is_export, result.unread) == (6, True, ())


def test_a_column_for_each_tag_and_one_for_the_split() -> None:
    result = columns("image,split,sea,sun,note", "a,train,1,0,old", "b,val,0,,new", "c,,yes,no,x")
    assert (result.split, result.tags, result.labels) == (1, (2, 3), None)
    assert result.unread == ("note",)
    assert result.states == {"1": 1, "yes": 1, "0": 0, "no": 0, "": -1}


@pytest.mark.parametrize(
    ("cells", "states"),
    [
        ("1 0", {"1": 1, "0": 0}),
        ("1 -1", {"1": 1, "-1": 0}),
        ("1 ", {"1": 1, "": 0}),
        ("1 -1 ", {"1": 1, "-1": 0, "": -1}),
        ("1 0 -1 ", {"1": 1, "0": 0, "-1": -1, "": -1}),
        ("TRUE No n/a", {"TRUE": 1, "No": 0, "n/a": -1, "1": 1}),
    ],
)
def test_the_state_of_minus_one_and_blank_depends_on_the_other_cells(
    cells: str, states: dict[str, int]
) -> None:
    result = columns("image,x,y", *(f"{n},{cell},1" for n, cell in enumerate(cells.split(" "))))
    assert result.states == states


def test_any_other_cell_has_no_state() -> None:
    result = columns("image,x", *["a,1"] * 9, "b,maybe")
    assert result.states == {"1": 1, "maybe": None}


def test_columns_of_boxes_are_no_tags() -> None:
    result = columns("image,class,xmin,ymin,xmax,ymax", "a,cat,1,1,5,5", "a,dog,0,1,1,1")
    assert result.has_boxes and result.labels == 1 and result.unread == ()


def test_a_tag_may_be_called_label_among_others() -> None:
    result = columns("image,label,sun", "a,1,0", "b,0,1")
    assert result.labels is None and result.tags == (1, 2)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("image,label", [], "t.csv: no rows below the header"),
        ("image", ["a"], "line 1: no column of labels; Call it label"),
        ("image,who,what", ["a,A,B"], "which column holds the labels: who, what? Call it label"),
    ],
)
def test_columns_without_clear_labels_are_an_error(
    header: str, rows: list[str], message: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        columns(header, *rows)
    assert message in str(caught.value)
