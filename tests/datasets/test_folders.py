"""Label folders, with split folders around them or without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.datasets.readers import folders
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.errors import DatasetError
from tests.datasets.label_files import contents, sentences, touch, write_file
from tests.trees import make_too_deep


@pytest.mark.parametrize("outer", ["", "archive/", "archive/inner/"])
def test_a_folder_is_a_label_at_any_depth(tmp_path: Path, outer: str) -> None:
    photos = ["cat/1.jpg", "cat/indoors/old/2.png", "dog/3.jpg"]
    touch(tmp_path, *(outer + path for path in photos))
    touch(tmp_path, f"{outer}.hidden/4.jpg")
    write_file(tmp_path / outer / "empty" / "notes.txt", "x")
    listing = folders.read(PhotoIndex(tmp_path))
    assert (listing.label_format, listing.kind, listing.names) == (
        "folders",
        "single",
        ("cat", "dog"),
    )
    assert contents(listing, tmp_path / outer) == {
        path: ({path.split("/")[0]}, set(), "train") for path in photos
    }


def test_split_folders_contain_label_folders(tmp_path: Path) -> None:
    touch(tmp_path, "Train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg", "TEST/dog/4.jpg")
    touch(tmp_path, "extra/emu/5.jpg")
    listing = folders.read(PhotoIndex(tmp_path))
    assert {path[-5:]: split for path, (_, _, split) in contents(listing, tmp_path).items()} == {
        "1.jpg": "train",
        "2.jpg": "train",
        "3.jpg": "val",
        "4.jpg": "test",
    }
    assert listing.names == ("cat", "dog")
    assert sentences(listing) == ["1 folder lies beside split folders (extra): not read"]
    assert listing.remarks[0].names == ("extra",)


def splits_of(root: Path, *photos: str) -> dict[str, tuple[str, str]]:
    """The label and the split of each photo."""
    touch(root, *photos)
    return {
        path: (*tags, split)
        for path, (tags, _, split) in contents(folders.read(PhotoIndex(root)), root).items()
    }


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("training_set", "validation_set", "test_set"),
        ("training_set/training_set", "valid", "test_set/test_set"),
        ("seg_train/seg_train", "dev", "seg_test/seg_test"),
        ("train_data", "eval", "test_data"),
        ("TrainImages", "ValImages", "TestImages"),
        ("Training Data", "Evaluation Data", "Testing Data"),
        ("train-224x224", "val-224x224", "test-224x224"),
        ("trainset", "devset", "testset"),
        ("01_train", "02_val", "03_test"),
        ("my_train_v2", "my_val_v2", "my_test_v2"),
        ("train/images", "val/images", "test/images"),
        ("asl_alphabet_train/asl_alphabet_train", "asl_alphabet_val", "asl_alphabet_test"),
        ("fruits-360_Training", "fruits-360_Validation", "fruits-360_Test"),
        ("data/train", "data/val", "data/test"),
        ("outer/inner/train2017", "outer/inner/val2017", "outer/inner/test2017"),
    ],
)
def test_split_folders_have_many_names(tmp_path: Path, train: str, val: str, test: str) -> None:
    photos = {
        f"{folder}/{label}/{n}.jpg": (label, split)
        for split, folder in (("train", train), ("val", val), ("test", test))
        for label in ("cat", "dog")
        for n in range(2)
    }
    assert splits_of(tmp_path, *photos) == photos
    assert folders.read(PhotoIndex(tmp_path)).remarks == ()


def test_splits_may_lie_one_folder_deeper_beside_other_photos(tmp_path: Path) -> None:
    photos = [f"data/{s}/{label}/1.jpg" for s in ("train", "test") for label in ("cat", "dog")]
    assert set(splits_of(tmp_path, *photos, "docs/logo.png")) == {*photos}
    assert folders.read(PhotoIndex(tmp_path)).remarks[0].names == ("docs",)


def test_photos_directly_in_a_split_have_no_label(tmp_path: Path) -> None:
    photos = [f"train/{label}/images/1.jpg" for label in ("cat", "dog")]
    unlabelled = ["val/images/2.jpg", "test/test/3.jpg", "train/4.jpg"]
    assert set(splits_of(tmp_path, *photos, *unlabelled)) == {*photos}


def test_splits_may_lie_within_labels(tmp_path: Path) -> None:
    photos = {
        f"{label}/{s}/1.jpg": (label, s) for label in ("cat", "dog") for s in ("train", "val")
    }
    assert splits_of(tmp_path, *photos, "cat/2.jpg") == photos | {"cat/2.jpg": ("cat", "train")}


@pytest.mark.parametrize("inside", ["", "steam/", "old/2019/"])
@pytest.mark.parametrize("name", ["train", "Training", "test", "dev", "val_set"])
def test_a_label_may_be_called_like_a_split(tmp_path: Path, name: str, inside: str) -> None:
    photos = ["bus/1.jpg", "car/red/2.jpg", "car/3.jpg", f"{name}/{inside}4.jpg"]
    labels = {path: (path.split("/")[0], "train") for path in photos}
    assert splits_of(tmp_path, *photos) == labels
    (remark,) = folders.read(PhotoIndex(tmp_path)).remarks
    assert remark.names == (name,) and remark.sentence() == (
        f"1 folder is named like a split, but lies beside no other split ({name}): taken as a label"
    )


def test_a_split_may_be_alone_where_nothing_beside_it_holds_photos(tmp_path: Path) -> None:
    photos = {f"train/{label}/1.jpg": (label, "train") for label in ("cat", "dog")}
    write_file(tmp_path / "notes" / "readme.txt", "x")
    touch(tmp_path, "images/sample.jpg")
    assert splits_of(tmp_path, *photos) == photos
    assert folders.read(PhotoIndex(tmp_path)).remarks[0].names == ("images",)


@pytest.mark.parametrize(
    ("photos", "message"),
    [
        (
            "holdout/cat/1 holdout/dog/1 base/cat/1 base/dog/1",
            "base/, holdout/ hold folders of the same names: cat/, dog/. If these are the labels",
        ),
        (
            "train/cat/1 train/dog/1 holdout/cat/1 holdout/dog/1 holdout/ape/1",
            "holdout/, train/ hold folders of the same names: cat/, dog/",
        ),
        ("a/Cat/1 a/dog/1 b/cat/1 b/DOG/1 c/1", "a/, b/ hold folders of the same names"),
        ("a/train/x/1 a/test/x/1 b/train/x/1 b/test/x/1", "a/, b/ hold folders of the same names"),
        ("a/0/1 a/1/1 b/0/1 b/1/1", "a/, b/ hold folders of the same names: 0/, 1/"),
        (
            "train/cat/1 train/dog/1 test/cat/1 test/dog/1 extra/cat/1 extra/dog/1",
            "extra/ beside split folders hold the same labels; call them train, val or test",
        ),
        ("train/1 test/2", "test/, train/ are named for splits, but hold no label folders"),
        ("train/1 test/2 bus/3 car/4", "are named for splits, but hold no label folders"),
        # a stray photo, a part, a folder between: the labels are still those inside
        ("a/cat/1 a/dog/1 b/cat/1 b/dog/1 a/x b/x", "a/, b/ hold folders of the same names: cat/"),
        ("train/cat/1 train/dog/1 hold/cat/1 hold/dog/1 train/x hold/x", "hold/, train/ hold"),
        (
            " ".join(f"all/{n}/1" for n in range(12)) + " part/1/1 part/2/1 part/3/1",
            "all/, part/ hold folders of the same names: 1/, 2/, 3/",
        ),
        (
            " ".join(f"train/{n}/1" for n in range(9)) + " holdout/1/1 holdout/2/1",
            "holdout/, train/ hold folders of the same names: 1/, 2/",
        ),
        ("train/a/1 train/b/1 holdout/a/1", "holdout/, train/ hold folders of the same names: a/"),
        ("a/images/x/1 a/images/y/1 b/images/x/1 b/images/y/1", "a/, b/ hold folders of the same"),
        ("a/a_1/x/1 a/a_1/y/1 b/b_1/x/1 b/b_1/y/1", "a/, b/ hold folders of the same names: x/"),
        (
            "train/cat/1 train/dog/1 test/cat/1 test/dog/1 extra/cat/1",
            "extra/ beside split folders hold the same labels",
        ),
        ("siteA/cat/1 siteA/dog/1 siteB/cat/1 siteC/dog/1", "siteA/, siteB/, siteC/ hold folders"),
        ("p/train/cat/1 p/train/dog/1 q/train/cat/1 q/train/dog/1", "p/, q/ hold folders of the"),
        # labels one folder deeper in splits
        (
            "train/pets/cat/1 train/pets/dog/1 test/cat/1 test/dog/1",
            "train/pets/ holds folders that may be the labels: cat/, dog/",
        ),
        (
            "train/labelled/cat/1 train/labelled/dog/1 train/unlabelled/1 test/cat/1 test/dog/1",
            "train/labelled/ holds folders that may be the labels: cat/, dog/",
        ),
        (
            " ".join(f"{s}/part{n}/{x}/1" for s in ("train", "test") for n in (1, 2) for x in "ab"),
            "part1/ holds folders that may be the labels: a/, b/",
        ),
        ("train/cat/1 train/dog/1 query/1", "are the labels train/ and query/, or the folders in"),
        # a split beside labels that it holds
        ("cat/1 dog/1 test/cat/1 test/dog/1", "test/ holds folders of the same names as folders"),
        ("cat/1 dog/1 emu/1 val/Cat/1", "val/ holds folders of the same names as folders beside"),
        ("cat/1 dog/1 test/cat/1 test/dog/1 val/cat/1 val/dog/1", "put these into another, such"),
        ("cat/1 dog/1 held_out/cat/1 held_out/dog/1", "held_out/ holds folders of the same names"),
        # splits within one label, or holding dates alone
        (
            "cat/train/a/1 cat/train/b/1 cat/test/a/1 cat/test/b/1 dog/1 emu/1",
            "cat/ holds splits with label folders, and dog/, emu/ beside it photos, too",
        ),
        (
            "cat/train/a/1 cat/train/b/1 cat/test/a/1 cat/test/b/1 dog/1 dog/2 dog/3",
            "cat/ holds splits with label folders, and dog/ beside it photos, too",
        ),
        (
            "train/2023/1 train/2024/1 test/2023/1 test/2024/1 bus/1 car/1",
            "test/, train/ are named for splits, but hold no label folders",
        ),
        # folders that are called like no label
        (
            "data/cat/1 data/dog/1 docs/1",
            "are the labels data/ and docs/, or the folders in data/?",
        ),
        ("train/cat/1 train/dog/1 other/1", "are the labels train/ and other/, or the folders in"),
        (
            "train/steam/1 train/diesel/1 crash_test/1 bus/1",
            "no label is in two of them, and bus/ beside them hold photos too",
        ),
        (
            "train/ice/1 test/crash/2 bus/3 car/4",
            "no label is in two of them, and bus/, car/ beside them hold photos too",
        ),
    ],
)
def test_what_stays_ambiguous_is_an_error(tmp_path: Path, photos: str, message: str) -> None:
    touch(tmp_path, *(f"{path}.jpg" for path in photos.split()))
    with pytest.raises(DatasetError) as caught:
        folders.read(PhotoIndex(tmp_path))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("photos", "beside"),
    [
        ("test_stg1/1", ""),
        ("test_stg1/1 test_stg2/2", ""),
        ("unlabeled_test/1", ""),
        ("unlabeled/1", "unlabeled"),
        ("previews/1", "previews"),
        ("single_prediction/1 sample_images/2", "sample_images single_prediction"),
        ("test/1 train_thumbs/1", "train_thumbs"),
    ],
)
def test_what_lies_beside_a_split_is_no_label(tmp_path: Path, photos: str, beside: str) -> None:
    labelled = {f"train/{label}/{n}.jpg": (label, "train") for label in "abc" for n in range(2)}
    unlabelled = [f"{path}.jpg" for path in photos.split()]
    assert splits_of(tmp_path, *labelled, *unlabelled) == labelled
    names = [name for remark in folders.read(PhotoIndex(tmp_path)).remarks for name in remark.names]
    assert names == beside.split()


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test_public"), ("asl_train", "test"), ("train_small", "valid")],
)
def test_beside_a_plain_split_any_word_of_another_will_do(
    tmp_path: Path, train: str, test: str
) -> None:
    photos = {f"{folder}/{label}/1.jpg": label for folder in (train, test) for label in "ab"}
    split = "val" if test == "valid" else "test"
    expected = {
        p: (label, "train" if p.startswith(train) else split) for p, label in photos.items()
    }
    assert splits_of(tmp_path, *photos) == expected


@pytest.mark.parametrize(
    "photos",
    [
        "bus/1 car/1 train/steam/1 train/diesel/1",
        "bus/1 test_pattern/1",
        "bus/red/1 car/blue/1 train/red/1",
        "bus/red/1 car/red/1 train/red/1",
        "cat/indoors/1 dog/indoors/1",
        "cat/indoors/1 cat/2024/1 dog/indoors/1 dog/2024/1",
        "cat/indoors/1 cat/May_2024/1 dog/indoors/1 dog/May_2024/1",
        "cat/images/1 dog/images/1 emu/images/1",
        "cat/indoors/1 cat/garden/1 cat/1 cat/2 dog/indoors/1 dog/garden/1 dog/1 dog/2",
        "cat/train/2023/1 cat/train/2024/1 dog/2023/1 emu/1",
        "plane/a/1 plane/b/1 ship/b/1 ship/c/1 ship/d/1 ship/e/1",
    ],
)
def test_ordinary_label_folders_are_read(tmp_path: Path, photos: str) -> None:
    paths = [f"{path}.jpg" for path in photos.split()]
    assert splits_of(tmp_path, *paths) == {p: (p.split("/")[0], "train") for p in paths}


def test_label_folders_in_splits_may_hold_folders_of_the_same_names(tmp_path: Path) -> None:
    photos = {
        f"{split}/{label}/{inside}/1.jpg": (label, split)
        for split in ("train", "test")
        for label in ("cat", "dog")
        for inside in ("indoors", "garden")
    }
    assert splits_of(tmp_path, *photos) == photos


@pytest.mark.parametrize("inside", ["", "indoors/"])
def test_each_label_may_hold_its_validation_photos(tmp_path: Path, inside: str) -> None:
    photos = {f"{label}/val/1.jpg": (label, "val") for label in ("cat", "dog")}
    photos |= {f"{label}/{inside}2.jpg": (label, "train") for label in ("cat", "dog")}
    assert splits_of(tmp_path, *photos) == photos


@pytest.mark.parametrize("between", ["images", "v1", "a/b"])
def test_splits_may_lie_deeper_within_labels(tmp_path: Path, between: str) -> None:
    photos = {
        f"{label}/{between}/{split}/1.jpg": (label, split)
        for label in ("cat", "dog")
        for split in ("train", "test")
    }
    assert splits_of(tmp_path, *photos, "emu/2.jpg") == photos | {"emu/2.jpg": ("emu", "train")}


def test_a_stray_photo_in_a_split_is_not_labelled(tmp_path: Path) -> None:
    photos = [f"{split}/images/{label}/1.jpg" for split in ("train", "val") for label in "ab"]
    assert set(splits_of(tmp_path, *photos, "train/stray.jpg")) == {*photos}


def test_dates_within_one_label_with_splits_are_no_labels(tmp_path: Path) -> None:
    photos = [f"cat/{split}/{year}/1.jpg" for split in ("train", "test") for year in (2023, 2024)]
    labels = splits_of(tmp_path, *photos, "dog/1.jpg", "emu/1.jpg").values()
    assert set(labels) == {
        ("cat", "train"),
        ("cat", "test"),
        ("dog", "train"),
        ("emu", "train"),
    }


@pytest.mark.parametrize("inside", ["2023", "2024-05", "images"])
def test_labels_may_hold_folders_of_dates(tmp_path: Path, inside: str) -> None:
    photos = [f"{label}/{i}/1.jpg" for label in ("cat", "dog") for i in (inside, "2022")]
    assert set(splits_of(tmp_path, *photos).values()) == {("cat", "train"), ("dog", "train")}


def test_names_that_look_alike_are_one_label(tmp_path: Path) -> None:
    photos = [
        "train/caf\u00e9/1.jpg",
        "train/tea/1.jpg",
        "val/cafe\u0301/1.jpg",
        "val/tea\u200b /1.jpg",
    ]
    assert {label for label, _ in splits_of(tmp_path, *photos).values()} == {"caf\u00e9", "tea"}


def test_without_train_a_folder_called_test_is_a_label(tmp_path: Path) -> None:
    touch(tmp_path, "test/1.jpg", "fail/2.jpg")
    assert folders.read(PhotoIndex(tmp_path)).names == ("fail", "test")


def test_folders_without_photos_are_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg")
    (tmp_path / "dog").mkdir()
    (tmp_path / ".git").mkdir()
    assert folders.read(PhotoIndex(tmp_path)).names == ("cat",)
    assert folders.count_folders(tmp_path) == 2


def test_no_folders_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    listing = folders.read(PhotoIndex(tmp_path))
    assert (listing.names, listing.samples) == ((), ())


def test_a_label_that_cannot_be_opened_makes_no_outer_folder_of_the_other(tmp_path: Path) -> None:
    touch(tmp_path, "cat/2023/1.jpg", "cat/2024/2.jpg")
    (tmp_path / "dog").mkdir()
    make_too_deep(tmp_path / "dog")
    listing = folders.read(PhotoIndex(tmp_path))
    assert listing.names == ("cat",) and len(listing.samples) == 2


def test_folders_without_photos_do_not_matter_beside_an_outer_folder(tmp_path: Path) -> None:
    touch(tmp_path, "archive/cat/1.jpg", "archive/dog/2.jpg")
    write_file(tmp_path / "docs" / "readme.txt", "x")
    touch(tmp_path, "__MACOSX/archive/cat/._1.jpg", "@eaDir/3.jpg")
    (tmp_path / "empty").mkdir()
    assert folders.read(PhotoIndex(tmp_path)).names == ("cat", "dog")


def test_linked_label_folders_are_labels(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    touch(root, "cat/1.jpg")
    touch(tmp_path, "disk/dogs/2.jpg", "disk/dogs/old/3.jpg")
    (root / "dog").symlink_to(tmp_path / "disk" / "dogs")
    (root / "kitten").symlink_to("cat")
    listing = folders.read(PhotoIndex(root))
    assert contents(listing, root) == {
        "cat/1.jpg": ({"cat"}, set(), "train"),
        "dog/2.jpg": ({"dog"}, set(), "train"),
        "dog/old/3.jpg": ({"dog"}, set(), "train"),
    }
