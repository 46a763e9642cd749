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
        ("0.9  0.6 1", {"0.9": 0.9, "": -1, "0.6": 0.6, "1": 1}),
        ("0.9 0 ", {"0.9": 0.9, "0": 0, "": -1, "1": 1}),
        ("1 -1 0.5 ", {"1": 1, "-1": 0, "0.5": 0.5, "": -1}),
        ("1.000 0.000 -0.0 0.250", {"1.000": 1, "0.000": 0, "-0.0": 0, "0.250": 0.25, "1": 1}),
        ("1. .0 1e0 0e-3 5E-05", {"1.": 1, ".0": 0, "1e0": 1, "0e-3": 0, "5E-05": 5e-5, "1": 1}),
        ("1.000 -1.000", {"1.000": 1, "-1.000": 0, "1": 1}),
        (f"{1:.18e} {0.3:.18e} 0", {f"{1:.18e}": 1, f"{0.3:.18e}": 0.3, "0": 0, "1": 1}),
    ],
)
def test_the_state_of_minus_one_and_blank_depends_on_the_other_cells(
    cells: str, states: dict[str, int]
) -> None:
    result = columns("image,dog,cat", *(f"{n},{cell},1" for n, cell in enumerate(cells.split(" "))))
    assert result.states == states


def test_minus_one_is_unseen_among_probabilities_without_a_one() -> None:
    assert columns("image,dog,cat", "a,0.9,0.2", "b,-1,").states == {
        "0.9": 0.9,
        "0.2": 0.2,
        "-1": -1,
        "": -1,
    }


@pytest.mark.parametrize(
    ("rows", "tags"),
    [
        (["1,0,0.75", "0,1,0.66", "1,1,0.5"], "dog cat"),  # a ratio beside tags
        (["1,0,0.75", "0,1,0.66", "1,1,"], "dog cat"),
        (["1,0,0.75", "0,1,1.00", "1,1,0.5"], "dog cat size"),  # says 1 of a photo
        (["1,0.4,0.75", "0.2,1,0.66", "0.6,0,0.5"], "dog cat size"),  # a table of probabilities
        (["0.1,0.4,0.75", "0.2,0.3,0.66", "0.6,,0.5"], "dog cat size"),
        (["0.1,,0.75", "0.2,,0.66", "0.6,,0.5"], "dog cat size"),  # nobody looked for cats
        (["0.1,tabby,0.75", "0.2,siamese,0.66", "0.6,manx,0.5"], ""),
        (["1,tabby,0.75", "0,siamese,0.66", "0,manx,0.5"], "dog"),
        (["1,0,1.33", "0,1,0.66", "1,1,1.5"], "dog cat"),
    ],
)
def test_fractions_alone_are_a_tag_only_in_a_table_of_probabilities(
    rows: list[str], tags: str
) -> None:
    header, numbered = "image,dog,cat,size", [f"{n},{row}" for n, row in enumerate(rows)]
    if tags:
        result = columns(header, *numbered)
        assert [header.split(",")[n] for n in result.tags] == tags.split()
        assert {*result.unread, *tags.split()} == {"dog", "cat", "size"}
    else:
        with pytest.raises(DatasetError, match="which column holds the labels: dog, cat, size"):
            columns(header, *numbered)


def test_fractions_beside_a_label_of_ones_and_zeros_are_not_read() -> None:
    result = columns("image,label,sharpness", "a,1,0.7", "b,0,0.2")
    assert (result.labels, result.tags, result.unread) == (1, (), ("sharpness",))


@pytest.mark.parametrize("name", ["Score", "confidence", "aspect_ratio", "xmin"])
def test_fractions_in_a_column_called_like_a_figure_are_no_tag(name: str) -> None:
    assert columns(f"image,dog,{name}", "a,0.5,1.000", "b,1,0").tags == (1, 2)
    result = columns(f"image,dog,{name}", "a,0.5,0.9", "b,1,1.000", "c,0,0.000")
    assert (result.tags, result.unread) == ((1,), (name,))
    assert columns(f"image,{name},dog", "a,0.25,0.9", "b,1.000,0.8").tags == (2,)


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
