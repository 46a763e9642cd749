"""The pages Train and Models, as a visitor sees them, in a project of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from frontend.training import training_job
from tagger import paths
from tagger.images import decode
from tagger.inference import model_file, registry
from tagger.inference.model_file import GROUP
from tagger.jobs import worker
from tagger.jobs.requests import ImportUploadsRequest, TrainRequest, submit
from tagger.library.library import Library
from tagger.paths import ROOT
from tagger.training import run_folder
from tagger.training.report import html
from tagger.training.trainer import TrainingResult
from tests.conftest import PETS_MODEL, draw, draw_collection, import_folder

APP = ROOT / "frontend" / "app.py"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """An empty library, in a project with the models "pets" and, where asked for, others.

    Jobs run the copy's `tagger`, so what they train stays in it.
    """
    shutil.copytree(ROOT / "tagger", tmp_path / "tagger", ignore=lambda *_: ["__pycache__"])
    for folder in ("model", "runs", "dataset"):
        (tmp_path / folder).mkdir()
    for ending in (".h5", ".json"):
        shutil.copy(PETS_MODEL.with_suffix(ending), tmp_path / "model")
    monkeypatch.syspath_prepend(APP.parent)
    monkeypatch.setattr(paths, "MODELS", tmp_path / "model")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "DATASET", tmp_path / "dataset")
    monkeypatch.setattr(registry, "OWN_MODEL", tmp_path / "model" / "image_tagger.h5")
    monkeypatch.setattr(registry, "BUNDLED_MODEL", tmp_path / "model" / "pets.h5")
    monkeypatch.setattr(worker, "ROOT", tmp_path)
    monkeypatch.setenv("TAGGER_HOME", str(tmp_path / "library"))
    monkeypatch.delenv("TAGGER_DATABASE", raising=False)
    opened = Library.open()
    yield opened
    for run in opened.operations(active=True):
        opened.stop(run.id)
    settle(opened)
    opened.close()
    st.cache_resource.clear()


@pytest.fixture
def taught(library: Library, trained: TrainingResult, tmp_path: Path) -> Path:
    """The model "shapes", with the run that made it."""
    run = tmp_path / "runs" / trained.run_folder.name
    shutil.copytree(trained.run_folder, run)
    html.write(run)
    for ending in (".h5", ".json"):
        shutil.copy(trained.model.with_suffix(ending), tmp_path / "model")
    return tmp_path / "model" / "shapes.h5"


def open_page(view: str) -> AppTest:
    """A new visitor on a page."""
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.switch_page(f"views/{view}.py").run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    """Everything a page says, but for the labels of its widgets; a person's Markdown as text."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "text", "code")
    kinds += ("error", "warning", "info")
    texts = [element.value for kind in kinds for element in app.main.get(kind)]
    texts += [element.proto.text for element in app.main.get("progress")]
    return "\n".join([*(plainly(text) for text in texts), *tables(app)])


def plainly(text: str) -> str:
    return text.replace("\\", "").replace("\u2060", "")


def tables(app: AppTest) -> list[str]:
    return [element.proto.body for element in app.main.get("html")]


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.main.button]


def settle(library: Library, seconds: float = 240) -> None:
    """Until every job is over."""
    until = time.monotonic() + seconds
    while library.operations(active=True):
        assert time.monotonic() < until, "the job does not end"
        time.sleep(0.1)


def watched(app: AppTest, seen: Callable[[str], bool], seconds: float = 240) -> str:
    """What the page says as soon as it says something, looking again and again."""
    until = time.monotonic() + seconds
    while not seen(text := said(app.run())):
        assert not app.exception
        assert time.monotonic() < until, text
        time.sleep(0.2)
    return text


def checked(library: Library, folder: Path) -> AppTest:
    """The Train page with the check of a folder on it."""
    app = open_page("train")
    app.text_input(key="train-folder").set_value(str(folder)).run()
    app.button(key="train-check").click().run()
    assert not app.exception
    settle(library)
    return app.run()


def rewrite(model: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Another card in a model file, with the digest it needs."""
    with h5py.File(model, "r+") as file:
        group = file[GROUP]
        card = json.loads(group["card"][()].tobytes())
        change(card)
        text = json.dumps(card).encode()
        del group["card"]
        group.create_dataset("card", data=np.frombuffer(text, np.uint8))
        group.attrs["card_sha256"] = hashlib.sha256(text).hexdigest()


# Before training


def test_without_photos_it_says_what_to_do(library: Library, tmp_path: Path) -> None:
    app = checked(library, tmp_path / "dataset")
    assert "found 0 photos in 0 folders" in said(app)
    assert "Each label needs at least 5 different photos, in a folder" in said(app)
    assert "Start training" not in labels(app)
    app.text_input(key="train-folder").set_value("  ").run()
    assert "Give the folder that holds your labelled photos." in said(app)
    gone = checked(library, tmp_path / "gone")
    assert "gone: no such folder" in said(gone)


def test_what_is_wrong_with_the_photos_is_shown_before_training(
    library: Library, tmp_path: Path
) -> None:
    data = draw_collection(tmp_path / "data", 10, shapes=("disc", "square"))
    (data / "disc").rename(data / HOSTILE)
    (data / "square" / "*broken*.jpg").write_bytes(b"no photo")
    shutil.copy(data / "square" / "000.jpg", data / "square" / "copy.jpg")
    app = checked(library, data)
    text = said(app)
    assert "1 photo could not be read: left out." in text
    assert "1 photo is an exact copy of another photo: left out." in text
    assert "so few photos to check with, the figures prove little" in text
    counts, files = (table for table in tables(app) if "<table" in table)
    assert "<td>8</td><td>2</td>" in counts and "<td>16</td><td>4</td>" in counts
    assert "&lt;img src=x onerror=alert(1)&gt;" in counts and "<img" not in "".join(tables(app))
    assert "square/*broken*.jpg" in files and "not a JPEG" in files
    assert "Start training" in labels(app)


def test_photos_that_are_doubted_are_shown(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 24, shapes=("disc", "stripes"))
    moved = data / "stripes" / HOSTILE.replace("/", "")
    shutil.move(data / "disc" / "005.jpg", moved.with_name(f"{moved.name}.jpg"))
    app = checked(library, data)
    assert "Have a look at these before you train." in said(app)
    assert "1 label is probably wrong" in [plainly(b.label) for b in app.main.expander]
    shown = next(table for table in tables(app) if "labelled stripes, looks like disc" in table)
    assert "data:image/jpeg;base64," in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown and "<img src=x" not in shown
    moved.with_name(f"{moved.name}.jpg").unlink()
    assert "Cannot be shown: it may have been moved." in said(app.run())
    assert "Start training" in labels(app)


def test_a_check_is_remembered_for_its_folder(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 6)
    checked(library, data)
    app = open_page("train")
    assert "Nothing is trained yet" in said(app)
    app.text_input(key="train-folder").set_value(str(data)).run()
    assert "Checked: finished" in said(app) and "Start training" in labels(app)


def test_labels_in_a_file_are_checked_as_folders_are(library: Library, tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 8, shapes=("disc", "square"))
    paths = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.jpg"))
    rows = [f"{place},{'round|drawn' if 'disc' in place else 'drawn'}" for place in paths]
    rows += ["../gone.jpg,drawn", "gone.jpg,drawn"]
    (data / "labels.csv").write_text("\n".join(["image,tags", *rows]))
    app = checked(library, data)
    assert "Labels: CSV, 2 tags." in said(app)
    assert "1 row names a photo outside the collection: left out." in said(app)
    assert "1 row names a photo that is not there: left out." in said(app)
    assert "Start training" in labels(app)


def test_too_few_photos_cannot_be_trained_on(library: Library, tmp_path: Path) -> None:
    app = checked(library, draw_collection(tmp_path / "data", 3))
    assert "too few readable photos of disc, square, stripes" in said(app)
    assert "Start training" not in labels(app)


def test_a_name_that_cannot_be_is_refused(library: Library, taught: Path, shapes: Path) -> None:
    app = checked(library, shapes)
    name = app.main.text_input[1]
    for refused in ("../../x", "a b", "<b>", "", "é"):
        name.set_value(refused).run()
        app.button(key="train-start").click().run()
        assert "a model's name is" in said(app)
    name.set_value("Pets").run()
    assert "Pets comes with Image Tagger and stays" in said(app)
    name.set_value("shapes").run()
    assert "There is a model called shapes. Training will replace it." in said(app)
    assert "Train it, and replace the old one" in labels(app)
    assert not library.operations(kinds=["train"])


def test_the_time_it_takes_is_told(library: Library, shapes: Path) -> None:
    app = checked(library, shapes)
    assert "about half a minute" in app.radio(key="train-how").proto.captions[0]
    assert training_job.estimate_seconds(3_800, 8, 192) > 2 * training_job.estimate_seconds(3_800, 0, 192)
    assert training_job.estimate_seconds(1_000, 8, 96) < training_job.estimate_seconds(1_000, 8, 192)


def test_confirmed_tags_are_a_collection_to_train_on(library: Library, tmp_path: Path) -> None:
    app = open_page("train")
    app.segmented_control(key="train-source").set_value("What I confirmed in my library").run()
    assert "You have not confirmed or added a tag yet." in said(app)

    data = draw_collection(tmp_path / "data", 6, shapes=("disc", "square"))
    for folder in sorted(data.iterdir()):
        before = {photo.id for photo in library.photos()}
        import_folder(library, folder)
        new = [photo.id for photo in library.photos() if photo.id not in before]
        library.edit_tags(new, add=[f"a {folder.name} [x](y)"])
    (data / "disc" / "000.jpg").unlink()
    app = app.run()
    assert "12 photos with a tag that you added or confirmed." in said(app)
    app.button(key="train-check-confirmed").click().run()
    assert not app.exception
    settle(library)
    text = said(app.run())
    assert "1 photo left out" in [block.label for block in app.main.expander]
    assert ">a disc [x](y)</th><td>4</td><td>1</td>" in text
    assert ">a square [x](y)</th><td>5</td><td>1</td>" in text
    assert app.main.text_input[0].value == "image_tagger" and "Start training" in labels(app)
    (written,) = (library.home / "collections").iterdir()
    assert len(list(written.rglob("*.jpg"))) == 11

    newest = library.search().photos[0]
    library.edit_tags([newest.id], add=["a third"], remove=[newest.tags[0].label])
    app.button(key="train-check-confirmed").click().run()
    (newer,) = (library.home / "collections").iterdir()
    assert newer != written

    # Whatever somebody did in the folder outlives the next check.
    mended = next((newer / "a disc [x](y)").glob("*.jpg"))
    mended.rename(newer / "a square [x](y)" / mended.name)
    app.button(key="train-check-confirmed").click().run()
    assert not app.exception
    assert (newer / "a square [x](y)" / mended.name).is_file()
    (newest_of_all,) = set((library.home / "collections").iterdir()) - {newer}
    assert newest_of_all.name == f"{newer.name}-2"
    assert f"it was not removed: {newer}" in plainly(said(app))


def test_what_to_do_about_a_doubt_suits_where_the_labels_are(
    library: Library, tmp_path: Path
) -> None:
    data = draw_collection(tmp_path / "data", 12, shapes=("disc", "stripes"))
    dark = decode.encode((draw("disc", 500, 240) * 0.1).astype(np.uint8))
    (data / "disc" / "dark.png").write_bytes(dark)
    assert "Move a photo with a wrong label into the right folder" in said(checked(library, data))

    paths = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.*g"))
    rows = [f"{place},{'disc' if 'disc' in place else 'stripes'}" for place in paths]
    (data / "labels.csv").write_text("\n".join(["image,label", *rows]))
    assert "Change the row of a photo with a wrong label" in said(checked(library, data))

    for folder in (data / "disc", data / "stripes"):
        before = {photo.id for photo in library.photos()}
        import_folder(library, folder)
        new = [photo.id for photo in library.photos() if photo.id not in before]
        library.edit_tags(new, add=[f"a {folder.name}"])
    app = open_page("train")
    app.segmented_control(key="train-source").set_value("What I confirmed in my library").run()
    app.button(key="train-check-confirmed").click().run()
    settle(library)
    told = said(app.run())
    assert "Correct a wrong tag in Review or in the Gallery" in told and "Move a photo" not in told


# Training


@pytest.fixture
def ordered(library: Library, shapes: Path) -> Callable[[bool], AppTest]:
    """Begins a training from the page: the smallest, or a thorough one that lasts a while."""

    def order(thorough: bool) -> AppTest:
        app = checked(library, shapes)
        app.main.text_input[1].set_value("mine").run()
        app.radio(key="train-how").set_value("Thorough" if thorough else "Quick").run()
        app.selectbox(key="train-size").set_value(128 if thorough else 96).run()
        app.selectbox(key="train-weights").set_value("pets").run()
        if thorough:
            app.number_input(key="train-epochs").set_value(60).run()
        app.button(key="train-start").click().run()
        assert not app.exception
        return app

    return order


def test_from_photos_to_a_model_that_tags(
    library: Library, ordered: Callable[[bool], AppTest], tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(decode.encode(draw("disc", 900)))
    with open(photo, "rb") as file:
        worker.run(library, submit(library, ImportUploadsRequest([("photo.png", file)], "pets")))
    app = ordered(False)
    assert "Train mine" in said(app) and "Stop" in labels(app)
    text = watched(app, lambda text: "Train mine: finished" in text)
    assert "Train mine: finished" in text and "It learned 3 labels from 96 photos" in text
    assert "of 24 photos kept aside to check with get the right label" in text
    assert app.main.get("download_button")
    app.toggle[0].set_value(True).run()
    (frame,) = app.main.get("iframe")
    kind, page = frame.proto.src.split(",")
    assert kind == "data:text/html;base64"
    assert b"Training report of" in base64.b64decode(page)

    app.button(key="train-use").click().run()
    assert library.active_model() == "mine"
    assert "mine is the model that tags your photos now." in said(app)
    app.button(key="train-retag").click().run()
    assert not app.exception
    settle(library)
    assert library.search().photos[0].model == "mine"

    app.button(key="train-away").click().run()
    assert "Train mine: finished" not in said(app).split("Earlier")[0].split("1. The photos")[0]
    app.button(key=f"train-show-{library.operations(kinds=['train'])[0].id}").click().run()
    assert "It learned 3 labels" in said(app)


def test_it_is_watched_from_another_tab_and_stopped_with_what_it_has(
    library: Library, ordered: Callable[[bool], AppTest]
) -> None:
    ordered(True)
    later = open_page("train")  # the first tab is closed
    text = watched(later, lambda text: bool(re.search(r"Epoch [2-9] of 60", text)))
    assert "left" in text and "Epoch 0 is the quick version" in text
    assert len(later.main.get("vega_lite_chart")) == 2
    assert "1. The photos" not in text  # one at a time
    (button,) = (b for b in later.main.button if b.label == "Stop and keep the best so far")
    button.click().run()
    text = watched(later, lambda text: "Train mine: finished" in text)
    assert "It was stopped early; the best so far was kept." in text
    assert model_file.load(paths.MODELS / "mine.h5").labels.names == ("disc", "square", "stripes")


def test_a_training_that_fails_is_told(library: Library, tmp_path: Path) -> None:
    worker.run(library, submit(library, TrainRequest(str(tmp_path / "nowhere"), "mine")))
    text = said(open_page("train"))
    assert "Train mine: failed" in text and "nowhere: no such folder" in text


def test_a_training_stopped_before_it_learned_anything(library: Library, shapes: Path) -> None:
    run_id = submit(library, TrainRequest(str(shapes), "mine"))
    library.stop(run_id)
    worker.run(library, run_id)
    assert "stopped before there was anything to keep" in said(open_page("train"))
    assert not (paths.MODELS / "mine.h5").exists()


# Models


def test_the_bundled_model_shows_its_card(library: Library) -> None:
    text = said(open_page("models"))
    card = model_file.load(PETS_MODEL).card
    assert card["about"] in text and card["command"] in text
    assert "pets (tags now)" in text and "It tags your photos now." in text
    assert "98.8%" in text and "of 600 photos kept aside" in text
    assert "Of 404 photos of other things, 0.50% are taken for one of its labels." in text
    assert "It finds 97.7% of cat (300 validation photos)." in text
    assert "82.4%" in text and "90.5%" in text  # the thresholds
    assert "21 Nov 2026" in text


def test_models_stand_side_by_side_and_are_switched(library: Library, taught: Path) -> None:
    app = open_page("models")
    assert "pets (tags now)" in said(app) and ">shapes<" in said(app)
    assert app.selectbox(key="models-shown").options == ["pets", "shapes"]
    app.selectbox(key="models-shown").set_value("shapes").run()
    assert not app.exception and "Labels: disc, square, stripes" in said(app)
    app.button(key="models-use-shapes").click().run()
    assert library.active_model() == "shapes"
    assert "shapes (tags now)" in said(app)
    assert app.sidebar.selectbox[0].value == "shapes"


@pytest.mark.parametrize("told_by", ["its card", "the run that made it"])
def test_confusion_and_reliability_are_shown(
    library: Library, taught: Path, told_by: str, trained: TrainingResult
) -> None:
    if told_by != "its card":

        def forget(card: dict[str, Any]) -> None:
            for key in ("confusion", "reliability_before", "reliability_after"):
                del card["scores"]["validation"][key]

        rewrite(taught, forget)
    library.set_active_model("shapes")
    app = open_page("models")
    (matrix,) = (table for table in tables(app) if "it-matrix" in table)
    scores = trained.evaluation.to_dict()["validation"]
    for row in scores["confusion"]:
        for count in row:
            assert f">{count}</td>" in matrix
    (chart,) = app.main.get("vega_lite_chart")
    bins = scores["calibration"]["reliability_after"]
    assert str(bins[0]["accuracy"])[:6] in chart.proto.spec
    assert app.main.get("download_button")  # the report of the run


def test_a_run_of_another_model_of_that_name_is_not_taken_for_its_own(
    library: Library, taught: Path
) -> None:
    (run,) = (paths.RUNS).iterdir()
    (run / run_folder.COLLECTION).write_text("other photos")
    library.set_active_model("shapes")
    assert not open_page("models").main.get("download_button")


def broken_models(folder: Path) -> None:
    whole = PETS_MODEL.read_bytes()
    (folder / "empty.h5").touch()
    (folder / "short.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "text.h5").write_text("no model")
    (folder / "folder.h5").mkdir()
    with h5py.File(folder / "keras.h5", "w") as file:
        file.create_group("model_weights")
    os.symlink(folder / "gone", folder / "dangling.h5")


def test_a_broken_model_is_a_sentence_and_the_page_goes_on(library: Library, taught: Path) -> None:
    broken_models(taught.parent)
    app = open_page("models")
    told = {plainly(error.value).split(" cannot be used. ")[0] for error in app.main.error}
    assert told == {"empty", "short", "text", "folder", "keras", "dangling"}
    assert "pets (tags now)" in said(app) and ">shapes<" in said(app)
    assert app.selectbox(key="models-shown").options == ["pets", "shapes"]


@pytest.mark.parametrize(
    "change",
    [
        {"scores": "high", "weakest": 7, "created": None, "versions": [], "about": HOSTILE},
        {"scores": {"validation": {"photos": "many", "accuracy": True, "confusion": 5}}},
        {"scores": {"validation": {"confusion": {"a": 1}, "reliability_after": [[], {}]}}},
        {"scores": {"validation": {"confusion": {"a": {"b": "x"}}, "f1": []}, "unknown": []}},
        {"trained_on": None, "precision": 3, "fine_tuning": {"epochs": "x"}, "settings": []},
        {"trained_on": {"photos": {"train": [], "val": {"cat": "x"}}}, "weakest": [HOSTILE, 3]},
    ],
)
def test_a_card_of_any_kind_is_shown(
    library: Library, taught: Path, change: dict[str, Any]
) -> None:
    rewrite(taught, lambda card: card.update(change))
    library.set_active_model("shapes")
    app = open_page("models")
    assert not app.exception and "shapes (tags now)" in said(app)
    assert "<img" not in "".join(tables(app))


def test_a_model_from_elsewhere_is_listed_while_it_tags(
    library: Library, trained: TrainingResult
) -> None:
    library.set_active_model(str(trained.model))
    app = open_page("models")
    assert "shapes (tags now)" in said(app)
    assert "shapes" in app.selectbox(key="models-shown").options


def test_a_model_half_written_is_no_model_yet(library: Library) -> None:
    (paths.MODELS / ".mine.unfinished.h5").write_bytes(b"half")
    assert not open_page("models").main.error


def test_imagenet_is_offered_until_it_has_been_made(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path))
    app = open_page("models")
    assert "There is also imagenet" in said(app)
    assert app.button(key="models-imagenet").label == "Make the model imagenet"
    assert "imagenet · 1,000 labels, made at its first use" in app.sidebar.selectbox[0].options
    assert app.selectbox(key="models-shown").options == ["pets"]
    shutil.copyfile(PETS_MODEL, tmp_path / "imagenet.h5")
    app = open_page("models")
    assert "There is also imagenet" not in said(app)
    assert app.selectbox(key="models-shown").options == ["imagenet", "pets"]
    assert "imagenet · 2 labels" in app.sidebar.selectbox[0].options


def test_of_several_labels_each_has_its_heatmap(library: Library, taught: Path) -> None:
    rewrite(taught, lambda card: card.update(kind="multi"))
    library.set_active_model("shapes")
    app = open_page("tag")
    app.button(key="tag-try-coffee.png").click().run()
    app.toggle(key="tag-heatmap").set_value(True).run()
    choice = app.selectbox(key="tag-heatmap-label")
    assert set(choice.options) == {"disc", "square", "stripes"} and not app.exception
    other = choice.options[-1]
    choice.set_value(other).run()
    assert not app.exception and not app.main.error
    assert app.selectbox(key="tag-heatmap-label").value == other
    assert "The brighter, the more it counted." in said(app)
