"""Train: choose a dataset, check it, train a model on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import streamlit as st

from frontend.components import job_panel
from frontend.training import confirmed_tags, dataset_check, none_of_these, training_job
from frontend.ui.library import open_library
from frontend.ui.messages import act_on_click, forget_click, keep_click, show_error
from frontend.ui.models import list_models, models_with_backbone
from frontend.ui.text import escape_markdown, rough_duration
from tagger.inference.registry import BUNDLED, IMAGENET, OWN_MODEL, display_name
from tagger.jobs.requests import TrainRequest
from tagger.library.operations import Operation
from tagger.models.backbones import DEFAULT_BACKBONE
from tagger.paths import DATASET
from tagger.text import count_noun
from tagger.training.config import Hyperparameters

FOLDER, LIBRARY = "Folder", "Confirmed tags"
FULL, QUICK = "Thorough", "Quick"
IMAGE_SIZES = (96, 128, 160, 192, 224, 256)
IMAGE_SIZE = TrainRequest("", "").image_size
MAX_EPOCHS = 100
WEIGHTS = {"imagenet": "ImageNet (a million photos)", "none": "From scratch"}

MAX_NAME = 60  # characters
_BUILT_IN = (*BUNDLED, IMAGENET)
NameState = Literal["free", "in use", "built in"]

RECENT = timedelta(days=1)  # a training that ended since is shown by itself
MAX_EARLIER = 20  # trainings
START_KEY, REPLACE_KEY = "train-start", "train-replace"
SELECTED_KEY, DISMISSED_KEY = "train-shown", "train-put-away"  # session state


def show() -> None:
    st.title("Train a model", anchor=False)
    trainings = open_library().operations(limit=MAX_EARLIER, kinds=["train"])
    active = next((training for training in trainings if training.active), None)
    if active is not None:
        training_job.watch_training(active)
        return
    current = _current_training(trainings)
    if current is not None:
        training_job.show_result(current, _dismiss)
        st.divider()
    _show_dataset_step()
    _list_earlier([training for training in trainings if training is not current])


def _show_dataset_step() -> None:
    st.markdown(
        "Give it photos with labels, such as a folder for each. Runs on this computer in minutes."
    )
    st.subheader("1. Photos", anchor=False)
    source = st.segmented_control(
        "Train with",
        [FOLDER, LIBRARY],
        default=FOLDER,
        required=True,
        key="train-source",
        persist_state="session",
    )
    data = (
        dataset_check.choose_folder()
        if source == FOLDER
        else confirmed_tags.choose_confirmed_photos()
    )
    if data is None:
        return
    check = dataset_check.load_check(data)
    if check is None:
        return
    dataset_check.show_check(data, check, is_export=source == LIBRARY)
    if check.error is None:
        _show_model_step(data, check)


def _show_model_step(data: str, check: dataset_check.CheckResult) -> None:
    """The model's name, the options, and the button that starts the training."""
    st.subheader("2. Model", anchor=False)
    name = st.text_input(
        "Model name", value=_suggest_name(data), key=f"train-name-{data}", max_chars=MAX_NAME
    ).strip()
    state = _check_name(name)
    thorough, quick = (
        rough_duration(training_job.estimate_seconds(check.count, epochs, IMAGE_SIZE))
        for epochs in (Hyperparameters().epochs, 0)
    )
    method = st.radio(
        "Training",
        [FULL, QUICK],
        captions=[
            f"Trains the whole network: {thorough}. Best for most photos.",
            f"Trains the last layer only: {quick}. Good for a first try.",
        ],
        key="train-how",
        persist_state="session",
    )
    labels = list(check.photos.get("train", {}))
    nothing = none_of_these.choose(labels, check.count)
    request = _choose_options(data, name, is_thorough=method == FULL)
    request = replace(request, merge_case=dataset_check.merges_case(data))
    total = check.count + len(nothing)
    seconds = training_job.estimate_seconds(total, request.epochs, request.image_size)
    photos = count_noun(total, "photo")
    st.caption(
        f"{photos}, {rough_duration(seconds)} on a typical computer. You can close this page"
        " meanwhile."
    )
    _offer_start(request, nothing, state)


def _suggest_name(data: str) -> str:
    """The folder's name, or the default of `train.py`; never that of a built-in model."""
    if Path(data) == DATASET or confirmed_tags.is_confirmed_dataset(data):
        return OWN_MODEL.stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(data).name).strip("-")[:MAX_NAME]
    if name.casefold() in _BUILT_IN:
        name = f"my-{name}"
    return name or OWN_MODEL.stem


def _check_name(name: str) -> NameState:
    """Whether a model may have this name; an error below the field if not."""
    if name.casefold() in _BUILT_IN:
        show_error(f"{name} is built in. Choose another name.")
        return "built in"
    names = {model.casefold() for model in list_models()}  # some file systems ignore case
    return "in use" if name.casefold() in names else "free"


def _offer_start(request: TrainRequest, none_ids: Sequence[int], state: NameState) -> None:
    """The button that starts the training.

    Its key depends on the name: a click right after the name of a model was typed starts nothing,
    and the page says that the model would be replaced.
    """
    if state == "in use":
        st.warning(
            escape_markdown(f"A model called {request.name} exists. Training replaces it."),
            icon=":material/warning:",
        )
    key = REPLACE_KEY if state == "in use" else START_KEY
    st.button(
        "Train and replace" if state == "in use" else "Start training",
        key=key,
        type="primary",
        icon=":material/school:",
        disabled=state == "built in",
        on_click=keep_click,
        args=(key,),
    )
    for each in (START_KEY, REPLACE_KEY):
        if each != key or state == "built in":
            forget_click(each)
    act_on_click(key, training_job.start_training, request, none_ids)


def _choose_options(data: str, name: str, is_thorough: bool) -> TrainRequest:
    weights_options = list(dict.fromkeys([*WEIGHTS, *models_with_backbone(DEFAULT_BACKBONE)]))
    with st.expander("Advanced", key="train-advanced"):
        size = st.selectbox(
            "Image size, in pixels",
            IMAGE_SIZES,
            index=IMAGE_SIZES.index(IMAGE_SIZE),
            key="train-size",
            help="Larger shows finer details; twice the size takes four times as long.",
            persist_state="session",
        )
        epochs = st.number_input(
            "Epochs",
            min_value=1,
            max_value=MAX_EPOCHS,
            value=Hyperparameters().epochs,
            disabled=not is_thorough,
            key="train-epochs",
            help="Passes over all photos. Training stops early when it no longer improves.",
            persist_state="session",
        )
        if not is_thorough:
            st.caption(f"{QUICK} training needs no epochs.")
        seed = st.number_input(
            "Random seed",
            min_value=0,
            max_value=2**31 - 1,
            value=Hyperparameters().seed,
            key="train-seed",
            persist_state="session",
        )
        weights = st.selectbox(
            "Start from",
            weights_options,
            format_func=lambda option: WEIGHTS.get(option, f"Model {display_name(option)}"),
            key="train-weights",
            persist_state="session",
        )
        about = st.text_input(
            "Description", key="train-about", max_chars=500, placeholder="What the photos are"
        )
    return TrainRequest(
        data,
        name,
        epochs=int(epochs) if is_thorough else 0,
        image_size=size,
        weights=weights,
        seed=int(seed),
        about=about,
    )


def _current_training(trainings: list[Operation]) -> Operation | None:
    """The training to show: the selected one, or the newest if it is recent and not dismissed."""
    selected_id = st.session_state.get(SELECTED_KEY)
    if selected_id is not None:
        return next((training for training in trainings if training.id == selected_id), None)
    if not trainings or trainings[0].id in st.session_state.get(DISMISSED_KEY, ()):
        return None
    ended = trainings[0].finished_at
    return trainings[0] if ended is not None and datetime.now(UTC) - ended < RECENT else None


def _dismiss(training_id: int) -> None:
    st.session_state.pop(SELECTED_KEY, None)
    st.session_state[DISMISSED_KEY] = {*st.session_state.get(DISMISSED_KEY, ()), training_id}


def _select(training_id: int) -> None:
    st.session_state[SELECTED_KEY] = training_id


def _list_earlier(earlier: list[Operation]) -> None:
    if not earlier:
        return
    st.space("medium")
    with st.expander(f"Earlier trainings: {len(earlier)}", key="train-earlier"):
        for training in earlier:
            with st.container(horizontal=True, vertical_alignment="center"):
                key = f"train-show-{training.id}"
                st.button("Show", key=key, on_click=_select, args=(training.id,))
                st.text(f"{training.title}: {job_panel.describe_end(training)}")


show()
