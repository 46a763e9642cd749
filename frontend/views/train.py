"""Train: choose photos, see what is wrong with them, and watch a tagger learn from them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import streamlit as st

from frontend.components import job_panel
from frontend.training import confirmed_tags, dataset_check, training_job
from frontend.ui.library import open_library
from frontend.ui.messages import show_errors
from frontend.ui.models import list_models, models_with_backbone
from frontend.ui.text import escape_markdown, rough_duration
from tagger.inference.registry import BUNDLED, IMAGENET, OWN_MODEL
from tagger.jobs.requests import TrainRequest
from tagger.library.operations import Operation
from tagger.models.backbones import DEFAULT_BACKBONE
from tagger.paths import DATASET
from tagger.text import count_noun
from tagger.training.config import Hyperparameters

FOLDER, LIBRARY = "A folder of photos", "What I confirmed in my library"
FULL, QUICK = "Thorough", "Quick"
IMAGE_SIZES = (96, 128, 160, 192, 224, 256)
IMAGE_SIZE = TrainRequest("", "").image_size
MAX_EPOCHS = 100
STARTS = {"imagenet": "ImageNet: a million photos of everything", "none": "Nothing at all"}

FRESH = timedelta(days=1)  # for so long a training that ended is shown without being asked for
EARLIER_SHOWN = 20


def show() -> None:
    """The whole page."""
    st.title("Teach a tagger", anchor=False)
    latest = open_library().operations(limit=EARLIER_SHOWN, kinds=["train"])
    active = next((run for run in latest if run.active), None)
    if active is not None:
        training_job.watch(active)
        return
    shown = _run_to_show(latest)
    if shown is not None:
        training_job.show_result(shown, _put_away)
        st.divider()
    _prepare()
    _list_earlier([run for run in latest if shown is None or run.id != shown.id])


# What to train on


def _prepare() -> None:
    st.markdown(
        "Show it photos, one folder for each label or with a file of labels, and it learns to tell"
        " them apart: on this machine, in minutes. Start with the photos."
    )
    st.subheader("1. The photos", anchor=False)
    source = st.segmented_control(
        "Which photos?",
        [FOLDER, LIBRARY],
        default=FOLDER,
        required=True,
        key="train-source",
        persist_state="session",
    )
    data = dataset_check.choose_folder() if source == FOLDER else confirmed_tags.choose()
    if data is None:
        return
    checked = dataset_check.checked(data)
    if checked is None:
        return
    dataset_check.show_check(data, checked, ours=source == LIBRARY)
    if checked.error is None:
        _order(data, checked)


# How to train


def _order(data: str, checked: dataset_check.Checked) -> None:
    """Name the model, say how thoroughly, begin."""
    st.subheader("2. The model", anchor=False)
    name = st.text_input(
        "Name of the model", value=_suggested(data), key=f"train-name-{data}", max_chars=60
    ).strip()
    replaces = _warn_of_replacing(name)
    thorough, quick = (
        rough_duration(training_job.estimate(checked.count, epochs, IMAGE_SIZE))
        for epochs in (Hyperparameters().epochs, 0)
    )
    how = st.radio(
        "How thoroughly?",
        [FULL, QUICK],
        captions=[
            f"Adapts the whole network to your photos: {thorough}. Best for most.",
            f"Learns only how to tell your labels apart: {quick}. Good for a first try.",
        ],
        key="train-how",
        persist_state="session",
    )
    request = _advanced(data, name, how == FULL)
    seconds = training_job.estimate(checked.count, request.epochs, request.image_size)
    learned = count_noun(checked.count, "photo")
    st.caption(
        f"{learned}: it will take {rough_duration(seconds)}, more or less as this machine is"
        " fast and has other work. You may close the page meanwhile."
    )
    if st.button(
        "Train it, and replace the old one" if replaces else "Start training",
        key="train-start",
        type="primary",
        icon=":material/school:",
    ):
        with show_errors():
            job_panel.start_job(request)
            st.rerun()


def _suggested(data: str) -> str:
    """A name for the model: the folder's, or the one that `train.py` gives."""
    if Path(data) == DATASET or confirmed_tags.is_one(data):
        return OWN_MODEL.stem
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(data).name).strip("-")[:60] or OWN_MODEL.stem


def _warn_of_replacing(name: str) -> bool:
    """Whether a model of that name is there already."""
    same = {known.casefold() for known in list_models()}  # as some file systems compare them
    if name.casefold() in (*BUNDLED, IMAGENET):
        st.error(
            escape_markdown(f"{name} comes with Image Tagger and stays: give yours another name."),
            icon=":material/error:",
        )
        return False
    if name.casefold() in same:
        st.warning(
            escape_markdown(f"There is a model called {name}. Training will replace it."),
            icon=":material/warning:",
        )
        return True
    return False


def _advanced(data: str, name: str, thorough: bool) -> TrainRequest:
    starts = list(dict.fromkeys([*STARTS, *models_with_backbone(DEFAULT_BACKBONE)]))
    with st.expander("More choices"):
        size = st.selectbox(
            "Size of the photos it sees, in pixels",
            IMAGE_SIZES,
            index=IMAGE_SIZES.index(IMAGE_SIZE),
            key="train-size",
            help="Larger sees finer details and takes longer: twice the side, four times the time.",
            persist_state="session",
        )
        epochs = st.number_input(
            "Epochs: how often it goes through all photos",
            min_value=1,
            max_value=MAX_EPOCHS,
            value=Hyperparameters().epochs,
            disabled=not thorough,
            key="train-epochs",
            help="It stops by itself when it gets no better, and keeps the best.",
            persist_state="session",
        )
        seed = st.number_input(
            "Seed: equal seeds make equal models",
            min_value=0,
            max_value=2**31 - 1,
            value=Hyperparameters().seed,
            key="train-seed",
            persist_state="session",
        )
        weights = st.selectbox(
            "What it knows at the start",
            starts,
            format_func=lambda start: STARTS.get(start, f"The model {start}"),
            key="train-weights",
            persist_state="session",
        )
        told = st.text_input(
            "A sentence for the model's card: what the photos are", key="train-about", max_chars=500
        )
    return TrainRequest(data, name, int(epochs) if thorough else 0, size, weights, int(seed), told)


# What came of it


def _run_to_show(latest: list[Operation]) -> Operation | None:
    """The training asked for, or the newest if it ended lately and was not put away."""
    chosen = st.session_state.get("train-shown")
    if chosen is not None:
        return next((run for run in latest if run.id == chosen), None)
    if not latest or latest[0].id in st.session_state.get("train-put-away", ()):
        return None
    ended = latest[0].finished_at
    return latest[0] if ended is not None and datetime.now(UTC) - ended < FRESH else None


def _put_away(run_id: int) -> None:
    st.session_state.pop("train-shown", None)
    st.session_state["train-put-away"] = {*st.session_state.get("train-put-away", ()), run_id}


def _list_earlier(earlier: list[Operation]) -> None:
    if not earlier:
        return
    st.space("medium")
    with st.expander(f"Earlier trainings: {len(earlier)}"):
        for run in earlier:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    "Show",
                    key=f"train-show-{run.id}",
                    on_click=lambda chosen=run.id: st.session_state.update({"train-shown": chosen}),
                )
                st.text(f"{run.title}: {job_panel.describe_end(run)}")


show()
