"""Files that are there whole or not at all, names that are safe to show, walks through folders."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings

from tagger.files import Skipped, is_gone, open_atomically, walk_files, write_atomically
from tagger.images.decode import find_photos
from tagger.text import escape_controls
from tests.trees import Tree, is_skipped, make_too_deep, reachable_photos, trees


def test_an_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    write_atomically(target, "first")
    write_atomically(target, "é\udcff")
    assert target.read_text(encoding="utf-8") == "é\\udcff"
    write_atomically(target, b"\x00\x01")
    assert target.read_bytes() == b"\x00\x01"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), open_atomically(path) as file:
        file.write(b"half")
        raise OSError("the disk is full")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(path.name, b"old")]


def test_a_name_cannot_forge_a_line_or_steer_a_terminal() -> None:
    assert escape_controls("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert escape_controls("⚠️ größe.jpg") == "⚠️ größe.jpg"


def test_spaces_of_every_width_are_only_spaces() -> None:
    name = "Screenshot 2026-11-21 at 9.41\u202fAM\u00a0(2).png"
    assert escape_controls(name) == name


# --- the walk


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def walk(root: Path) -> tuple[list[str], Skipped]:
    """The photos under a folder, by their path in it, and what was left out."""
    skipped = Skipped()
    photos = [path.relative_to(root).as_posix() for path in find_photos(root, skipped)]
    return photos, skipped


@given(trees)
@settings(max_examples=80, deadline=None)
def test_every_photo_is_used_once_or_named(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = tree.write(Path(folder), [b""])
        photos, skipped = walk(root)
        used = [os.path.realpath(root / path) for path in photos]
        assert len(used) == len(set(used))
        assert set(used) <= reachable_photos(root)
        for photo in reachable_photos(root) - set(used):
            assert is_skipped(photo, root, skipped), photo
        assert walk_files_of(root) >= set(photos)


def walk_files_of(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in walk_files(root)}


def test_a_folder_that_cannot_be_opened_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "z/2.jpg")
    deep = make_too_deep(tmp_path / "a").relative_to(tmp_path).as_posix()
    photos, skipped = walk(tmp_path)
    assert photos == ["a/1.jpg", "z/2.jpg"]
    assert skipped.unopened == [(deep, "File name too long")]
    assert skipped.sentences() == [
        f"1 folder cannot be opened ({deep}: File name too long): left out"
    ]
    assert walk(tmp_path / "gone")[1].unopened == [(".", "No such file or directory")]


def test_a_folder_without_permission_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        root = Path(folder)
        root.chmod(0o755)
        touch(root, "open/1.jpg", "locked/2.jpg", ".hidden/3.jpg")
        (root / "linked.jpg").symlink_to("locked/2.jpg")
        for name in ("locked", ".hidden"):
            (root / name).chmod(0)
        try:
            with without_privileges():
                photos, skipped = walk(root)
        finally:
            for name in ("locked", ".hidden"):
                (root / name).chmod(0o755)
    assert photos == ["linked.jpg", "open/1.jpg"]  # the first fails by its own name
    assert skipped.unopened == [("locked", "Permission denied")]
    assert skipped.own_folders == [".hidden"]


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user who is not root, whom permissions do not concern."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_linked_folders_are_read_once_after_the_others(tmp_path: Path) -> None:
    root, disk = tmp_path / "photos", tmp_path / "disk"
    touch(root, "b/1.jpg", ".hidden/2.jpg")
    touch(disk, "x/3.jpg", "x/deep/4.jpg")
    (root / "a").symlink_to(disk)
    (root / "again").symlink_to(disk / "x")  # within what is linked already
    (root / "c").symlink_to("b")
    (root / "d").symlink_to(".hidden")  # which somebody wants then
    photos, skipped = walk(root)
    assert photos == ["b/1.jpg", "a/x/3.jpg", "a/x/deep/4.jpg", "d/2.jpg"]
    assert (skipped.repeats, skipped.links) == (["again", "c"], [])
    assert skipped.sentences()[-1] == (
        "2 links lead to folders that are read already (again, c): left out"
    )


def test_loops_of_links_end(tmp_path: Path) -> None:
    root, disk = tmp_path / "photos", tmp_path / "disk"
    touch(root, "a/1.jpg")
    touch(disk, "b/2.jpg")
    touch(tmp_path, "3.jpg")
    (root / "a" / "up").symlink_to(root)
    (root / "out").symlink_to(tmp_path)  # which the folder lies in
    (root / "disk").symlink_to(disk)
    (disk / "b" / "up").symlink_to(disk)
    (disk / "back").symlink_to(root / "a")
    (root / "one").symlink_to(root / "two")
    (root / "two").symlink_to(root / "one")
    photos, skipped = walk(root)
    assert photos == ["a/1.jpg", "disk/b/2.jpg"]
    assert sorted(skipped.repeats) == ["a/up", "disk/b/up", "disk/back"]
    assert sorted(path for path, _ in skipped.links) == ["one", "out", "two"]


def test_links_lead_out_once(tmp_path: Path) -> None:
    root, disk, system = tmp_path / "photos", tmp_path / "disk", tmp_path / "system"
    touch(disk, "1.jpg", "in/2.jpg")
    touch(system, "3.jpg")
    root.mkdir()
    (root / "disk").symlink_to(disk / "in")
    (disk / "in" / "all").symlink_to(system)
    (disk / "in" / "deep").mkdir()
    (disk / "in" / "deep" / "again").symlink_to(system)
    photos, skipped = walk(root)
    assert photos == ["disk/2.jpg"]
    why = "leads out of a folder that a link led to"
    assert skipped.links == [("disk/all", why), ("disk/deep/again", why)]


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "@EADIR", ".thumbnails", "#recycle", "@Recycle", "$RECYCLE.BIN", ".Trash-1000"),
        *("lost+found", "__MACOSX", ".picasaoriginals", ".dtrash", "System Volume Information"),
        *("RECYCLER", ".Trashes", ".@__thumb", "Catalog Previews.lrdata", "#snapshot"),
        *("found.000", "files_trashbin", "@Recently-Snapshot", ".AppleDouble", "appdata_oc7x"),
        *("@SynoResource", "Network Trash Folder", "Temporary Items", "LOST.DIR", "RECYCLED"),
        *("digiKamThumbs", "trashbox", "TheVolumeSettingsFolder"),
    ],
)
def test_previews_and_bins_are_left_out_and_counted_by_name(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "1.jpg", f"a/{name}/2.jpg", f"b/{name}/deep/3.jpg")
    photos, skipped = walk(tmp_path)
    assert photos == ["1.jpg"] and skipped.own_folders == [f"a/{name}", f"b/{name}"]
    (sentence,) = skipped.sentences()
    assert sentence.startswith("2 folders are hidden, or of") and f"({name} (2))" in sentence
    assert walk(tmp_path / "a" / name)[0] == ["2.jpg"]  # asked for by its own name


@pytest.mark.parametrize(
    "name", ["recycler", "trash", "thumbnails", "previews", "eaDir", "@home", "Recycled", "lost"]
)
def test_what_may_be_a_label_is_no_bin(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{name}/1.jpg")
    assert walk(tmp_path) == ([f"{name}/1.jpg"], Skipped())


def test_of_apples_photo_libraries_only_the_originals_are_read(tmp_path: Path) -> None:
    inside = ("originals/A/1.heic", "resources/derivatives/1.jpeg", "database/faces/2.jpg")
    touch(tmp_path, *(f"Photos Library.photoslibrary/{path}" for path in inside))
    photos, skipped = walk(tmp_path)
    assert photos == ["Photos Library.photoslibrary/originals/A/1.heic"]
    assert [Path(path).name for path in skipped.own_folders] == ["database", "resources"]


@pytest.mark.parametrize(
    ("library", "originals", "previews"),
    [
        ("Old.migratedphotolibrary", "Masters", ("Thumbnails", "Previews", "resources")),
        ("Old.migratedaplibrary", "Masters", ("Thumbnails", "Previews")),
        ("iPhoto Library", "Originals", ("Data", "Thumbnails")),
        ("Jobs.cocatalog", "Originals", ("Cache", "Adjustments")),
        ("CaptureOne", "Output", ("Cache", "Settings")),
    ],
)
def test_of_other_programs_libraries_only_the_originals_are_read(
    tmp_path: Path, library: str, originals: str, previews: tuple[str, ...]
) -> None:
    touch(tmp_path, *(f"a/{library}/{folder}/2024/1.jpg" for folder in (originals, *previews)))
    photos, skipped = walk(tmp_path)
    assert photos == [f"a/{library}/{originals}/2024/1.jpg"]
    assert sorted(skipped.own_folders) == sorted(f"a/{library}/{folder}" for folder in previews)


@pytest.mark.parametrize("name", ["Recycled", "recycled"])
@pytest.mark.parametrize("file", ["INFO2", "desktop.ini", "Dc1.jpg"])
def test_the_bin_of_windows_98_is_known_by_its_files(tmp_path: Path, name: str, file: str) -> None:
    touch(tmp_path, "1.jpg", f"a/{name}/2.jpg", f"a/{name}/{file}")
    photos, skipped = walk(tmp_path)
    assert photos == ["1.jpg"] and skipped.own_folders == [f"a/{name}"]


def test_hidden_folders_are_named_if_they_may_hold_photos(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", ".git/config", ".stash/a/2.jpg", "a/.cache/x.bin")
    touch(tmp_path, *(f".many/{number}" for number in range(1_001)))
    photos, skipped = walk(tmp_path)
    assert photos == ["1.jpg"] and skipped.own_folders == [".many", ".stash"]


def test_hidden_photos_and_broken_links_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "._1.jpg", ".DS_Store")
    (tmp_path / "drive").symlink_to("/no/such/drive")
    (tmp_path / "2.jpg").symlink_to("/no/such/photo.jpg")  # named where it cannot be read
    photos, skipped = walk(tmp_path)
    assert photos == ["1.jpg", "2.jpg"]
    assert skipped.sentences() == [
        "1 file is hidden and called like a photo (._1.jpg): left out",
        "1 link is not followed (drive leads nowhere): left out",
    ]


def test_a_file_that_nobody_can_look_at_is_not_gone(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "loop").symlink_to("loop")  # as a folder without permission, for any user
    assert is_gone(tmp_path / "b.jpg") and is_gone(tmp_path / "a.jpg" / "b.jpg")
    assert not is_gone(tmp_path / "a.jpg") and not is_gone(tmp_path / "loop" / "a.jpg")
