"""Activity: what is in the library, how sure the models are of it, and what was done to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import streamlit as st

from frontend.components import job_panel
from frontend.components.html_blocks import show_bars, show_columns
from frontend.ui.library import open_library
from frontend.ui.messages import notify
from frontend.ui.pages import IMPORT
from frontend.ui.text import escape_markdown
from tagger.library.statistics import Statistics
from tagger.text import count_noun

LABELS_SHOWN = 15
MOST_DAYS = 60  # shown one by one; months otherwise
MOST_COLUMNS = 60
RUNS_SHOWN, MORE_RUNS = 10, 20
LIMIT_KEY = "activity-runs"


def show() -> None:
    """The whole page."""
    st.title("Activity", anchor=False)
    statistics = open_library().statistics()
    if statistics.photos or statistics.deleted:
        _show_counts(statistics)
    else:
        st.markdown("Your library is empty. What you import and tag is counted here.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
    if statistics.photos:
        left, right = st.columns(2, gap="large")
        with left:
            _show_labels(statistics)
        with right:
            _show_confidence(statistics)
            _show_days(statistics)
    _show_runs()
    if statistics.deleted:
        _show_deleted(statistics.deleted)


def _show_counts(statistics: Statistics) -> None:
    counts = {
        "Photos": statistics.photos,
        "With tags": statistics.tagged,
        "Unknown": statistics.unknown,
        "Reviewed by you": statistics.reviewed,
    }
    with st.container(horizontal=True, gap="medium", key="activity-counts"):
        for title, count in counts.items():
            st.metric(title, f"{count:,}", width="content")
    told = [f"{statistics.bytes / 1e6:,.0f} MB of photos"]
    told += [f"{count_noun(many, 'photo')} tagged by {name}" for name, many in statistics.by_model]
    st.caption(escape_markdown(" · ".join(told)))


def _show_labels(statistics: Statistics) -> None:
    st.subheader("Tags", anchor=False)
    if not statistics.by_label:
        st.markdown("No photo has a tag yet. Add some by hand in the gallery, or import others.")
        return
    most = statistics.by_label[0][1]
    show_bars((name, many / most, f"{many:,}") for name, many in statistics.by_label[:LABELS_SHOWN])
    if len(statistics.by_label) > LABELS_SHOWN:
        st.caption(f"and {len(statistics.by_label) - LABELS_SHOWN:,} more tags")


def _show_confidence(statistics: Statistics) -> None:
    st.subheader("How sure", anchor=False)
    step = 100 // len(statistics.confidence)
    columns = [
        (f"{i * step} to {(i + 1) * step}% sure", many)
        for i, many in enumerate(statistics.confidence)
    ]
    show_columns(columns, "0%", "100%")
    st.caption("Photos by how sure the model was of its answer.")


def _show_days(statistics: Statistics) -> None:
    st.subheader("Added", anchor=False)
    periods = timeline(statistics.added)
    first, last = periods[0][0], periods[-1][0]
    show_columns(periods, first, last if last != first else "")


def timeline(added: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Counts for every day from the first to the last, or every month where that is too many.

    `added` is by day, "2026-11-21", in order, and leaves out days without any.
    """
    first, last = (date.fromisoformat(added[end][0]) for end in (0, -1))
    days = [str(first + timedelta(n)) for n in range((last - first).days + 1)]
    length = len("2026-11-21") if len(days) <= MOST_DAYS else len("2026-11")
    counts = dict.fromkeys((day[:length] for day in days), 0)
    for day, many in added:
        counts[day[:length]] += many
    return list(counts.items())[-MOST_COLUMNS:]


def _show_runs() -> None:
    st.subheader("What was done", anchor=False)
    limit = st.session_state.get(LIMIT_KEY, RUNS_SHOWN)
    runs = open_library().operations(limit + 1)
    if not runs:
        st.markdown("Nothing yet.")
    for run in runs[:limit]:
        job_panel.show_job(run.id, key="activity")
    if len(runs) > limit:
        st.button("Show more", on_click=_show_more, key="activity-more")


def _show_more() -> None:
    st.session_state[LIMIT_KEY] = st.session_state.get(LIMIT_KEY, RUNS_SHOWN) + MORE_RUNS


def _show_deleted(count: int) -> None:
    st.subheader("Deleted photos", anchor=False)
    st.markdown(
        f"The library still knows {count_noun(count, 'deleted photo')}, so that deleting can"
        " be undone. Your own files in folders are never removed."
    )
    with st.popover("Remove for good …", icon=":material/delete_forever:"):
        st.markdown(
            "They leave the library with their tags and the copies it kept. This cannot be undone."
        )
        if st.button("Remove for good", key="activity-purge", type="primary"):
            gone = open_library().purge()
            notify(f"{count_noun(gone, 'photo')} removed for good.")
            st.rerun()


show()
