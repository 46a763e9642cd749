"""CSV reader: photos and labels from tables of many kinds, and remarks."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagger.datasets.readers import detect, table
from tagger.datasets.sample import target_matrix
from tagger.errors import DatasetError
from tagger.labels import normalize_label
from tests.datasets.label_files import contents, sentences, tags_of, touch


def write(path: Path, rows: Iterable[Sequence[str]], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def read_error(root: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        detect.read(root, 2)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- one column of labels


@pytest.mark.parametrize(
    "image", ["image", "Filename", "FILE", "path", "photo", "image_name", "id"]
)
@pytest.mark.parametrize("label", ["label", "Class", "category", "breed"])
def test_a_column_with_a_label_for_each_photo(tmp_path: Path, image: str, label: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write(tmp_path / "labels.csv", [(image, label), ("a.jpg", "cat"), ("b.jpg", "dog")])
    listing = detect.read(tmp_path, 2)
    assert (listing.label_format, listing.kind, listing.names) == ("CSV", "single", ("cat", "dog"))
    assert tags_of(listing, tmp_path) == {"a.jpg": {"cat"}, "b.jpg": {"dog"}}
    assert listing.remarks == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_and_encodings(tmp_path: Path, delimiter: str, encoding: str, end: str) -> None:
    touch(tmp_path, "é.jpg", "b.jpg")
    rows = [("image", "label"), ("é.jpg", 'the "猫"'), ("b.jpg", "a,b;c\td")]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    (tmp_path / "labels.csv").write_bytes(text.getvalue().encode(encoding))
    expected = {"é.jpg": {'the "猫"'}, "b.jpg": {"a,b;c d"}}  # a tab looks like a space
    assert tags_of(detect.read(tmp_path, 2), tmp_path) == expected


def test_a_first_line_may_give_the_delimiter(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_text("sep=;\nimage;label\na.jpg;x,y\nb.jpg;z\n")
    assert detect.read(tmp_path, 2).names == ("x,y", "z")


def test_a_table_without_a_header(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "list.csv").write_text("a.jpg,cat\nb.jpg,dog\n")
    assert tags_of(detect.read(tmp_path, 2), tmp_path) == {"a.jpg": {"cat"}, "b.jpg": {"dog"}}
    (tmp_path / "list.csv").write_text("a.jpg,cat,1\nb.jpg,dog,2\n")
    assert "list.csv, line 1: no header; put a line above it" in read_error(tmp_path)


@pytest.mark.parametrize("header", ["tags", "labels", "Tag", "keywords"])
@pytest.mark.parametrize("separator", ["|", ";", ",", " | "])
def test_several_tags_in_a_cell(tmp_path: Path, header: str, separator: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    cells = [("a.jpg", separator.join(("sea", "sun"))), ("b.jpg", "sun"), ("c.jpg", "")]
    write(tmp_path / "labels.csv", [("image", header), *cells])
    listing = detect.read(tmp_path, 2)
    assert (listing.kind, listing.names) == ("multi", ("sea", "sun"))
    assert tags_of(listing, tmp_path) == {"a.jpg": {"sea", "sun"}, "b.jpg": {"sun"}, "c.jpg": set()}


def test_a_bar_also_separates_in_a_column_called_label(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "labels.csv", [("image", "label"), ("a.jpg", "x|y"), ("b.jpg", "y")])
    listing = detect.read(tmp_path, 2)
    assert listing.kind == "multi" and tags_of(listing, tmp_path)["a.jpg"] == {"x", "y"}


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1).map(lambda t: f"{t} ")
LABELS = st.lists(
    st.builds(lambda a, b: normalize_label(f"{a}, {b}'s"), NAMES, NAMES),
    min_size=2,
    max_size=6,
    unique=True,
)
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(labels=LABELS)
def test_any_label_name_can_be_read_back(tmp_path: Path, labels: list[str]) -> None:
    labels = [label.replace("|", "¦") for label in labels if "|" not in label] or ["x", "y"]
    photos = {f"{number}.jpg": {label} for number, label in enumerate(sorted(set(labels)))}
    touch(tmp_path, *photos)
    rows = [("image", "label"), *((path, *tags) for path, tags in photos.items())]
    write(tmp_path / "labels.csv", rows)
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == photos
    photos["0.jpg"] |= {"another"}
    rows = [("image", "tags"), *((path, "|".join(tags)) for path, tags in photos.items())]
    write(tmp_path / "labels.csv", rows)
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == photos
    names = sorted({name for tags in photos.values() for name in tags})
    cells = ((p, *("1" if n in tags else "0" for n in names)) for p, tags in photos.items())
    write(tmp_path / "labels.csv", [("image", *names), *cells])
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == photos


@given(st.lists(st.text(min_size=1).filter(lambda text: text.strip()), max_size=5))
def test_split_tags_undoes_join_tags(tags: list[str]) -> None:
    assert table.split_tags(table.join_tags(tags)) == tags


# --- a column for each tag


def test_a_column_for_each_tag(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg")
    rows = [
        ("image", "split", "sun", "sea"),
        ("a.jpg", "train2017", "1", "0"),
        ("b.jpg", "Valid", "0", ""),
        ("images/c.jpg", "", "TRUE", "yes"),
        ("d.jpg", "test", "no", "?"),
    ]
    write(tmp_path / "labels.csv", rows)
    listing = detect.read(tmp_path, 2)
    assert listing.kind == "multi" and listing.remarks == ()
    assert contents(listing, tmp_path) == {
        "images/a.jpg": ({"sun"}, set(), "train"),
        "images/b.jpg": (set(), {"sea"}, "val"),
        "images/c.jpg": ({"sun", "sea"}, set(), "train"),
        "images/d.jpg": (set(), {"sea"}, "test"),
    }


@pytest.mark.parametrize(
    ("cells", "unseen"),
    [
        (("1", ""), (set(), "only 1 is written: blank is absent")),
        (("1", "-1"), (set(), "no 0: -1 is absent")),
        (("0", "-1"), ({"sea"}, "0 is absent, so -1 is not sure")),
        (("0", ""), ({"sea"}, "0 is absent, so blank is not looked for")),
        (("-1", ""), ({"sea"}, "-1 is absent, so blank is not looked for")),
    ],
)
def test_minus_one_and_blank_are_absent_or_unseen(
    tmp_path: Path, cells: tuple[str, str], unseen: tuple[set[str], str]
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    rows = [("image", "sun", "sea"), ("a.jpg", "1", cells[0]), ("b.jpg", "1", cells[1])]
    write(tmp_path / "labels.csv", rows)
    assert contents(detect.read(tmp_path, 1), tmp_path)["b.jpg"][1] == unseen[0], unseen[1]


def test_a_cell_may_hold_the_probability_of_a_tag(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    rows = [
        ("image", "dog", "sky", "cat"),
        ("a.jpg", "1.00", "0.8", ""),
        ("b.jpg", ".2", "0.00", "0"),
    ]
    write(tmp_path / "labels.csv", rows)
    listing = detect.read(tmp_path, 1)
    assert not listing.remarks and listing.names == ("cat", "dog", "sky")
    assert contents(listing, tmp_path) == {
        "a.jpg": ({"dog", "sky"}, {"cat"}, "train"),  # likely tags count as present
        "b.jpg": (set(), {"dog"}, "train"),
    }
    nan = float("nan")
    targets = target_matrix(listing.samples, 3)
    np.testing.assert_allclose(targets, [[nan, 1, 0.8], [0, 0.2, 0]])


def test_blank_is_unseen_in_a_table_of_probabilities(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [("image", "dog", "sky"), ("a.jpg", "0.900", "1.000"), ("b.jpg", "", "0.250")]
    write(tmp_path / "labels.csv", [*rows, ("c.jpg", "0.600", "")])
    listing = detect.read(tmp_path, 1)
    nan = float("nan")
    expected = [[0.9, 1], [nan, 0.25], [0.6, nan]]
    np.testing.assert_allclose(target_matrix(listing.samples, 2), expected)
    assert not listing.remarks


def test_a_ratio_beside_tags_is_not_learned(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    rows = [("image", "dog", "ratio_of_sides"), ("a.jpg", "1", "0.75"), ("b.jpg", "0", "0.66")]
    write(tmp_path / "labels.csv", rows)
    listing = detect.read(tmp_path, 1)
    assert listing.names == ("dog",)
    (remark,) = listing.remarks
    assert (
        remark.sentence()
        == "1 column holds neither photos, labels nor splits (labels.csv: ratio_of_sides): not read"
    )
    assert remark.names == ("labels.csv: ratio_of_sides",)


def test_rows_of_a_photo_agree_on_a_mean_probability(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    rows = [("image", "dog", "sky", "cat"), ("a.jpg", ".6", ".5", "0"), ("a.jpg", ".8", "0", ".1")]
    write(tmp_path / "labels.csv", rows)
    (sample,) = detect.read(tmp_path, 1).samples
    assert sample.doubtful == ((1, pytest.approx(0.7)),)  # a row that is certain counts
    assert (sample.present, sample.unseen) == ((1,), ())


def test_tags_may_have_the_names_of_other_columns(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    rows = [("image", "label", "split", "class", "photo"), ("a.jpg", *"1010"), ("b.jpg", *"0101")]
    write(tmp_path / "labels.csv", rows)
    listing = tags_of(detect.read(tmp_path, 1), tmp_path)
    assert listing == {"a.jpg": {"label", "class"}, "b.jpg": {"split", "photo"}}


# --- remarks


def test_rows_without_a_photo_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, "a.jpg", "b.jpg", "x/same.jpg", "x/y/same.jpg", "unlabelled.jpg")
    touch(tmp_path, "outside.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "linked").symlink_to(tmp_path)
    names = ["a.jpg", "b.jpg", "gone.jpg", "../outside.jpg", str(tmp_path / "outside.jpg")]
    names += ["link.jpg", "linked/outside.jpg", "C:\\outside.jpg", "same.jpg", "", "x/../../a.jpg"]
    write(root / "labels.csv", [("image", "label"), *((n, f"l{i}") for i, n in enumerate(names))])
    listing = detect.read(root, 2)
    assert tags_of(listing, root) == {"a.jpg": {"l0"}, "b.jpg": {"l1"}}
    assert sorted(sentences(listing)) == [
        "1 row names more than one photo: left out",
        "2 rows name photos that are not there: left out",
        "6 rows name photos outside the collection: left out",
    ]
    missing = next(r for r in listing.remarks if "not there" in r.plural)
    assert missing.names == ("labels.csv:4: gone.jpg", "labels.csv:11: ")


def test_a_photo_is_found_by_several_spellings_of_its_path(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    paths = ["a.jpg", "images/b.JPG", "deep/er/c.jpg", "d/e.jpg", "caf\u00e9.jpg", "f.jpg"]
    paths += ["in/g.jpg"]
    touch(root, *paths)
    (root / "pictures").symlink_to(root / "in")
    names = ["./a.jpg", "b.JPG", "c", "d\\e.jpg", "cafe\u0301.jpg", str(root / "f.jpg")]
    names += ["pictures/g.jpg"]
    write(root / "labels.csv", [("image", "label"), *((n, f"l{i}") for i, n in enumerate(names))])
    listing = detect.read(root, 2)
    assert listing.remarks == ()
    assert tags_of(listing, root) == {path: {f"l{i}"} for i, path in enumerate(paths)}


def test_rows_of_a_photo_are_merged_or_counted(tmp_path: Path) -> None:
    photos = [f"{number:02}.jpg" for number in range(50)]
    touch(tmp_path, *photos)
    rows = [
        ("image", "label"),
        *((path, "cat" if n % 2 else "dog") for n, path in enumerate(photos)),
    ]
    write(tmp_path / "labels.csv", [*rows, ("00.jpg", "dog"), ("01.jpg", "dog"), ("02.jpg", "")])
    listing = detect.read(tmp_path, 2)
    assert listing.kind == "single" and len(listing.samples) == 49
    assert listing.left_out == {tmp_path / "01.jpg"}
    assert sentences(listing) == [
        "1 row repeats another: counted once",
        "1 photo has rows of different labels: left out",
    ]
    write(tmp_path / "labels.csv", [*rows, *((path, "pet") for path in photos)])
    listing = detect.read(tmp_path, 2)
    assert listing.kind == "multi" and tags_of(listing, tmp_path)["01.jpg"] == {"cat", "pet"}
    assert listing.remarks == ()


def test_a_table_of_boxes_has_several_rows_a_photo(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.jpg", "valid/b.jpg")
    header = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    box = ("640", "480", "cat", "1", "2", "3", "4")
    write(tmp_path / "train" / "_annotations.csv", [header, ("a.jpg", *box), ("a.jpg", *box)])
    write(tmp_path / "valid" / "_annotations.csv", [header, ("b.jpg", *box[:2], "dog", *box[3:])])
    listing = detect.read(tmp_path, 2)
    assert listing.kind == "multi" and listing.remarks == ()
    assert contents(listing, tmp_path) == {
        "train/a.jpg": ({"cat"}, set(), "train"),
        "valid/b.jpg": ({"dog"}, set(), "val"),
    }


def test_cells_and_columns_without_meaning_are_counted(tmp_path: Path) -> None:
    photos = [f"{number:02}.jpg" for number in range(30)]
    touch(tmp_path, *photos)
    rows = [["image", "author", "cat", "", "dog"], *([p, f"A{p}", "1", "", "0"] for p in photos)]
    rows[3][2] = "maybe"
    rows += [[photos[0], "", "1", "", "1"], [photos[1], "A01.jpg", "1", "", "0"], ["x.jpg", "1"]]
    write(tmp_path / "labels.csv", rows)
    listing = detect.read(tmp_path, 2)
    assert listing.names == ("cat", "dog")
    assert contents(listing, tmp_path)["02.jpg"] == (set(), {"cat"}, "train")
    assert contents(listing, tmp_path)["00.jpg"] == ({"cat"}, {"dog"}, "train")
    message = {remark.sentence(): remark.names for remark in listing.remarks}
    assert message == {
        "1 row is not as long as the header: left out": ("labels.csv:34",),
        "2 columns hold neither photos, labels nor splits"
        " (labels.csv: author, labels.csv: column 4): not read": (
            "labels.csv: author",
            "labels.csv: column 4",
        ),
        "1 cell is neither from 0 to 1 nor blank: taken as if nobody looked": (
            "labels.csv:4: cat=maybe",
        ),
        "1 tag is given by one row, not by another: taken as if nobody looked": (
            "labels.csv:32: dog",
        ),
        "1 row repeats another: counted once": ("labels.csv:33",),
    }


def test_splits_are_read_and_unknown_ones_counted(tmp_path: Path) -> None:
    touch(tmp_path, *"abcdef", *(f"{n}.jpg" for n in "abcdef"))
    splits = ("train", "test", "holdout", "", "train", "train")
    rows = [
        (f"{n}.jpg", "xy"[i % 2], s) for i, (n, s) in enumerate(zip("abcdef", splits, strict=True))
    ]
    write(tmp_path / "labels.csv", [("image", "label", "Split"), *rows, ("e.jpg", "x", "val")])
    listing = detect.read(tmp_path, 2)
    by_photo = {path: split for path, (_, _, split) in contents(listing, tmp_path).items()}
    assert by_photo == {
        "a.jpg": "train", "b.jpg": "test", "d.jpg": "train", "e.jpg": "val", "f.jpg": "train"
    }  # fmt: skip
    assert sorted(sentences(listing)) == [
        "1 photo is listed in several splits: kept out of train",
        "1 row has a split other than train, val and test: left out",
        "1 row repeats another: counted once",
    ]


@pytest.mark.parametrize("column", ["phase", "Data Set", "usage", "partition"])
def test_a_column_of_splits_has_many_names(tmp_path: Path, column: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    rows = [("image", "sea", column), ("a.jpg", "1", "train"), ("b.jpg", "0", "test")]
    write(tmp_path / "labels.csv", rows)
    assert contents(detect.read(tmp_path, 1), tmp_path) == {
        "a.jpg": ({"sea"}, set(), "train"),
        "b.jpg": (set(), set(), "test"),
    }


@pytest.mark.parametrize("column", ["is_train", "isTest", "is validation"])
def test_a_column_that_marks_a_split_is_no_tag(tmp_path: Path, column: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    rows = [("image", "sea", column), ("a.jpg", "1", "1"), ("b.jpg", "0", "0")]
    write(tmp_path / "labels.csv", rows)
    assert f"{column} says which photos are of a split; call the column split" in read_error(
        tmp_path
    )


def test_folders_give_the_split_without_a_column(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.jpg", "images/val2017/b.jpg", "c.jpg")
    rows = [("train/a.jpg", "x"), ("images/val2017/b.jpg", "y"), ("c.jpg", "x")]
    write(tmp_path / "labels.csv", [("image", "label"), *rows])
    listing = contents(detect.read(tmp_path, 2), tmp_path)
    assert {path: split for path, (_, _, split) in listing.items()} == {
        "train/a.jpg": "train",
        "images/val2017/b.jpg": "val",
        "c.jpg": "train",
    }


# --- which table


def test_a_single_table_may_have_any_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "prices.csv", [("item", "price"), ("a", "1")])
    write(tmp_path / "My photos.csv", [("photo", "tags"), ("a.jpg", "x"), ("b.jpg", "y")])
    assert detect.read(tmp_path, 2).names == ("x", "y")
    write(tmp_path / "other.csv", [("photo", "tags"), ("a.jpg", "z")])
    message = read_error(tmp_path)
    assert "which table holds the labels: My photos.csv, other.csv? Call it labels.csv" in message
    write(tmp_path / "labels.csv", [("photo", "tags"), ("a.jpg", "q")])
    assert detect.read(tmp_path, 2).names == ("q",)


def test_tables_named_for_splits_are_read_together(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write(tmp_path / "train.csv", [("image", "x", "y"), ("a.jpg", "1", "0")])
    write(tmp_path / "val.csv", [("image", "x"), ("b.jpg", "0")])
    write(tmp_path / "test.csv", [("image", "y"), ("c.jpg", "1")])
    assert contents(detect.read(tmp_path, 2), tmp_path) == {
        "a.jpg": ({"x"}, set(), "train"),
        "b.jpg": (set(), {"y"}, "val"),
        "c.jpg": ({"y"}, {"x"}, "test"),
    }


# --- errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "labels.csv: empty"),
        (b"image,label\n", "labels.csv: no rows below the header"),
        (b"cat,dog\n1,0\n", "labels.csv, line 1: no column of photos among cat, dog; call"),
        (b"image\na.jpg\n", "line 1: no column of labels; Call it label (one each)"),
        (b"image,who,what\na.jpg,A,B\n", "which column holds the labels: who, what? Call it label"),
        (b"image,cat,cat\na.jpg,1,0\n", "line 1: two columns are called cat; rename one"),
        (b'image,label\na.jpg,cat\nb.jpg,"dog\n', "labels.csv, line 3: not a row of a table"),
        (b"image,label\na.jpg,caf\xe9\n", "labels.csv, line 2: not UTF-8 text; save the file as"),
        (b"image,label\n" + b"a.jpg," + b"x" * 200_000, "line 2: not a row of a table (field"),
        (b"image,label\ngone.jpg,cat\n", "found 0 photos by CSV, 0 labels (1 row names a photo"),
    ],
)  # fmt: skip
def test_a_malformed_table_is_an_error_with_its_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_bytes(text)
    assert message in read_error(tmp_path)


# --- real datasets


def test_the_everyday_dataset(data: Path) -> None:
    listing = detect.read(data / "everyday", 2)
    assert (listing.kind, len(listing.names), len(listing.samples)) == ("multi", 58, 5836)
    assert Counter(sample.split for sample in listing.samples) == {"train": 4764, "val": 1072}
    assert listing.remarks == ()
    with open(data / "everyday" / "labels.csv", newline="", encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    for path, (tags, unseen, split) in contents(listing, data / "everyday").items():
        row = rows.pop(path)
        assert row["split"] == split
        assert {name for name in listing.names if row[name] == "1"} == tags
        assert {name for name in listing.names if row[name] == ""} == unseen
    assert not rows


def test_the_imagenet_samples(data: Path) -> None:
    listing = detect.read(data / "imagenet_samples", 2)
    assert (listing.kind, len(listing.samples), len(listing.names)) == ("single", 500, 499)
    (sentence,) = sentences(listing)
    assert sentence.startswith("2 columns hold neither photos, labels nor splits (labels.csv: ")


# --- confidences


def test_a_confidence_of_zero_is_absent_and_one_present(tmp_path: Path) -> None:
    """As in Open Images: nobody looked for labels that a photo has no row for."""
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    header = ("ImageID", "Source", "LabelName", "Confidence")
    cells = [("a", "dog", "1"), ("a", "cat", "0"), ("b", "cat", "1"), ("b", "dog", "1")]
    cells += [("c", "dog", "0"), ("d", "sea", "0.0")]
    write(tmp_path / "labels.csv", [header, *((p, "human", tag, n) for p, tag, n in cells)])
    listing = detect.read(tmp_path, 1)
    assert listing.kind == "multi" and contents(listing, tmp_path) == {
        "a.jpg": ({"dog"}, {"sea"}, "train"),
        "b.jpg": ({"cat", "dog"}, {"sea"}, "train"),
        "c.jpg": (set(), {"cat", "sea"}, "train"),
        "d.jpg": (set(), {"cat", "dog"}, "train"),
    }
    assert sentences(listing) == [
        "1 column holds neither photos, labels nor splits (labels.csv: Source): not read"
    ]


@pytest.mark.parametrize(
    ("column", "high", "low"),
    [
        ("confidence", "0.5", "0.49"),
        ("Conf", ".9", "1e-3"),
        ("probability", "90%", "10 %"),
        ("confidence", "88", "12"),
        ("score", "0.7", "0.2"),
    ],
)
def test_a_label_is_present_from_a_confidence_of_a_half_on(
    tmp_path: Path, column: str, high: str, low: str
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [("a.jpg", "cat", high), ("b.jpg", "dog", high), ("c.jpg", "cat", low)]
    write(tmp_path / "labels.csv", [("image", "label", column), *rows])
    listing = detect.read(tmp_path, 2)
    assert tags_of(listing, tmp_path) == {"a.jpg": {"cat"}, "b.jpg": {"dog"}}
    assert "3 rows have a confidence between 0 and 1: present from 0.5 on" in sentences(listing)
    assert listing.left_out == {tmp_path / "c.jpg"}


def test_several_confidences_of_a_tag_are_merged(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [("a.jpg", "cat", ".9"), ("a.jpg", "cat", ".3"), ("a.jpg", "dog", "1")]
    rows += [("b.jpg", "cat", "1"), ("b.jpg", "cat", "0"), ("b.jpg", "dog", "")]
    rows += [("c.jpg", "cat", "1"), ("c.jpg", "cat", ".2"), ("c.jpg", "dog", "?")]
    write(tmp_path / "labels.csv", [("image", "tags", "confidence"), *rows])
    listing = detect.read(tmp_path, 1)
    assert contents(listing, tmp_path) == {
        "a.jpg": ({"cat", "dog"}, set(), "train"),
        "b.jpg": ({"dog"}, {"cat"}, "train"),
        "c.jpg": ({"cat"}, {"dog"}, "train"),
    }
    assert listing.samples[0].doubtful == ((0, pytest.approx(0.6)),)
    assert "1 tag is given by one row, not by another: taken as if nobody looked" in sentences(
        listing
    )


def test_a_rating_is_no_confidence(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [("a.jpg", "x", "7"), ("b.jpg", "y", "5"), ("c.jpg", "z", "3")]
    write(tmp_path / "labels.csv", [("image", "label", "score"), *rows])
    listing = detect.read(tmp_path, 2)
    assert listing.names == ("x", "y", "z")
    assert listing.remarks[0].names == ("labels.csv: score",)


ABSENT_DOG = {"a.jpg": ({"cat"}, set(), "train"), "b.jpg": ({"dog"}, {"cat"}, "train")}


def read_confidences(root: Path, header: str, cells: Sequence[str], delimiter: str = ",") -> object:
    """The contents of a table in which photo a has a cat and no dog, and b a dog."""
    touch(root, "a.jpg", "b.jpg")
    names = header.split(",")
    rows = zip(("a.jpg", "a.jpg", "b.jpg"), ("cat", "dog", "dog"), cells, strict=True)
    write(
        root / "labels.csv",
        [("image", *names), *((p, t, *c.split()) for p, t, c in rows)],
        delimiter,
    )
    return contents(detect.read(root, 2), root)


@pytest.mark.parametrize(
    "column",
    [
        *("label_confidence", "Confidence Score", "IsPresent", "is_present", "ispresent", "Prob"),
        *("class probability", "labelconfidence", "presence", "Likelihood", "Conf", "score"),
        *("label:confidence", "is_positive", "positive", "p", "truth", "correct", "has_label"),
        *("exists", "relevance"),
    ],
)
def test_a_confidence_is_known_by_a_word_of_its_name(tmp_path: Path, column: str) -> None:
    assert read_confidences(tmp_path, f"label,{column}", ("1", "0", "1")) == ABSENT_DOG


@pytest.mark.parametrize(
    "cells",
    [
        *("1,0 0,0 1,0", "1 -1 1", "1.0 -1.0 1.0", "positive Negative positive", "yes no Yes"),
        *(
            "present absent present",
            "TRUE FALSE TRUE",
            "100% 0% 100%",
            "100 0 100",
            "1.0000001 0 1",
        ),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_confidence_may_be_written_in_many_ways(
    tmp_path: Path, cells: str, delimiter: str
) -> None:
    for header in ("label,confidence", "finding,confidence"):
        assert read_confidences(tmp_path, header, cells.split(), delimiter) == ABSENT_DOG


def test_a_column_of_presence_says_that_the_other_one_holds_labels(tmp_path: Path) -> None:
    assert read_confidences(tmp_path, "finding,present", ("1", "0", "1")) == ABSENT_DOG


@pytest.mark.parametrize("cell", ["0,4", "40%", "40"])
def test_an_unlikely_label_is_named_as_that(tmp_path: Path, cell: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [("a.jpg", "cat", cell), ("b.jpg", "dog", cell.replace("4", "9")), ("c.jpg", "", "")]
    write(tmp_path / "labels.csv", [("image", "label", "confidence"), *rows])
    listing = detect.read(tmp_path, 1)
    assert tags_of(listing, tmp_path) == {"b.jpg": {"dog"}}
    assert sentences(listing)[1:] == [
        "1 photo has no label with a confidence of 0.5 or more: left out",
        "1 photo has a row without a label: left out",
    ]


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("label,confidence", "5 0 3", "line 1: confidence holds cells such as 5; to say how sure"),
        ("label,confidence", "2 0 1", "confidence holds cells such as 2"),
        ("label,confidence", "120 0 3", "confidence holds cells such as 120"),
        ("label,confidence", "high low high", "confidence holds cells such as high"),
        ("label,present", "3 0 2", "present holds cells such as 3; to say how sure it is"),
        ("label,score", "95 0 30", "score holds cells such as 95; to say how sure it is"),
        ("label,absent", "0 1 0", "write the opposite of absent, 1 where the photo has the label"),
        ("label,value", "1 0 1", "does value say whether a photo has the label in its row (1"),
        ("label,verified", "yes no yes", "does verified say whether a photo has the label"),
        ("tags,agreement", "0.9 0.2 0.7", "does agreement say whether a photo has the label"),
        ("tags,confidences", "0.9|0.1 0.2|0.1 1|1", "confidences holds cells such as 0.9|0.1"),
        ("tags,agreement", "1.0 0.0 0.7", "does agreement say whether a photo has the label"),
        ("label,sign", "positive negative positive", "does sign say whether a photo has the"),
        ("label,value", "1 -1 1", "does value say whether a photo has the label"),
        (
            "label,confidence,present",
            "0.9/1 0.9/0 0.8/1",
            "labels.csv, line 3: confidence and present say 0.9 and 0; rename the one that",
        ),
        (
            "finding,reader,present",
            "x/1 y/0 x/1",
            "which column holds the labels: finding, reader?",
        ),
    ],
)
def test_a_column_that_may_name_absent_labels_is_never_passed_over(
    tmp_path: Path, header: str, cells: str, message: str
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(DatasetError) as caught:
        read_confidences(tmp_path, header, cells.replace("/", "\t").split(" "))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("label,verified", ["a,cat,1", "b,dog,0"]),  # a row for each photo
        ("label,label_id", ["a,cat,0", "a,dog,1", "b,dog,1"]),
        ("label,uncertainty", ["a,cat,3", "a,dog,4", "b,dog,5"]),
        ("label,confidence", ["a,cat,", "a,dog,", "b,dog,"]),
        ("label,IsOccluded,XMin", ["a,cat,1,0.5", "a,dog,0,0.5", "b,dog,0,0.5"]),
        ("label,confidence,score", ["a,cat,1,4", "a,dog,1,7", "b,dog,1,3"]),
    ],
)
def test_other_columns_beside_labels_are_not_asked_about(
    tmp_path: Path, header: str, rows: list[str]
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "labels.csv", [("image", *header.split(",")), *(r.split(",") for r in rows)])
    tags: dict[str, set[str]] = {}
    for row in rows:
        photo, label, *_ = row.split(",")
        tags.setdefault(f"{photo}.jpg", set()).add(label)
    assert tags_of(detect.read(tmp_path, 2), tmp_path) == tags


# --- how tags are divided


def test_tags_may_be_divided_by_spaces(tmp_path: Path) -> None:
    cells = ["clear primary water", "haze primary", "cloudy", "clear primary", "haze water road"]
    touch(tmp_path, *(f"{n}.jpg" for n in range(len(cells))))
    rows = [(f"{n}", cell) for n, cell in enumerate(cells)]
    write(tmp_path / "train.csv", [("image_name", "tags"), *rows[:4]])
    write(tmp_path / "val.csv", [("image_name", "tags"), *rows[4:]])  # no word recurs in it alone
    listing = detect.read(tmp_path, 2)
    expected = {f"{n}.jpg": set(cell.split()) for n, cell in enumerate(cells)}
    assert tags_of(listing, tmp_path) == expected
    assert sentences(listing) == ["2 tables have tags divided by spaces: each word is a tag"]


def test_few_cells_show_that_spaces_divide_them(tmp_path: Path) -> None:
    cells = ["haze primary", "agriculture clear primary water", "clear primary"]
    touch(tmp_path, *(f"{n}.jpg" for n in range(3)))
    write(tmp_path / "labels.csv", [("image", "tags"), *((str(n), c) for n, c in enumerate(cells))])
    expected = {f"{n}.jpg": set(cell.split()) for n, cell in enumerate(cells)}
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == expected


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("tags", ["golden retriever", "labrador retriever", "persian cat", "siamese cat"]),
        ("tags", ["New York", "Los Angeles", "New York", "Rome"]),
        ("tags", ["sea side|red car", "red car", "sea side"]),
        ("label", ["red car", "blue car", "red bus", "blue bus"]),
    ],
)
def test_names_with_spaces_stay_whole(tmp_path: Path, header: str, cells: list[str]) -> None:
    touch(tmp_path, *(f"{n}.jpg" for n in range(len(cells))))
    write(
        tmp_path / "labels.csv",
        [("image", header), *((f"{n}.jpg", c) for n, c in enumerate(cells))],
    )
    listing = detect.read(tmp_path, 2)
    assert set(listing.names) == {name for cell in cells for name in cell.split("|")}
    assert listing.remarks == ()


PLANTS = (
    "Apple scab|Apple black rot|Apple rust|Apple healthy|Grape black rot|Grape healthy|Corn rust"
)
CARS = "Audi A4 Sedan|Audi S4 Sedan|BMW M3 Coupe|BMW X5 SUV|Ford Focus Sedan|Ford Edge SUV"
DEFECTS = "surface scratch|deep scratch|surface dent|deep dent|no defect"
SIGNS = "traffic light|stop light|traffic sign|stop sign"
SKIES = (
    "clear primary|haze primary|clear primary water|cloudy|haze water|clear road primary|haze road"
)
SKIES += "|clear|partly_cloudy primary|clear water"


@pytest.mark.parametrize(
    ("header", "cells", "outcome"),
    [
        *((header, cells, "asked") for header in ("tags", "labels") for cells in (PLANTS, DEFECTS)),
        *(("tags", cells, outcome) for cells, outcome in ((SIGNS, "asked"), (CARS, "names"))),
        *(("label", cells, "names") for cells in (PLANTS, CARS, DEFECTS, SIGNS)),
        *((header, SKIES, "words") for header in ("tags", "labels", "keywords")),
        *((header, SKIES, "asked") for header in ("label", "class", "attributes", "scene")),
        ("label", "dog|hot dog|ice cream|cream", "names"),
    ],
)
def test_spaces_divide_tags_where_words_come_in_any_order(
    tmp_path: Path, header: str, cells: str, outcome: str
) -> None:
    rows = [(f"{n}.jpg", cell) for n, cell in enumerate(cells.split("|"))]
    touch(tmp_path, *(photo for photo, _ in rows))
    write(tmp_path / "labels.csv", [("image", header), *rows])
    if outcome == "asked":
        assert "one label, or does each word of it stand for one?" in read_error(tmp_path)
    else:
        names = cells.replace(" ", "|") if outcome == "words" else cells
        assert set(detect.read(tmp_path, 2).names) == set(names.split("|"))


@pytest.mark.parametrize("header", ["tags", "label", "class"])
def test_few_cells_with_many_photos_each_are_names(tmp_path: Path, header: str) -> None:
    cells = DEFECTS.split("|")
    rows = [(f"{n}.jpg", cells[n % len(cells)]) for n in range(60)]
    touch(tmp_path, *(photo for photo, _ in rows))
    write(tmp_path / "labels.csv", [("image", header), *rows])
    assert set(detect.read(tmp_path, 2).names) == set(cells)


@pytest.mark.parametrize("header", ["tags", "label", "choice"])
@pytest.mark.parametrize(
    "cells",
    [
        "('sea', 'sun')|('sea',)|{'sun'}",
        "{'sea','sun'}|['sea']|{'sun'}",
        '{"choices":["sea","sun"]}|sea|sun',
        '{"choices": ["sea", "sun"]}|{"choices": ["sea"]}|{"choices": ["sun"]}',
    ],
)
def test_a_cell_may_hold_a_tuple_a_set_or_choices(tmp_path: Path, header: str, cells: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = zip(("a.jpg", "b.jpg", "c.jpg"), cells.split("|"), strict=True)
    write(tmp_path / "labels.csv", [("image", header), *rows])
    expected = {"a.jpg": {"sea", "sun"}, "b.jpg": {"sea"}, "c.jpg": {"sun"}}
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == expected


def test_numbers_divided_by_spaces_are_tags_in_any_column(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "labels.csv", [("Id", "Target"), ("a", "5 0"), ("b", "7")])
    assert tags_of(detect.read(tmp_path, 2), tmp_path) == {"a.jpg": {"5", "0"}, "b.jpg": {"7"}}


@pytest.mark.parametrize("cell", ["['sea', \"sun, hot\"]", "['sea' 'sun, hot']"])
def test_a_cell_may_hold_a_list_as_python_writes_it(tmp_path: Path, cell: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [("a.jpg", cell), ("b.jpg", "[]"), ("c.jpg", "[sea]")]
    write(tmp_path / "labels.csv", [("image", "tags"), *rows])
    expected = {"a.jpg": {"sea", "sun, hot"}, "b.jpg": set(), "c.jpg": {"sea"}}
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == expected


# --- names


def test_a_photo_is_taken_where_its_name_can_mean_only_that(tmp_path: Path) -> None:
    paths = ["a.JPG", "images/b.jpg", "images/c d.jpg", "x/e.jpg", "f.jpg", "Cat/g.jpg", "h.jpg"]
    touch(tmp_path, *paths)
    names = [
        "A.jpg",
        "/data/upload/7/b.jpg",
        "http://host:80/media/c%20d.jpg?x=1",
        r"..\..\m\e.jpg",
    ]
    names += [r"C:\Users\me\f.jpg", "cat/G.JPG", "/data/local-files/?d=in/H.jpg"]
    paths = [*paths, "i.jpg", "j.jpg", "k.jpg"]
    names = [*names, "/data/upload/7/1a2b3c4d-i.jpg", "https://host/j.jpg#top", "'k.jpg'"]
    touch(tmp_path, "i.jpg", "j.jpg", "k.jpg")
    write(
        tmp_path / "labels.csv", [("image", "label"), *((n, f"l{i}") for i, n in enumerate(names))]
    )
    listing = detect.read(tmp_path, 2)
    assert tags_of(listing, tmp_path) == {path: {f"l{i}"} for i, path in enumerate(paths)}
    assert sentences(listing) == [
        "10 rows name their photos by other paths or in another case:"
        " taken, as only one photo can be meant"
    ]


def test_a_name_that_may_mean_another_photo_is_not_taken(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "cat/3.jpg", "a/4.jpg", "b/4.jpg", "5.jpg")
    names = [
        "/home/me/val/1.jpg",
        "val/2.jpg",
        "/x/dog/cat/3.jpg",
        "/x/4.jpg",
        "/x/5.jpg",
        "/y/5.jpg",
    ]
    write(
        tmp_path / "labels.csv", [("image", "tags"), *((n, f"l{i}") for i, n in enumerate(names))]
    )
    listing = detect.read(tmp_path, 1)
    assert tags_of(listing, tmp_path) == {"cat/3.jpg": {"l2"}}
    assert listing.left_out == {tmp_path / "5.jpg"}
    assert sorted(sentences(listing))[1:4] == [
        "1 photo may be meant by several names: left out",
        "1 row names a photo outside the collection: left out",
        "1 row names a photo that is not there: left out",
    ]
    write(tmp_path / "labels.csv", [("image", "tags"), ("5.jpg", "x"), ("/y/5.jpg", "y")])
    assert tags_of(detect.read(tmp_path, 1), tmp_path) == {"5.jpg": {"x"}}


def test_folders_of_another_machine_are_dropped_where_no_name_has_folders_of_here(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "1.jpg", "2.jpg", "in/3.jpg")
    rows = [("upload/7/1.jpg", "x"), ("upload/8/2.jpg", "y")]
    write(tmp_path / "labels.csv", [("image", "label"), *rows])
    assert tags_of(detect.read(tmp_path, 2), tmp_path) == {"1.jpg": {"x"}, "2.jpg": {"y"}}
    write(tmp_path / "labels.csv", [("image", "label"), *rows, ("in/3.jpg", "x"), ("1.jpg", "y")])
    assert tags_of(detect.read(tmp_path, 2), tmp_path) == {"in/3.jpg": {"x"}, "1.jpg": {"y"}}


def test_labels_that_look_alike_are_one(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{n}.jpg" for n in range(6)))
    labels = ["caf\u00e9", "cafe\u0301", "cat ", "cat\u200b", " cat", "two\nlines"]
    write(
        tmp_path / "labels.csv", [("image", "label"), *((f"{n}", x) for n, x in enumerate(labels))]
    )
    assert detect.read(tmp_path, 2).names == ("caf\u00e9", "cat", "two lines")
    rows = [("image", "caf\u00e9", "cafe\u0301", "sea"), ("0", "1", "", "0"), ("1", "0", "1", "1")]
    write(tmp_path / "labels.csv", [*rows, ("2", "0", "", "1")])
    assert contents(detect.read(tmp_path, 1), tmp_path) == {
        "0.jpg": ({"caf\u00e9"}, set(), "train"),
        "1.jpg": ({"caf\u00e9", "sea"}, set(), "train"),
        "2.jpg": ({"sea"}, set(), "train"),
    }


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_our_own_tables_may_have_further_columns(tmp_path: Path, start: str) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    text = (
        f"{start}image,label,tags,path,said by\na.jpg,x,x|y\\|z,/p/a.jpg,me\nb.jpg,'=w,'=w,,you\n"
    )
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    listing = detect.read(tmp_path, 2)
    assert tags_of(listing, tmp_path) == {"a.jpg": {"x", "y|z"}, "b.jpg": {"=w"}}
    assert listing.remarks == ()
