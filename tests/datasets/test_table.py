"""Labels as tables: however a CSV is written, the same photos and labels come back, counted."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagger.datasets.readers import detect, table
from tagger.errors import DatasetError
from tests.datasets.written import content, present, put, sentences


def write(path: Path, rows: Iterable[Sequence[str]], divider: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=divider).writerows(rows)


def refused(root: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        detect.read(root, 2)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- one column of labels


@pytest.mark.parametrize(
    "image", ["image", "Filename", "FILE", "path", "photo", "image_name", "id"]
)
@pytest.mark.parametrize("label", ["label", "Class", "category", "breed"])
def test_one_label_a_photo(tmp_path: Path, image: str, label: str) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write(tmp_path / "labels.csv", [(image, label), ("a.jpg", "cat"), ("b.jpg", "dog")])
    found = detect.read(tmp_path, 2)
    assert (found.label_format, found.kind, found.names) == ("CSV", "single", ("cat", "dog"))
    assert present(found, tmp_path) == {"a.jpg": {"cat"}, "b.jpg": {"dog"}}
    assert found.remarks == ()


@pytest.mark.parametrize("divider", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dividers_and_encodings(tmp_path: Path, divider: str, encoding: str, end: str) -> None:
    put(tmp_path, "é.jpg", "b.jpg")
    rows = [("image", "label"), ("é.jpg", 'the "猫"'), ("b.jpg", "a,b;c\td")]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=divider, lineterminator=end).writerows(rows)
    (tmp_path / "labels.csv").write_bytes(text.getvalue().encode(encoding))
    expected = {"é.jpg": {'the "猫"'}, "b.jpg": {"a,b;c\td"}}
    assert present(detect.read(tmp_path, 2), tmp_path) == expected


def test_the_divider_may_be_told(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_text("sep=;\nimage;label\na.jpg;x,y\nb.jpg;z\n")
    assert detect.read(tmp_path, 2).names == ("x,y", "z")


def test_a_table_without_a_header(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "list.csv").write_text("a.jpg,cat\nb.jpg,dog\n")
    assert present(detect.read(tmp_path, 2), tmp_path) == {"a.jpg": {"cat"}, "b.jpg": {"dog"}}
    (tmp_path / "list.csv").write_text("a.jpg,cat,1\nb.jpg,dog,2\n")
    assert "list.csv, line 1: no header; put a line above it" in refused(tmp_path)


@pytest.mark.parametrize("header", ["tags", "labels", "Tag", "keywords"])
@pytest.mark.parametrize("separator", ["|", ";", ",", " | "])
def test_several_tags_in_a_cell(tmp_path: Path, header: str, separator: str) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    cells = [("a.jpg", separator.join(("sea", "sun"))), ("b.jpg", "sun"), ("c.jpg", "")]
    write(tmp_path / "labels.csv", [("image", header), *cells])
    found = detect.read(tmp_path, 2)
    assert (found.kind, found.names) == ("multi", ("sea", "sun"))
    assert present(found, tmp_path) == {"a.jpg": {"sea", "sun"}, "b.jpg": {"sun"}, "c.jpg": set()}


def test_a_bar_divides_in_a_column_called_label_too(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "labels.csv", [("image", "label"), ("a.jpg", "x|y"), ("b.jpg", "y")])
    found = detect.read(tmp_path, 2)
    assert found.kind == "multi" and present(found, tmp_path)["a.jpg"] == {"x", "y"}


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1).map(lambda t: f"{t} ")
LABELS = st.lists(
    st.builds(lambda a, b: f"{a}, {b}'s".strip(), NAMES, NAMES), min_size=2, max_size=6, unique=True
)
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(labels=LABELS)
def test_any_name_is_read_as_it_was_written(tmp_path: Path, labels: list[str]) -> None:
    labels = [label.replace("|", "¦") for label in labels if "|" not in label] or ["x", "y"]
    photos = {f"{number}.jpg": {label} for number, label in enumerate(sorted(set(labels)))}
    put(tmp_path, *photos)
    rows = [("image", "label"), *((place, *tags) for place, tags in photos.items())]
    write(tmp_path / "labels.csv", rows)
    assert present(detect.read(tmp_path, 1), tmp_path) == photos
    photos["0.jpg"] |= {"another"}
    rows = [("image", "tags"), *((place, "|".join(tags)) for place, tags in photos.items())]
    write(tmp_path / "labels.csv", rows)
    assert present(detect.read(tmp_path, 1), tmp_path) == photos
    names = sorted({name for tags in photos.values() for name in tags})
    cells = ((p, *("1" if n in tags else "0" for n in names)) for p, tags in photos.items())
    write(tmp_path / "labels.csv", [("image", *names), *cells])
    assert present(detect.read(tmp_path, 1), tmp_path) == photos


@given(st.lists(st.text(min_size=1).filter(lambda text: text.strip()), max_size=5))
def test_tags_in_a_cell_come_apart_as_they_were_joined(tags: list[str]) -> None:
    assert table.split_tags(table.join_tags(tags)) == tags


# --- a column for each tag


def test_a_column_for_each_tag(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg")
    rows = [
        ("image", "split", "sun", "sea"),
        ("a.jpg", "train2017", "1", "0"),
        ("b.jpg", "Valid", "0", ""),
        ("images/c.jpg", "", "TRUE", "yes"),
        ("d.jpg", "test", "no", "?"),
    ]
    write(tmp_path / "labels.csv", rows)
    found = detect.read(tmp_path, 2)
    assert found.kind == "multi" and found.remarks == ()
    assert content(found, tmp_path) == {
        "images/a.jpg": ({"sun"}, set(), "train"),
        "images/b.jpg": (set(), {"sea"}, "val"),
        "images/c.jpg": ({"sun", "sea"}, set(), "train"),
        "images/d.jpg": (set(), {"sea"}, "test"),
    }


@pytest.mark.parametrize(
    ("cells", "seen"),
    [
        (("1", ""), (set(), "only 1 is written: blank is absent")),
        (("1", "-1"), (set(), "no 0: -1 is absent")),
        (("0", "-1"), ({"sea"}, "0 is absent, so -1 is not sure")),
        (("0", ""), ({"sea"}, "0 is absent, so blank is not looked for")),
        (("-1", ""), ({"sea"}, "-1 is absent, so blank is not looked for")),
    ],
)
def test_what_minus_one_and_blank_mean(
    tmp_path: Path, cells: tuple[str, str], seen: tuple[set[str], str]
) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    rows = [("image", "sun", "sea"), ("a.jpg", "1", cells[0]), ("b.jpg", "1", cells[1])]
    write(tmp_path / "labels.csv", rows)
    assert content(detect.read(tmp_path, 1), tmp_path)["b.jpg"][1] == seen[0], seen[1]


def test_tags_may_be_called_as_columns_are(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    rows = [("image", "label", "split", "class", "photo"), ("a.jpg", *"1010"), ("b.jpg", *"0101")]
    write(tmp_path / "labels.csv", rows)
    found = present(detect.read(tmp_path, 1), tmp_path)
    assert found == {"a.jpg": {"label", "class"}, "b.jpg": {"split", "photo"}}


# --- what is said and counted


def test_rows_that_lead_nowhere_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    put(root, "a.jpg", "b.jpg", "x/same.jpg", "x/y/same.jpg", "unlabelled.jpg")
    put(tmp_path, "outside.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "linked").symlink_to(tmp_path)
    names = ["a.jpg", "b.jpg", "gone.jpg", "../outside.jpg", str(tmp_path / "outside.jpg")]
    names += ["link.jpg", "linked/outside.jpg", "C:\\outside.jpg", "same.jpg", "", "x/../../a.jpg"]
    write(root / "labels.csv", [("image", "label"), *((n, f"l{i}") for i, n in enumerate(names))])
    found = detect.read(root, 2)
    assert present(found, root) == {"a.jpg": {"l0"}, "b.jpg": {"l1"}}
    assert sorted(sentences(found)) == [
        "1 row names more than one photo: left out",
        "2 rows name photos that are not there: left out",
        "6 rows name photos outside the collection: left out",
    ]
    missing = next(r for r in found.remarks if "not there" in r.plural)
    assert missing.names == ("labels.csv:4: gone.jpg", "labels.csv:11: ")


def test_a_photo_is_found_by_whatever_its_row_calls_it(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    put(
        root,
        "a.jpg",
        "images/b.JPG",
        "deep/er/c.jpg",
        "d/e.jpg",
        "caf\u00e9.jpg",
        "f.jpg",
        "in/g.jpg",
    )
    (root / "pictures").symlink_to(root / "in")
    names = ["./a.jpg", "b.JPG", "c", "d\\e.jpg", "cafe\u0301.jpg", str(root / "f.jpg")]
    names += ["pictures/g.jpg"]
    write(root / "labels.csv", [("image", "label"), *((n, f"l{i}") for i, n in enumerate(names))])
    found = detect.read(root, 2)
    assert found.remarks == ()
    places = [
        "a.jpg",
        "images/b.JPG",
        "deep/er/c.jpg",
        "d/e.jpg",
        "caf\u00e9.jpg",
        "f.jpg",
        "in/g.jpg",
    ]
    assert present(found, root) == {place: {f"l{i}"} for i, place in enumerate(places)}


def test_rows_of_one_photo_are_joined_or_told_of(tmp_path: Path) -> None:
    photos = [f"{number:02}.jpg" for number in range(50)]
    put(tmp_path, *photos)
    rows = [
        ("image", "label"),
        *((place, "cat" if n % 2 else "dog") for n, place in enumerate(photos)),
    ]
    write(tmp_path / "labels.csv", [*rows, ("00.jpg", "dog"), ("01.jpg", "dog"), ("02.jpg", "")])
    found = detect.read(tmp_path, 2)
    assert found.kind == "single" and len(found.samples) == 49
    assert found.remarked == {tmp_path / "01.jpg"}
    assert sentences(found) == [
        "1 row repeats another: counted once",
        "1 photo has rows of different labels: left out",
    ]
    write(tmp_path / "labels.csv", [*rows, *((place, "pet") for place in photos)])
    found = detect.read(tmp_path, 2)
    assert found.kind == "multi" and present(found, tmp_path)["01.jpg"] == {"cat", "pet"}
    assert found.remarks == ()


def test_a_table_of_boxes_has_several_rows_a_photo(tmp_path: Path) -> None:
    put(tmp_path, "train/a.jpg", "valid/b.jpg")
    header = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
    box = ("640", "480", "cat", "1", "2", "3", "4")
    write(tmp_path / "train" / "_annotations.csv", [header, ("a.jpg", *box), ("a.jpg", *box)])
    write(tmp_path / "valid" / "_annotations.csv", [header, ("b.jpg", *box[:2], "dog", *box[3:])])
    found = detect.read(tmp_path, 2)
    assert found.kind == "multi" and found.remarks == ()
    assert content(found, tmp_path) == {
        "train/a.jpg": ({"cat"}, set(), "train"),
        "valid/b.jpg": ({"dog"}, set(), "val"),
    }


def test_cells_and_columns_nobody_understands_are_counted(tmp_path: Path) -> None:
    photos = [f"{number:02}.jpg" for number in range(30)]
    put(tmp_path, *photos)
    rows = [["image", "author", "cat", "", "dog"], *([p, f"A{p}", "1", "", "0"] for p in photos)]
    rows[3][2] = "maybe"
    rows += [[photos[0], "", "1", "", "1"], [photos[1], "A01.jpg", "1", "", "0"], ["x.jpg", "1"]]
    write(tmp_path / "labels.csv", rows)
    found = detect.read(tmp_path, 2)
    assert found.names == ("cat", "dog")
    assert content(found, tmp_path)["02.jpg"] == (set(), {"cat"}, "train")
    assert content(found, tmp_path)["00.jpg"] == ({"cat"}, {"dog"}, "train")
    told = {remark.sentence(): remark.names for remark in found.remarks}
    assert told == {
        "1 row is not as long as the header: left out": ("labels.csv:34",),
        "2 columns hold neither photos, labels nor splits: not read": (
            "labels.csv: author",
            "labels.csv: column 4",
        ),
        "1 cell is neither 1, 0 nor blank: taken as if nobody looked": ("labels.csv:4: cat=maybe",),
        "1 tag is given by one row, not by another: taken as if nobody looked": (
            "labels.csv:32: dog",
        ),
        "1 row repeats another: counted once": ("labels.csv:33",),
    }


def test_splits_are_read_and_strange_ones_told_of(tmp_path: Path) -> None:
    put(tmp_path, *"abcdef", *(f"{n}.jpg" for n in "abcdef"))
    splits = ("train", "test", "holdout", "", "train", "train")
    rows = [
        (f"{n}.jpg", "xy"[i % 2], s) for i, (n, s) in enumerate(zip("abcdef", splits, strict=True))
    ]
    write(tmp_path / "labels.csv", [("image", "label", "Split"), *rows, ("e.jpg", "x", "val")])
    found = detect.read(tmp_path, 2)
    by_photo = {place: split for place, (_, _, split) in content(found, tmp_path).items()}
    assert by_photo == {
        "a.jpg": "train", "b.jpg": "test", "d.jpg": "train", "e.jpg": "val", "f.jpg": "train"
    }  # fmt: skip
    assert sorted(sentences(found)) == [
        "1 photo is listed in several splits: kept out of train",
        "1 row has a split other than train, val and test: left out",
        "1 row repeats another: counted once",
    ]


def test_folders_tell_the_split_where_no_column_does(tmp_path: Path) -> None:
    put(tmp_path, "train/a.jpg", "images/val2017/b.jpg", "c.jpg")
    rows = [("train/a.jpg", "x"), ("images/val2017/b.jpg", "y"), ("c.jpg", "x")]
    write(tmp_path / "labels.csv", [("image", "label"), *rows])
    found = content(detect.read(tmp_path, 2), tmp_path)
    assert {place: split for place, (_, _, split) in found.items()} == {
        "train/a.jpg": "train",
        "images/val2017/b.jpg": "val",
        "c.jpg": "train",
    }


# --- which table


def test_any_name_will_do_where_there_is_one_table(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "prices.csv", [("item", "price"), ("a", "1")])
    write(tmp_path / "My photos.csv", [("photo", "tags"), ("a.jpg", "x"), ("b.jpg", "y")])
    assert detect.read(tmp_path, 2).names == ("x", "y")
    write(tmp_path / "other.csv", [("photo", "tags"), ("a.jpg", "z")])
    message = refused(tmp_path)
    assert "which table holds the labels: My photos.csv, other.csv? Call it labels.csv" in message
    write(tmp_path / "labels.csv", [("photo", "tags"), ("a.jpg", "q")])
    assert detect.read(tmp_path, 2).names == ("q",)


def test_tables_named_for_splits_belong_together(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write(tmp_path / "train.csv", [("image", "x", "y"), ("a.jpg", "1", "0")])
    write(tmp_path / "val.csv", [("image", "x"), ("b.jpg", "0")])
    write(tmp_path / "test.csv", [("image", "y"), ("c.jpg", "1")])
    assert content(detect.read(tmp_path, 2), tmp_path) == {
        "a.jpg": ({"x"}, set(), "train"),
        "b.jpg": (set(), {"y"}, "val"),
        "c.jpg": ({"y"}, {"x"}, "test"),
    }


# --- refusals


@pytest.mark.parametrize(
    ("text", "told"),
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
def test_what_is_no_table_is_refused_with_its_line(tmp_path: Path, text: bytes, told: str) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_bytes(text)
    assert told in refused(tmp_path)


# --- real samples


def test_everyday(data: Path) -> None:
    found = detect.read(data / "everyday", 2)
    assert (found.kind, len(found.names), len(found.samples)) == ("multi", 58, 5836)
    assert Counter(sample.split for sample in found.samples) == {"train": 4764, "val": 1072}
    assert found.remarks == ()
    with open(data / "everyday" / "labels.csv", newline="", encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    for place, (tags, unseen, split) in content(found, data / "everyday").items():
        row = rows.pop(place)
        assert row["split"] == split
        assert {name for name in found.names if row[name] == "1"} == tags
        assert {name for name in found.names if row[name] == ""} == unseen
    assert not rows


def test_imagenet_samples(data: Path) -> None:
    found = detect.read(data / "imagenet_samples", 2)
    assert (found.kind, len(found.samples), len(found.names)) == ("single", 500, 499)
    assert sentences(found) == ["2 columns hold neither photos, labels nor splits: not read"]
