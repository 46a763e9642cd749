"""`python predict.py`, as a person at a terminal runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings
from PIL import Image

from tagger.cli.predict import main
from tagger.datasets.sample_photos import write_samples
from tagger.files import Skipped
from tagger.images import decode
from tests.conftest import RunMain, draw, run_program
from tests.trees import Tree, is_skipped, make_too_deep, reachable_photos, trees


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder)
    return folder


class Predict(Protocol):
    """What the fixture `predict` gives."""

    def __call__(
        self, *arguments: object, cwd: Path | None = None
    ) -> tuple[int, list[str], str]: ...


@pytest.fixture
def predict(run_main: RunMain) -> Predict:
    """Exit status, lines of standard output, and standard error with the model `pets`."""

    def tag(*arguments: object, cwd: Path | None = None) -> tuple[int, list[str], str]:
        process = run_main(main, *arguments, "--model", "pets", cwd=cwd)
        return process.returncode, process.stdout.splitlines(), process.stderr

    return tag


def test_one_photo_is_two_lines(samples: Path) -> None:
    process = run_program("predict.py", samples / "cat.png", "--model", "pets")
    assert (process.returncode, process.stderr) == (0, "")
    label, confidence = process.stdout.splitlines()
    assert label == "Prediction: CAT"
    assert confidence.startswith("Confidence: ") and confidence.endswith("%")


def test_an_unfamiliar_photo_says_so(predict: Predict, samples: Path) -> None:
    status, lines, _ = predict(samples / "rocket.jpg")
    assert status == 0
    assert lines[0] == "⚠️ Unknown object (not cat or dog)"
    assert lines[1].startswith("Unlike every training photo (best guess: ")


def test_an_uncertain_photo_says_how_sure_it_was(predict: Predict, samples: Path) -> None:
    status, lines, _ = predict(samples / "cat.png", "--threshold", 1)
    assert status == 0
    assert lines[0] == "⚠️ Unknown object (not cat or dog)"
    assert lines[1].startswith("Confidence was only ")


def test_a_folder_is_a_line_a_photo_in_order(predict: Predict, samples: Path) -> None:
    status, lines, _ = predict(samples)
    assert status == 0
    names = [Path(line.split(": ")[0]).name for line in lines]
    assert names == ["astronaut.png", "cat.png", "coffee.png", "rocket.jpg"]
    assert ": CAT " in lines[1] and all("Unknown" in lines[i] for i in (0, 2, 3))


def test_json_is_one_object_a_line(predict: Predict, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    status, lines, _ = predict(samples / "cat.png", tmp_path / "broken.jpg", "--json", "--top", 0)
    assert status == 1
    cat, broken = map(json.loads, lines)
    keys = ["path", "label", "confidence", "unknown", "reason", "ood_score", "tags"]
    keys += ["scores", "error", "model"]
    assert list(cat) == keys and list(broken) == keys
    assert cat["label"] == "cat" and cat["tags"][0]["label"] == "cat" and cat["model"] == "pets"
    assert [score["label"] for score in cat["scores"]] == ["cat", "dog"]
    assert broken["label"] is None and "broken.jpg" in broken["error"]


def test_csv_has_a_row_a_photo_and_runs_nothing(
    predict: Predict, samples: Path, tmp_path: Path
) -> None:
    shutil.copyfile(samples / "cat.png", tmp_path / "=cmd().png")
    table = tmp_path / "tags.csv"
    status, lines, _ = predict("=cmd().png", "gone.png", "--csv", table, cwd=tmp_path)
    assert (status, lines) == (1, [f"{table}: 2 photos, 1 of them unreadable"])
    with open(table, newline="", encoding="utf-8") as file:
        cat, gone = csv.DictReader(file)
    assert cat["path"] == "'=cmd().png" and cat["label"] == "cat" and cat["label 1"] == "cat"
    assert float(cat["score 1"]) > float(cat["score 2"])
    assert gone["error"] == "gone.png: no such file" and gone["label"] == ""


def test_a_bad_photo_never_stops_the_others(
    predict: Predict, samples: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    shutil.copyfile(samples / "cat.png", tmp_path / "b.png")
    status, lines, _ = predict(tmp_path)
    assert status == 1
    assert lines[0] == f"{tmp_path / 'a.jpg'}: an empty file" and ": CAT " in lines[1]


def test_a_folder_that_cannot_be_opened_is_an_error_among_the_answers(
    predict: Predict, samples: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "@eaDir").mkdir()
    shutil.copyfile(samples / "cat.png", tmp_path / "in" / "cat.png")
    deep = make_too_deep(tmp_path / "in")
    status, lines, stderr = predict(tmp_path, "--json")
    cat, folder = map(json.loads, lines)
    assert (status, cat["label"], folder["path"]) == (1, "cat", str(deep))
    assert folder["error"] == f"{deep}: a folder that cannot be opened (File name too long)"
    note = "1 folder is hidden, or of a file system or program (@eaDir): left out"
    assert stderr == f"{tmp_path}: {note}\n"
    status, lines, _ = predict(tmp_path)
    assert status == 1 and lines[1] == folder["error"]
    table = tmp_path / "tags.csv"
    _, lines, _ = predict(tmp_path, "--csv", table)
    assert lines == [f"{table}: 1 photos, 0 of them unreadable; 1 folder cannot be opened"]
    with open(table, newline="", encoding="utf-8") as file:
        assert [row["error"] for row in csv.DictReader(file)] == ["", folder["error"]]
    assert predict(deep.parent)[0] == 1


@given(trees)
@settings(max_examples=8, deadline=None)
def test_every_photo_of_a_tree_is_answered_once_or_named(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = tree.write(Path(folder), [decode.encode(draw("disc", 1, 24))])
        out = io.StringIO()
        with redirect_stdout(out):
            status = main([str(root), "--json", "--model", "pets"])
        rows = [json.loads(line) for line in out.getvalue().splitlines()]
        answered = [os.path.realpath(row["path"]) for row in rows]
        assert len(answered) == len(set(answered))
        skipped = Skipped()
        list(decode.find_photos(root, skipped))
        for photo in reachable_photos(root) - set(answered):
            assert is_skipped(photo, root, skipped)
        for path, _ in skipped.unopened:
            assert str(root / path) in answered
        assert status == (int(any(row["error"] for row in rows)) if rows else 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cat.png", "--model", "nonsense"], "no model is called 'nonsense'"),
        (["cat.png", "--threshold", "7"], "threshold 7.0"),
        (["cat.png", "--top", "-1"], "--top -1"),
        (["cat.png", "--workers", "0"], "workers 0"),
        (["cat.png", "rocket.jpg", "--heatmap", "x.png"], "--heatmap takes one photo"),
        (["cat.png", "--heatmap", "no/such/folder/x.png"], "no/such/folder"),
        (["cat.png", "--label", "dog"], "--label dog: is for --heatmap"),
        (["cat.png", "--bom"], "--bom: is for --csv FILE"),
        (
            ["cat.png", "--heatmap", "x.png", "--label", "ghost"],
            "label 'ghost': the model has accordion",
        ),
        (["empty"], "found 0 photos; looked for"),
    ],
)
def test_a_bad_option_is_one_sentence(
    run_main: RunMain, samples: Path, arguments: list[str], message: str
) -> None:
    (samples / "empty").mkdir(exist_ok=True)
    done = run_main(main, *arguments, cwd=samples)
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_bad_option_leaves_the_table_that_was_there(
    predict: Predict, run_main: RunMain, samples: Path, tmp_path: Path
) -> None:
    table = tmp_path / "tags.csv"
    table.write_text("mine")
    for bad in (["--threshold", "7"], ["--workers", "0"], ["--model", "nonsense"]):
        done = run_main(main, samples / "cat.png", "--csv", table, *bad)
        assert done.returncode == 2 and table.read_text() == "mine"
    assert predict(samples / "cat.png", "--csv", tmp_path)[0] == 2
    assert list(tmp_path.iterdir()) == [table]


def test_no_output_is_written_over_a_photo(
    run_main: RunMain, samples: Path, tmp_path: Path
) -> None:
    photo = Path(shutil.copyfile(samples / "cat.png", tmp_path / "mine.png"))
    before = photo.read_bytes()
    for more in (["--csv", photo], ["--heatmap", tmp_path / "." / "mine.png"]):
        done = run_main(main, photo, *more)
        assert done.returncode == 2 and "is one of the photos" in done.stderr
        assert photo.read_bytes() == before


def test_every_hostile_file_is_answered(predict: Predict, data: Path, tmp_path: Path) -> None:
    files = sorted(path for path in (data / "hostile").rglob("*") if path.is_file())
    status, lines, stderr = predict(*files, "--json")
    assert (status, stderr, len(lines)) == (1, "", 648 if len(files) == 648 else len(files))
    rows = [json.loads(line) for line in lines]
    assert [row["path"] for row in rows] == [str(path) for path in files]
    assert all((row["error"] is None) != (row["confidence"] is None) for row in rows)
    assert all("\n" not in (row["error"] or "") for row in rows)


def test_a_heatmap_is_the_photo_painted(predict: Predict, samples: Path, tmp_path: Path) -> None:
    target = tmp_path / "why.png"
    status, lines, _ = predict(samples / "cat.png", "--heatmap", target)
    assert status == 0 and lines[0] == "Prediction: CAT"
    painted, photo = decode.read(target), decode.read(samples / "cat.png")
    assert painted.shape == photo.shape and (painted != photo).any()
    assert predict(samples / "cat.png", "--heatmap", target, "--label", "dog")[0] == 0
    assert (decode.read(target) != painted).any()


def test_c_libraries_stay_off_the_terminal(predict: Predict, tmp_path: Path) -> None:
    """libtiff writes of a broken strip to descriptor 2 by itself, and Pillow warns."""
    path = tmp_path / "strip.tif"
    Image.fromarray(draw("disc", 1)).save(path, compression="tiff_lzw", strip_size=4096)
    data = bytearray(path.read_bytes())
    data[2000:6000] = bytes(4000)
    path.write_bytes(data)
    loud = f"from tagger.images import decode; decode.read({str(path)!r})"
    loud_run = subprocess.run([sys.executable, "-c", loud], capture_output=True, text=True)
    assert loud_run.stderr  # or this test would prove nothing
    status, lines, stderr = predict(path)
    assert lines and status in (0, 1) and stderr == ""


def test_control_characters_in_a_name_are_escaped(predict: Predict, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31mred\n.jpg"
    try:
        path.write_bytes(b"")
    except OSError:
        pytest.skip("this file system does not take such names")
    _, lines, stderr = predict(path, path)
    assert len(lines) == 2 and "\\x1b[31mred\\n.jpg" in lines[0]
    assert "\x1b" not in "".join(lines) + stderr
