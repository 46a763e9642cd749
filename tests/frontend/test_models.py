"""The Models page: cards, comparison, broken models."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from frontend.components import tables
from tagger import paths
from tagger.inference import model_file
from tagger.inference.model_file import GROUP
from tagger.library.library import Library
from tagger.training import run_folder
from tagger.training.trainer import TrainingResult
from tests.conftest import PETS_MODEL, draw_collection, import_folder
from tests.frontend.pages import (
    button_keys,
    grid_data,
    grid_photos,
    html_blocks,
    open_page,
    page_text,
    press,
    report_trigger,
    unescape,
    wait_for_jobs,
)
from tests.model_files import break_scale, edit_network

HOSTILE_NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
def library(project_library: Library) -> Library:
    return project_library


def rewrite_card(model: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the card in a model file, and its digest."""
    with h5py.File(model, "r+") as file:
        group = file[GROUP]
        card = json.loads(group["card"][()].tobytes())
        change(card)
        text = json.dumps(card).encode()
        del group["card"]
        group.create_dataset("card", data=np.frombuffer(text, np.uint8))
        group.attrs["card_sha256"] = hashlib.sha256(text).hexdigest()


def test_the_bundled_model_shows_its_card(library: Library) -> None:
    text = page_text(open_page("models"))
    card = model_file.load(PETS_MODEL).card
    assert card["about"] in text and card["command"] in text
    assert "Pets (in use)" in text
    assert "98.8%" in text and "accuracy on 600 validation photos" in text
    assert "0.50% of 404 unrelated photos get a false tag." in text
    assert "It finds 97.7% of cat (300 validation photos)." in text
    assert "82.4%" in text and "90.5%" in text  # the thresholds
    assert "21 Nov 2026" in text


def test_how_a_model_was_made_is_among_its_technical_details(
    library: Library, shapes_model: Path
) -> None:
    about = "Shapes (discs etc. on paper). Taught by draw.py, from checkpoints."
    rewrite_card(shapes_model, lambda card: card.update(about=about))
    app = open_page("models")
    app.selectbox(key="models-shown").set_value("shapes").run()
    assert "Shapes (discs etc. on paper)." in [text.value for text in app.text]
    (table,) = (html for html in html_blocks(app) if 'aria-label="How the model was' in html)
    assert about in table


def test_models_are_compared_and_used(library: Library, shapes_model: Path) -> None:
    app = open_page("models")
    (table,) = (html for html in html_blocks(app) if 'aria-label="Models side by side"' in html)
    assert re.findall('<th scope="col">(.*?)</th>', table) == [
        *("model", "tags", "training photos", "correct tags", "photos without a tag", "made")
    ]
    assert re.findall("<td>(.*?)</td>", table)[:5] == [
        "2",
        "3,199",
        "99.83%",
        "2.5%",
        "21 Nov 2026",
    ]
    assert "Pets (in use)" in page_text(app) and ">shapes<" in page_text(app)
    assert app.selectbox(key="models-shown").options == ["Pets", "shapes"]
    app.selectbox(key="models-shown").set_value("shapes").run()
    assert not app.exception and "Labels: disc, square, stripes" in page_text(app)
    press(app, "models-use-shapes")
    assert library.models_in_use() == ["shapes"]
    assert "shapes (in use)" in page_text(app) and "Switched to shapes" in page_text(app)
    assert app.sidebar.selectbox[0].value == "shapes"
    press(app, "models-last-undo")
    assert library.models_in_use() == ["pets"]


def test_models_are_used_together(library: Library, shapes_model: Path, tmp_path: Path) -> None:
    """Nothing goes without a word, and each step can be undone."""
    import_folder(library, draw_collection(tmp_path / "photos", 2))
    app = press(open_page("models"), "models-add-shapes")
    assert library.models_in_use() == ["pets", "shapes"]
    assert "Also in use: shapes" in [unescape(each.value) for each in app.sidebar.caption]
    assert "models-up-pets" not in button_keys(app) and "models-off-pets" in button_keys(app)
    press(app, "models-up-shapes")
    assert library.models_in_use() == ["shapes", "pets"]
    press(app, "models-retag-shapes")
    assert "Removes 0 tags, adds 6." in page_text(app)
    press(app, "models-confirm-retag")
    wait_for_jobs(library)
    assert library.count("disc OR square OR stripes") == 6
    app = open_page("models")
    assert "models-retag-shapes" not in button_keys(app)
    assert "1. **shapes** · 6 photos · 6 tags" in page_text(app)
    press(app, "models-off-shapes")
    assert "Hides 6 tags on your photos" in page_text(app)
    captions = [tile["tag"] for tile in grid_photos(app, "models-off-examples")]
    assert len(captions) == 6 and {caption[:2] for caption in captions} == {"− "}
    press(app, "models-off-cancel")
    assert library.models_in_use() == ["shapes", "pets"]
    press(press(app, "models-off-shapes"), "models-off-go")
    assert library.models_in_use() == ["pets"] and library.count("tagged") == 0
    assert "shapes · off: its tags are hidden" in page_text(app).replace("**", "")
    press(app, "models-last-undo")
    assert library.models_in_use() == ["shapes", "pets"] and library.count("tagged") == 6


def test_rows_keep_their_places_until_a_model_is_moved(
    library: Library, shapes_model: Path
) -> None:
    """No other model's button is under the pointer after a click."""
    shutil.copyfile(shapes_model, shapes_model.with_name("zebras.h5"))

    def read_rows(app: AppTest) -> list[str]:
        actions = ("add", "use", "up")
        keys = (key.split("-", 2) for key in button_keys(app) if key.startswith("models-"))
        return list(dict.fromkeys(key[2] for key in keys if key[1] in actions))

    app = open_page("models")
    before = read_rows(app)
    assert before.index("shapes") < before.index("zebras")
    press(app, "models-add-zebras")
    assert library.models_in_use() == ["pets", "zebras"] and read_rows(app) == before
    assert "In use" in page_text(app)
    assert read_rows(open_page("models"))[0] == "zebras"  # pets, the first, cannot move up
    press(app, "models-up-zebras")
    assert read_rows(app)[-1] == "shapes" or read_rows(app)[0] != before[0]


def test_tables_are_downloaded(library: Library) -> None:
    app = open_page("models")
    assert download_labels(app).count("Download table") == 3


def test_cells_of_a_downloaded_table_are_no_formulas() -> None:
    frame = tables.make_frame(["label", "=photos"], [["=cmd()", 1], ["é", None]])
    assert tables.to_csv(frame).decode() == "\ufefflabel,'=photos\n'=cmd(),1\né,\n"


def test_a_model_with_words_finds_photos_by_a_description(library: Library, worded: Path) -> None:
    shutil.copyfile(worded, paths.MODELS / "worded.h5")
    app = open_page("models")
    assert "Finds photos by description" not in page_text(app)
    app.selectbox(key="models-shown").set_value("worded").run()
    assert "Finds photos by description, with 10 words." in page_text(app)


@pytest.mark.parametrize("source", ["card", "run folder"])
def test_confusion_and_reliability_are_shown(
    library: Library, shapes_model: Path, source: str, trained: TrainingResult
) -> None:
    if source == "run folder":

        def remove_figures(card: dict[str, Any]) -> None:
            for key in ("confusion", "reliability_before", "reliability_after"):
                del card["scores"]["validation"][key]

        rewrite_card(shapes_model, remove_figures)
    library.use_model("shapes")
    app = open_page("models")
    (matrix,) = (table for table in html_blocks(app) if "it-matrix" in table)
    scores = trained.evaluation.to_dict()["validation"]
    for row in scores["confusion"]:
        for count in row:
            assert f">{count}</td>" in matrix
    (chart,) = app.main.get("vega_lite_chart")
    bins = scores["calibration"]["reliability_after"]
    assert str(bins[0]["accuracy"])[:6] in chart.proto.spec
    assert "Download report" in download_labels(app)


def test_a_run_folder_of_another_model_with_the_same_name_is_ignored(
    library: Library, shapes_model: Path
) -> None:
    (run,) = (paths.RUNS).iterdir()
    (run / run_folder.COLLECTION).write_text("other photos")
    library.use_model("shapes")
    assert "Download report" not in download_labels(open_page("models"))


def test_the_run_folder_of_a_training_with_captions_is_its_own(
    library: Library, shapes_model: Path
) -> None:
    (run,) = (paths.RUNS).iterdir()
    with open(run / run_folder.COLLECTION, "a") as note:
        note.write("digest of the captions")
    library.use_model("shapes")
    assert "Download report" in download_labels(open_page("models"))


def test_how_often_a_tag_is_right_is_shown_if_the_card_has_it(
    library: Library, shapes_model: Path
) -> None:
    library.use_model("shapes")
    assert ">tagged</th>" not in page_text(open_page("models"))
    tags = {"disc": {"predicted": 1234, "precision": 0.917}, "square": {}, "stripes": "many"}
    rewrite_card(shapes_model, lambda card: card.update(tags=tags))
    text = page_text(open_page("models"))
    assert "1,234" in text and "91.7%" in text and ">tagged</th>" in text


def test_what_typical_photos_get_is_shown_if_the_card_has_it(
    library: Library, shapes_model: Path
) -> None:
    library.use_model("shapes")
    shares = {"unfamiliar": 0.01, "uncertain": 0.02, "accuracy_of_known": 0.875}
    typical = {"photos": 1510, "tags_a_photo": 3.5, **shares}
    rewrite_card(shapes_model, lambda card: card["scores"].update(typical=typical))
    text = page_text(open_page("models"))
    assert "On the 1,510 ordinary photos among these" in text
    assert "3.5 tags a photo (median), 3.0% without a tag, 87.5% of the tags correct" in text


def write_broken_models(folder: Path) -> None:
    content = PETS_MODEL.read_bytes()
    (folder / "empty.h5").touch()
    (folder / "short.h5").write_bytes(content[: len(content) // 2])
    (folder / "text.h5").write_text("no model")
    (folder / "folder.h5").mkdir()
    with h5py.File(folder / "keras.h5", "w") as file:
        file.create_group("model_weights")
    os.symlink(folder / "gone", folder / "dangling.h5")


def test_broken_models_show_error_messages(library: Library, shapes_model: Path) -> None:
    write_broken_models(shapes_model.parent)
    app = open_page("models")
    names = {unescape(error.value).split(" cannot be used. ")[0] for error in app.main.error}
    assert names == {"empty", "short", "text", "folder", "keras", "dangling"}
    assert "Pets (in use)" in page_text(app) and ">shapes<" in page_text(app)
    assert app.selectbox(key="models-shown").options == ["Pets", "shapes"]


def test_models_that_cannot_be_used_do_not_break_the_page(
    library: Library, shapes_model: Path
) -> None:
    folder = shapes_model.parent
    for name in ("crashing", "nameless", "nan"):
        shutil.copyfile(PETS_MODEL, folder / f"{name}.h5")
    edit_network(folder / "crashing.h5", break_scale)
    rewrite_card(folder / "nameless.h5", lambda card: card.pop("backbone"))
    rewrite_card(folder / "nan.h5", lambda card: card.update(about=float("nan")))
    os.mkfifo(folder / "pipe.h5")
    app = open_page("models")
    names = {unescape(error.value).split(" cannot be used. ")[0] for error in app.main.error}
    assert names == {"crashing", "nameless", "nan", "pipe"} and not app.exception
    assert app.selectbox(key="models-shown").options == ["Pets", "shapes"]
    assert "crashing · cannot be read" in app.sidebar.selectbox[0].options
    app.sidebar.selectbox[0].set_value("crashing").run()
    assert not app.exception and library.active_model() == "pets"


@pytest.mark.parametrize(
    "change",
    [
        {"scores": "high", "weakest": 7, "created": None, "versions": [], "about": HOSTILE_NAME},
        {"scores": {"validation": {"photos": "many", "accuracy": True, "confusion": 5}}},
        {"scores": {"validation": {"confusion": {"a": 1}, "reliability_after": [[], {}]}}},
        {"scores": {"validation": {"confusion": {"a": {"b": "x"}}, "f1": []}, "unknown": []}},
        {"trained_on": None, "precision": 3, "fine_tuning": {"epochs": "x"}, "settings": []},
        {
            "trained_on": {"photos": {"train": [], "val": {"cat": "x"}}},
            "weakest": [HOSTILE_NAME, 3],
        },
        {"scores": {"validation": {"map": 0.5}}},
        {"scores": {"validation": {"map": [], "by_label": 3, "ap": "high"}}},
        {"scores": {"validation": {"map": 0.5, "ap": [1], "photos": 1e300}}},
        {"name": None, "words": None, "tags": {"disc": 3}, "command": 5, "started_from": {}},
    ],
)
def test_an_unusual_card_is_shown(
    library: Library, shapes_model: Path, change: dict[str, Any]
) -> None:
    rewrite_card(shapes_model, lambda card: card.update(change))
    library.use_model("shapes")
    app = open_page("models")
    assert not app.exception and "shapes (in use)" in page_text(app)
    assert "<img" not in "".join(html_blocks(app))


def test_an_active_model_outside_the_folder_is_listed(
    library: Library, trained: TrainingResult
) -> None:
    library.use_model(str(trained.model))
    app = open_page("models")
    assert "shapes (in use)" in page_text(app)
    assert "shapes" in app.selectbox(key="models-shown").options


def test_an_unfinished_model_file_is_not_listed(library: Library) -> None:
    (paths.MODELS / ".mine.unfinished.h5").write_bytes(b"half")
    assert not open_page("models").main.error


def download_labels(app: AppTest) -> list[str]:
    return [button.proto.label for button in app.main.get("download_button")]


def test_imagenet_is_listed_once(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path))
    app = open_page("models")
    assert page_text(app).count("ImageNet") == 1
    assert "1,000 kinds of animals, plants and things; may download 14 MB" in page_text(app)
    assert "models-add-imagenet" in button_keys(app)
    assert "ImageNet · 1,000 labels, built when first used" in app.sidebar.selectbox[0].options
    assert app.selectbox(key="models-shown").options == ["Pets"]
    shutil.copyfile(PETS_MODEL, tmp_path / "imagenet.h5")
    app = open_page("models")
    assert "may download" not in page_text(app)
    assert app.selectbox(key="models-shown").options == ["ImageNet", "Pets"]
    assert "ImageNet · 2 labels" in app.sidebar.selectbox[0].options


def test_a_multi_label_model_has_a_heatmap_for_each_label(
    library: Library, shapes_model: Path
) -> None:
    rewrite_card(shapes_model, lambda card: card.update(kind="multi"))
    library.use_model("shapes")
    app = open_page("tag")
    app.button(key="tag-try-coffee.png").click().run()
    chips = grid_data(app, "tag-chips")
    labels = [chip["label"] for chip in (*chips["tags"], *chips["weaker"])]
    assert set(labels) == {"disc", "square", "stripes"}
    for number, label in enumerate(labels, 1):
        action = {"kind": "explain", "label": label, "number": number}
        report_trigger(app, "tag-chips", "actions", {"token": "a", "actions": [action]})
        assert not app.main.error and grid_data(app, "tag-chips")["explained"] == label
        assert "Bright areas counted most." in page_text(app)
