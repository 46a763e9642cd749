"""The Train page: checking a dataset, training, the result."""

from __future__ import annotations

import base64
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from frontend.training import training_job
from tagger import paths
from tagger.images import decode
from tagger.inference import model_file
from tagger.jobs import worker
from tagger.jobs.requests import TrainRequest, submit
from tagger.library.library import Library
from tests.conftest import draw, draw_collection, import_folder
from tests.frontend.pages import (
    JOB_TIMEOUT,
    button_labels,
    html_blocks,
    open_page,
    page_text,
    press,
    unescape,
    use_picker,
    wait_for_jobs,
)

HOSTILE_NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
def library(project_library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """The project's library. Checks run in this process: another takes seconds to start."""
    start = worker.start

    def check_or_start(library: Library, job_id: int) -> None:
        run = worker.run if library.operation(job_id).kind == "check" else start
        run(library, job_id)

    monkeypatch.setattr(worker, "start", check_or_start)
    return project_library


def wait_for_text(app: AppTest, pattern: str) -> str:
    """Run the page until its text matches a pattern; the text."""
    deadline = time.monotonic() + JOB_TIMEOUT
    while not re.search(pattern, text := page_text(app.run())):
        assert not app.exception
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
    return text


def open_check(library: Library, folder: Path) -> AppTest:
    """The Train page with a finished check of a folder."""
    app = open_page("train")
    app.text_input(key="train-folder").set_value(str(folder)).run()
    app.button(key="train-check").click().run()
    assert not app.exception
    wait_for_jobs(library)
    return app.run()


def test_the_folder_dataset_is_offered_once_there_are_photos(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "labelled"
    monkeypatch.setattr(paths, "DATASET", folder)
    folder.mkdir()
    (folder / "README.md").write_text("Put a folder for each label here.")
    app = open_page("train")
    assert app.text_input(key="train-folder").value == ""
    assert "Choose the folder with your labelled photos." in page_text(app)
    (folder / "cat").mkdir()
    app = open_page("train")
    assert app.text_input(key="train-folder").value == str(folder)
    assert "Checking doesn’t train anything" in page_text(app)


def test_a_click_on_which_the_page_does_not_act_is_forgotten(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = worker.start
    monkeypatch.setattr(
        worker,
        "start",
        lambda library, id: library.operation(id).kind == "check" and check(library, id),
    )
    first, second = (draw_collection(tmp_path / name, 6) for name in ("first", "second"))
    app = open_check(library, first)
    app.text_input(key="train-folder").set_value(str(second))
    press(app, "train-start")  # in one request with the other folder, which is not checked yet
    press(app, "train-check")
    app.run()
    assert not library.operations(kinds=["train"]), "nobody started it"
    press(app, "train-start")
    app.session_state["kept-clicks"] = {"train-start": False}  # the second of a double click
    app.run()
    assert not app.session_state["kept-clicks"]
    (training,) = library.operations(kinds=["train"])
    library.stop(training.id)
    worker.run(library, training.id)
    app.run().run()
    assert len(library.operations(kinds=["train"])) == 1


def test_a_folder_without_photos_shows_what_to_do(library: Library, tmp_path: Path) -> None:
    app = open_check(library, tmp_path / "dataset")
    assert "found 0 photos in 0 folders" in page_text(app)
    assert "Each label needs at least 5 different photos, in its own folder" in page_text(app)
    assert "Start training" not in button_labels(app)
    app.text_input(key="train-folder").set_value("  ").run()
    assert "Choose the folder with your labelled photos." in page_text(app)
    app = open_check(library, tmp_path / "gone")
    assert "gone: no such folder" in page_text(app)


def test_a_check_shows_problems_with_the_photos(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 10, shapes=("disc", "square"))
    (data / "disc").rename(data / HOSTILE_NAME)
    (data / "square" / "*broken*.jpg").write_bytes(b"no photo")
    shutil.copy(data / "square" / "000.jpg", data / "square" / "copy.jpg")
    app = open_check(library, data)
    text = page_text(app)
    assert "1 photo could not be read: left out." in text
    assert "1 photo is an exact copy of another photo: left out." in text
    assert "too few photos for reliable figures" in text
    counts, files = (table for table in html_blocks(app) if "<table" in table)
    assert "<td>8</td><td>2</td>" in counts and "<td>16</td><td>4</td>" in counts
    assert "&lt;img src=x onerror=alert(1)&gt;" in counts and "<img" not in "".join(
        html_blocks(app)
    )
    assert "square/*broken*.jpg" in files and "not a JPEG" in files
    assert "Start training" in button_labels(app)


def test_a_check_shows_photos_of_findings(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 24, shapes=("disc", "stripes"))
    moved = data / "stripes" / HOSTILE_NAME.replace("/", "")
    shutil.move(data / "disc" / "005.jpg", moved.with_name(f"{moved.name}.jpg"))
    app = open_check(library, data)
    assert "Look at these before you train." in page_text(app)
    assert "1 label is probably wrong" in [unescape(b.label) for b in app.main.expander]
    figures = next(
        table for table in html_blocks(app) if "labelled stripes, looks like disc" in table
    )
    assert "data:image/jpeg;base64," in figures
    assert "&lt;img src=x onerror=alert(1)&gt;" in figures and "<img src=x" not in figures
    moved.with_name(f"{moved.name}.jpg").unlink()
    assert "Can’t be shown: the file may have been moved." in page_text(app.run())
    assert "Start training" in button_labels(app)


def test_the_last_check_of_a_folder_is_shown_again(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 6)
    open_check(library, data)
    app = open_page("train")
    assert "Choose the folder with your labelled photos." in page_text(app)
    app.text_input(key="train-folder").set_value(str(data)).run()
    assert "Check finished" in page_text(app) and "Start training" in button_labels(app)


def test_a_label_file_is_checked(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 8, shapes=("disc", "square"))
    paths = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.jpg"))
    rows = [f"{path},{'round|drawn' if 'disc' in path else 'drawn'}" for path in paths]
    rows += ["../gone.jpg,drawn", "gone.jpg,drawn"]
    (data / "labels.csv").write_text("\n".join(["image,tags", *rows]))
    app = open_check(library, data)
    assert "Labels: CSV, 2 tags." in page_text(app)
    assert "1 row names a photo outside the collection: left out." in page_text(app)
    assert "1 row names a photo that is not there: left out." in page_text(app)
    assert "Start training" in button_labels(app)


def test_a_dataset_with_too_few_photos_cannot_be_trained_on(
    library: Library, tmp_path: Path
) -> None:
    app = open_check(library, draw_collection(tmp_path / "data", 3))
    assert "too few readable photos of disc, square, stripes" in page_text(app)
    assert "Start training" not in button_labels(app)


def test_an_invalid_model_name_shows_an_error_message(
    library: Library, shapes_model: Path, shapes: Path
) -> None:
    app = open_check(library, shapes)
    name = app.main.text_input[1]
    for invalid in ("../../x", "a b", "<b>", "", "é"):
        name.set_value(invalid).run()
        app.button(key="train-start").click().run()
        assert "a model's name is" in page_text(app)
    name.set_value("Pets").run()
    assert "Pets is built in" in page_text(app)
    name.set_value("free").run()
    app.main.text_input[1].set_value("shapes")
    app.button(key="train-start").click().run()  # typed and clicked at once
    assert "A model called shapes exists. Training replaces it." in page_text(app)
    assert "Train and replace" in button_labels(app)
    assert "Start training" not in button_labels(app)
    assert not library.operations(kinds=["train"])


def test_the_duration_is_estimated(library: Library, shapes: Path) -> None:
    app = open_check(library, shapes)
    thorough, quick = app.radio(key="train-how").proto.captions
    assert "about 40 seconds" in thorough and "about 20 seconds" in quick
    assert training_job.estimate_seconds(3_800, 8, 192) > 2 * training_job.estimate_seconds(
        3_800, 0, 192
    )
    assert training_job.estimate_seconds(1_000, 8, 96) < training_job.estimate_seconds(
        1_000, 8, 192
    )


def test_confirmed_tags_are_exported_as_a_dataset(library: Library, tmp_path: Path) -> None:
    app = open_page("train")
    app.segmented_control(key="train-source").set_value("Confirmed tags").run()
    assert "No confirmed tags yet." in page_text(app)

    data = draw_collection(tmp_path / "data", 6, shapes=("disc", "square"))
    for folder in sorted(data.iterdir()):
        before = {photo.id for photo in library.photos()}
        import_folder(library, folder)
        new = [photo.id for photo in library.photos() if photo.id not in before]
        library.edit_tags(new, add=[f"a {folder.name} [x](y)"])
    (data / "disc" / "000.jpg").unlink()
    app = app.run()
    assert "12 photos with a tag that you added or confirmed." in page_text(app)
    app.button(key="train-check-confirmed").click().run()
    assert not app.exception
    wait_for_jobs(library)
    text = page_text(app.run())
    assert "1 photo skipped" in [block.label for block in app.main.expander]
    assert ">a disc [x](y)</th><td>4</td><td>1</td>" in text
    assert ">a square [x](y)</th><td>5</td><td>1</td>" in text
    assert app.main.text_input[0].value == "image_tagger" and "Start training" in button_labels(app)
    (written,) = (library.home / "collections").iterdir()
    assert len(list(written.rglob("*.jpg"))) == 11

    newest = library.search().photos[0]
    library.edit_tags([newest.id], add=["a third"], remove=[newest.tags[0].label])
    app.button(key="train-check-confirmed").click().run()
    (newer,) = (library.home / "collections").iterdir()
    assert newer != written

    # A dataset that was changed by hand is kept.
    moved = next((newer / "a disc [x](y)").glob("*.jpg"))
    moved.rename(newer / "a square [x](y)" / moved.name)
    app.button(key="train-check-confirmed").click().run()
    assert not app.exception
    assert (newer / "a square [x](y)" / moved.name).is_file()
    (third,) = set((library.home / "collections").iterdir()) - {newer}
    assert third.name == f"{newer.name}-2"
    assert f"Kept, because it was changed by hand: {newer}" in unescape(page_text(app))


def test_the_advice_about_findings_fits_the_label_format(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 12, shapes=("disc", "stripes"))
    dark = decode.encode((draw("disc", 500, 240) * 0.1).astype(np.uint8))
    (data / "disc" / "dark.png").write_bytes(dark)
    assert "Move photos with a wrong label to the right folder" in page_text(
        open_check(library, data)
    )

    paths = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.*g"))
    rows = [f"{path},{'disc' if 'disc' in path else 'stripes'}" for path in paths]
    (data / "labels.csv").write_text("\n".join(["image,label", *rows]))
    assert "Correct wrong labels in the CSV file" in page_text(open_check(library, data))

    for folder in (data / "disc", data / "stripes"):
        before = {photo.id for photo in library.photos()}
        import_folder(library, folder)
        new = [photo.id for photo in library.photos() if photo.id not in before]
        library.edit_tags(new, add=[f"a {folder.name}"])
    app = open_page("train")
    app.segmented_control(key="train-source").set_value("Confirmed tags").run()
    app.button(key="train-check-confirmed").click().run()
    wait_for_jobs(library)
    text = page_text(app.run())
    assert "Correct wrong tags in Review or the Gallery" in text and "Move photos" not in text


@pytest.mark.training
def test_a_training_is_watched_from_another_tab_stopped_early_and_its_model_is_used(
    library: Library, tmp_path: Path
) -> None:
    import_folder(library, draw_collection(tmp_path / "own", 1, shapes=("disc",), first=900))
    app = open_check(library, draw_collection(tmp_path / "data", 10))
    app.main.text_input[1].set_value("mine").run()
    app.radio(key="train-how").set_value("Thorough").run()
    app.selectbox(key="train-size").set_value(96).run()
    app.selectbox(key="train-weights").set_value("pets").run()
    app.number_input(key="train-epochs").set_value(60).run()
    app.button(key="train-start").click().run()
    assert not app.exception
    assert "Train mine" in page_text(app) and "Stop" in button_labels(app)

    second_tab = open_page("train")
    text = wait_for_text(second_tab, r"Epoch [2-9] of 60")
    assert "left" in text and "Epoch 0 is quick training" in text
    assert len(second_tab.main.get("vega_lite_chart")) == 2
    assert "1. Photos" not in text  # only one training at a time
    (button,) = (b for b in second_tab.main.button if b.label == "Stop and keep the best")
    button.click().run()
    text = wait_for_text(second_tab, "Train mine: finished")
    assert "Stopped early; the best model so far was kept." in text
    assert model_file.load(paths.MODELS / "mine.h5").labels.names == ("disc", "square", "stripes")

    text = page_text(app.run())
    assert "Train mine: finished" in text and "3 labels, 24 photos, trained in" in text
    assert re.search(r"\d of 6 right", text) and "of the validation photos" in text
    assert "Of 1 photo of your library" in text
    assert app.main.get("download_button")
    app.toggle[0].set_value(True).run()
    (frame,) = app.main.get("iframe")
    header, page = frame.proto.src.split(",")
    assert header == "data:text/html;base64"
    assert b"Training report of" in base64.b64decode(page)

    app.button(key="train-use").click().run()
    assert library.models_in_use() == ["pets", "mine"]
    assert "mine is in use" in page_text(app)
    press(app, "train-last-undo")
    assert library.models_in_use() == ["pets"]
    press(app, "train-use")
    press(app, "train-retag")
    assert "adds" in page_text(app) and not library.operations(kinds=["retag"])
    press(app, "train-confirm-retag")
    wait_for_jobs(library)
    assert library.count("model:mine") == 1

    app.button(key="train-away").click().run()
    assert "Train mine: finished" not in page_text(app).split("Earlier")[0].split("1. Photos")[0]
    app.button(key=f"train-show-{library.operations(kinds=['train'])[0].id}").click().run()
    assert "3 labels, 24 photos, trained in" in page_text(app)


def test_a_failed_training_shows_its_error(library: Library, tmp_path: Path) -> None:
    worker.run(library, submit(library, TrainRequest(str(tmp_path / "nowhere"), "mine")))
    text = page_text(open_page("train"))
    assert "Train mine: failed" in text and "nowhere: no such folder" in text


def test_a_training_stopped_before_the_first_epoch_keeps_nothing(
    library: Library, shapes: Path
) -> None:
    job_id = submit(library, TrainRequest(str(shapes), "mine"))
    library.stop(job_id)
    worker.run(library, job_id)
    assert "Stopped before there was a model to keep" in page_text(open_page("train"))
    assert not (paths.MODELS / "mine.h5").exists()


def test_the_folder_can_be_picked(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 2)
    app = use_picker(open_page("train"), [], str(data), "train-picker")
    assert app.text_input(key="train-folder").value == str(data)
    app.text_input(key="train-folder").set_value(str(tmp_path)).run()
    assert app.text_input(key="train-folder").value == str(tmp_path), "typing counts as well"
