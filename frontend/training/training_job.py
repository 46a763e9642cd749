"""A training, watched while it goes on, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components import charts, job_panel
from frontend.components.html_blocks import show_list, show_tiles
from frontend.training import evaluation
from frontend.ui.library import open_library
from frontend.ui.messages import notify, show_errors
from frontend.ui.text import escape_markdown, rough_duration, time_left
from tagger.datasets.dataset import too_few_to_check
from tagger.jobs.requests import RetagRequest, TrainRequest
from tagger.library.operations import Operation
from tagger.text import count_noun, percent, score
from tagger.training import run_folder

# Measured on two cores at 192 pixels.
START_SECONDS, PHOTO_SECONDS, EPOCH_SECONDS = 20, 0.01, 0.0175  # in all; a photo; and an epoch


def estimate(photos: int, epochs: int, image_size: int) -> float:
    """Seconds that a training takes, roughly."""
    scale = (image_size / 192) ** 2
    return START_SECONDS + photos * scale * (PHOTO_SECONDS + epochs * EPOCH_SECONDS)


def watch(run: Operation) -> None:
    """How far it is, its curves, and a stop; the page is drawn again when it ends."""
    with st.container(border=True, key="train-live"):
        st.fragment(_draw_live, run_every=job_panel.REFRESH_SECONDS)(run.id)
    st.caption(
        "It goes on when you leave or close this page; come back to watch. When it has finished,"
        " you can teach another one."
    )


def _draw_live(run_id: int) -> None:
    with show_errors():
        run = open_library().operation(run_id)
        if not run.active:
            st.rerun()
        st.markdown(f"**{escape_markdown(run.title)}**")
        rows = _history(run)
        share, told = _position(run, rows)
        st.progress(share, text=escape_markdown(told))
        if run.stop_asked:
            st.caption("Stopping: what it has learned so far is being kept …")
        elif st.button(
            "Stop and keep the best so far" if rows else "Stop",
            key=f"train-stop-{run.id}",
            icon=":material/stop_circle:",
        ):
            open_library().stop(run.id)
            st.rerun(scope="fragment")
        if rows:
            charts.show_curves(rows, TrainRequest.from_options(run.options).epochs, "train-live")
            st.caption(f"Epoch 0 is the quick version. {_how_good(rows[-1])}")


def _how_good(row: Mapping[str, float]) -> str:
    if charts.is_multi_label(row):
        return f"Now the mAP on the photos kept aside is {score(row['val_map'])}."
    right = percent(row["val_accuracy"])
    return f"Now {right} of the photos kept aside get the right label."


def _history(run: Operation) -> list[dict[str, float]]:
    """The rows of the epochs so far."""
    folder = TrainRequest.from_options(run.options).folder
    return run_folder.read_history(Path(folder) / run_folder.HISTORY) if folder else []


def _position(run: Operation, rows: list[dict[str, float]]) -> tuple[float, str]:
    """How far it is, in [0, 1], and in words; of fine-tuning the whole, else of the stage."""
    request = TrainRequest.from_options(run.options)
    if not rows or request.epoch is None:
        return run.progress or 0.0, run.stage or "Waiting for its turn"
    epochs = request.epochs
    done = request.epoch - 1 + (run.progress or 0.0)
    timed = [row["seconds"] for row in rows if row["epoch"] > 0]
    if later := timed[1:] or timed:  # the first one also warms up
        seconds: float | None = sum(later) / len(later) * (epochs - done)
    else:
        seconds = None if run.seconds_left is None else run.seconds_left + _later(run, epochs)
    left = "" if seconds is None else f" · {time_left(seconds)}"
    return done / epochs, f"Epoch {min(epochs, int(done) + 1)} of {epochs}{left}"


def _later(run: Operation, epochs: int) -> float:
    """Seconds for the epochs after the first, told from the pace of the first."""
    left = 1 - (run.progress or 0.0)
    return (run.seconds_left or 0.0) / left * (epochs - 1) if left else 0.0


def show_result(run: Operation, put_away: Callable[[int], None]) -> None:
    """The numbers, the report, and the new model to be used."""
    name = TrainRequest.from_options(run.options).name
    st.subheader(escape_markdown(f"{run.title}: {job_panel.describe_end(run)}"), anchor=False)
    if run.error:
        st.error(escape_markdown(run.error), icon=":material/error:")
    elif run.result is None:
        st.info("It was stopped before there was anything to keep. No model was changed.")
    else:
        if run.stop_asked:
            st.caption("It was stopped early; the best so far was kept.")
        _show_metrics(run.result["metrics"])
        _offer_use(run, name)
        evaluation.show_report(Path(run.result["report"]), name, key=f"train-report-{run.id}")
    st.button("Put this away", key="train-away", on_click=put_away, args=(run.id,))


def _show_metrics(metrics: Mapping[str, Any]) -> None:
    judged = metrics.get("test") or metrics["validation"]
    show_tiles(evaluation.evaluation_tiles(judged, validation=not metrics.get("test")))
    seconds = sum(metrics["seconds"].values())
    counts = metrics["photos"]["train"]
    learned = count_noun(metrics.get("sizes", {}).get("train") or sum(counts.values()), "photo")
    lines = [
        f"It learned {count_noun(len(counts), 'label')} from {learned} in"
        f" {rough_duration(seconds).removeprefix('about ')}.",
        evaluation.unknown_sentence(metrics.get("unknown")),
    ]
    if warning := too_few_to_check(metrics["photos"].get("val", {})):
        lines.append(f"{warning}.")
    show_list(lines)


def _offer_use(run: Operation, name: str) -> None:
    """Let the new model tag from now on, and tag again what is in the library."""
    library = open_library()
    if library.active_model() != name:
        if st.button(
            "Use this model now", key="train-use", type="primary", icon=":material/check_circle:"
        ):
            with show_errors():
                library.set_active_model(name)
                notify(f"{name} tags your photos from now on.")
                st.rerun()
        return
    st.markdown(f":material/check: {escape_markdown(name)} is the model that tags your photos now.")
    count = library.count()
    retag = st.session_state.get(f"train-retag-{run.id}")
    if retag is not None:
        job_panel.show_job(retag, key="train-retag-run")
    elif not count:
        st.caption("Your library is empty: what you import will be tagged with it.")
    elif st.button(
        f"Tag my {count_noun(count, 'photo')} again with it",
        key="train-retag",
        icon=":material/refresh:",
    ):
        with show_errors():
            job_id = job_panel.start_job(RetagRequest(model=name))
            st.session_state[f"train-retag-{run.id}"] = job_id
            st.rerun()
