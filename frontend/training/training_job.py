"""A training job: live progress and curves, then its result and the new model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components import charts, job_panel, retag_dialog, undo_line
from frontend.components.html_blocks import show_list, show_tiles
from frontend.training import evaluation, none_of_these, try_out
from frontend.ui.library import open_library, start_embedding
from frontend.ui.messages import act_on_click, catch_errors, keep_click, run_action, show_error
from frontend.ui.models import load_tagger
from frontend.ui.text import escape_markdown, rough_duration, time_left
from frontend.ui.uninterrupted import draw_page
from tagger.datasets.dataset import too_few_to_check
from tagger.jobs.requests import TrainRequest
from tagger.library.operations import Operation
from tagger.text import count_noun, percent, score
from tagger.training import run_folder

# Measured on two cores at 192 pixels.
START_SECONDS = 20
SECONDS_A_PHOTO = 0.01
SECONDS_A_PHOTO_AND_EPOCH = 0.0175

PAGE = "train"

History = list[dict[str, float]]


def estimate_seconds(photos: int, epochs: int, image_size: int) -> float:
    """A rough estimate of a training's duration."""
    scale = (image_size / 192) ** 2
    return START_SECONDS + photos * scale * (SECONDS_A_PHOTO + epochs * SECONDS_A_PHOTO_AND_EPOCH)


def watch_training(job: Operation) -> None:
    """Progress, curves and a stop; the whole page is drawn again when the job ends."""
    with st.container(border=True, key="train-live"):
        st.fragment(_draw_progress, run_every=job_panel.REFRESH_SECONDS)(job.id)
    st.caption("Continues if you close this page. Only one training runs at a time.")


def _draw_progress(job_id: int) -> None:
    with catch_errors():
        job = open_library().operation(job_id)
        if not job.active:
            draw_page()
        st.markdown(f"**{escape_markdown(job.title)}**")
        history = _read_history(job)
        share, words = _describe_progress(job, history)
        st.progress(share, text=escape_markdown(words))
        if job.stop_asked:
            st.caption("Stopping: keeping the best so far …")
        else:
            st.button(
                "Stop and keep the best" if history else "Stop",
                key=f"train-stop-{job.id}",
                icon=job_panel.STOP_ICON,
                on_click=run_action,
                args=(job_panel.stop_job, job.id),
            )
        if history:
            epochs = TrainRequest.from_options(job.options).epochs
            charts.show_curves(history, epochs, "train-live")
            st.caption(f"Epoch 0 is quick training. {_describe_accuracy(history[-1])}")


def _describe_accuracy(row: Mapping[str, float]) -> str:
    if charts.is_multi_label(row):
        return f"How well tags are ranked on validation photos: {score(row['val_map'])} of 1."
    return f"Accuracy on validation photos: {percent(row['val_accuracy'])}."


def _read_history(job: Operation) -> History:
    """The figures of the epochs so far."""
    folder = TrainRequest.from_options(job.options).folder
    return run_folder.read_history(Path(folder) / run_folder.HISTORY) if folder else []


def _describe_progress(job: Operation, history: History) -> tuple[float, str]:
    """Progress in [0, 1] and in words: of the whole fine-tuning, or of the stage before it."""
    request = TrainRequest.from_options(job.options)
    if not history or request.epoch is None:
        return job.progress or 0.0, job.stage or _describe_start(job)
    epochs = request.epochs
    done = request.epoch - 1 + (job.progress or 0.0)
    durations = [row["seconds"] for row in history if row["epoch"] > 0]
    if later := durations[1:] or durations:  # the first one includes the warm-up
        seconds: float | None = sum(later) / len(later) * (epochs - done)
    else:
        seconds = _extrapolate(job, epochs)
    left = "" if seconds is None else f" · {time_left(seconds)}"
    return done / epochs, f"Epoch {min(epochs, int(done) + 1)} of {epochs}{left}"


def _describe_start(job: Operation) -> str:
    """What a training without a stage does: it starts, or other jobs are in progress before it."""
    earlier = [other for other in open_library().operations(active=True) if other.id < job.id]
    return "Waiting for another job" if job.status == "queued" and earlier else "Starting"


def _extrapolate(job: Operation, epochs: int) -> float | None:
    """Seconds left for all epochs, from the pace of the first; None while there is no pace."""
    if job.seconds_left is None:
        return None
    left = 1 - (job.progress or 0.0)
    return job.seconds_left + (job.seconds_left / left * (epochs - 1) if left else 0.0)


def show_result(job: Operation, dismiss: Callable[[int], None]) -> None:
    """The evaluation, the report, and a button that uses the new model."""
    request = TrainRequest.from_options(job.options)
    name = request.name
    st.subheader(escape_markdown(f"{job.title}: {job_panel.describe_end(job)}"), anchor=False)
    if job.error:
        show_error(job.error)
    elif job.result is None:
        st.info("Stopped before there was a model to keep. No model was changed.")
    else:
        if job.stop_asked:
            st.caption("Stopped early; the best model so far was kept.")
        _show_metrics(job.result["metrics"])
        remedy = partial(_offer_none_of_these, job, request)
        try_out.show(name, f"train-{job.id}", Path(request.data), remedy)
        _offer_use(job, name)
        report = Path(job.result["report"])
        evaluation.show_report(report, name, key=f"train-report-{job.id}")
    st.button("Close", key="train-away", on_click=dismiss, args=(job.id,))


def _show_metrics(metrics: Mapping[str, Any]) -> None:
    test = metrics.get("test")
    show_tiles(evaluation.evaluation_tiles(test or metrics["validation"], validation=not test))
    seconds = sum(metrics["seconds"].values())
    counts = metrics["photos"]["train"]
    photos = count_noun(metrics.get("sizes", {}).get("train") or sum(counts.values()), "photo")
    lines = [
        f"{count_noun(len(counts), 'label')}, {photos}, trained in {rough_duration(seconds)}.",
        evaluation.unknown_sentence(metrics.get("unknown")),
    ]
    if warning := too_few_to_check(metrics["photos"].get("val", {})):
        lines.append(f"{warning}.")
    show_list(lines)


def _offer_none_of_these(job: Operation, request: TrainRequest) -> None:
    """Train the model again, with photos of the library that show none of its labels."""
    result = job.result or {}
    counts = result["metrics"]["photos"]["train"]
    key = f"train-none-{job.id}"
    button = "Train again with photos that show none of these …"
    opens = {f"{key}-open": True}
    st.button(
        button, key=key, icon=":material/block:", on_click=st.session_state.update, args=(opens,)
    )
    if not st.session_state.get(f"{key}-open"):
        return
    with st.container(border=True, key=f"{key}-panel"):
        ids = none_of_these.pick(list(counts), sum(counts.values()), key)
        if ids:
            st.button(
                "Train again and replace",
                key=f"{key}-go",
                type="primary",
                icon=":material/school:",
                on_click=keep_click,
                args=(f"{key}-go",),
            )
            again = replace(request, folder=None, epoch=None)
            act_on_click(f"{key}-go", start_training, again, ids)


def start_training(request: TrainRequest, none_ids: Sequence[int]) -> None:
    """Train a model, also with these photos that show none of its labels.

    Once even if the button was clicked twice.
    """
    library = open_library()
    if library.operations(limit=1, kinds=[TrainRequest.KIND], active=True):
        return  # which the page shows
    if none_ids:
        with st.spinner("Copying the photos …"):
            request = replace(request, none_of_these=str(none_of_these.write(none_ids)))
    job_panel.start_job(request)


def _offer_use(job: Operation, name: str) -> None:
    """Buttons that use the new model, with their undo; then one that tags the library with it."""
    library = open_library()
    if name not in library.models_in_use():
        with st.container(horizontal=True, gap="small", key="train-use-actions"):
            st.button(
                "Also use",
                key="train-use",
                type="primary",
                icon=":material/add_circle:",
                help="It tags new photos too, beside the models that you use now.",
                on_click=run_action,
                args=(_use, name),
            )
            st.button(
                "Use only this",
                key="train-use-alone",
                icon=":material/check_circle:",
                help="New photos are tagged with it alone. Photos keep the tags that they have.",
                on_click=run_action,
                args=(_use_alone, name),
            )
        undo_line.show(PAGE)
        return
    if undo_line.last_edit(PAGE) is None:
        st.markdown(f":material/check: {escape_markdown(name)} is in use.")
    undo_line.show(PAGE)
    count = library.count()
    retag_id = st.session_state.get(f"train-retag-{job.id}")
    if retag_id is not None:
        job_panel.show_job(retag_id, key="train-retag-run")
    elif not count:
        st.caption("Your library is empty. Photos you import will be tagged with it.")
    else:
        st.button(
            f"Re-tag {count_noun(count, 'photo')} with it",
            key="train-retag",
            icon=":material/refresh:",
            on_click=run_action,
            args=(_ask_to_retag, name, f"train-retag-{job.id}"),
        )
    retag_dialog.show_question(PAGE)


def _ask_to_retag(name: str, job_key: str) -> None:
    retag_dialog.ask(PAGE, open_library().find_ids(), [name], job_key)


def _use(name: str) -> None:
    load_tagger(name)
    undo_line.record(PAGE, open_library().add_model(name), message=f"{name} is in use")
    start_embedding(open_library())


def _use_alone(name: str) -> None:
    load_tagger(name)
    message = f"New photos are tagged by {name} alone"
    undo_line.record(PAGE, open_library().use_model(name), message=message)
    start_embedding(open_library())
