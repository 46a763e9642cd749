"""History: every operation, and what is in the library now. Its URL is `/activity`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import streamlit as st

from frontend.components import job_panel, query_links
from frontend.components.query_links import QueryLink
from frontend.photos import trash
from frontend.ui import url_state
from frontend.ui.library import load_statistics, open_library
from frontend.ui.pages import EVERY, IMPORT, TRASH, TRASH_ICON, name_trash
from frontend.ui.text import escape_markdown
from tagger.inference.registry import display_name
from tagger.library.operations import CHANGES
from tagger.library.search.grammar import And, Condition, Flag, Label, format_query
from tagger.library.statistics import Statistics
from tagger.text import count_noun

PAGE = "activity"
MAX_LABELS = 15
MAX_DAYS = 60  # columns of days; months beyond
MAX_COLUMNS = 60
OPERATIONS, MORE_OPERATIONS = 10, 20
LIMIT_KEY = "activity-runs"


def show() -> None:
    """The page, or the trash; see `frontend.photos.trash`."""
    if url_state.get(TRASH) is not None:
        trash.show(PAGE)
        return
    st.title("History", anchor=False)
    statistics = load_statistics()
    if statistics.photos or statistics.deleted:
        _show_counts(statistics)
    else:
        st.markdown("Your library is empty. Imports, tags and changes are listed here.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
    _show_operations()
    if statistics.photos:
        left, right = st.columns(2, gap="large")
        with left:
            _show_labels(statistics)
        with right:
            _show_confidence(statistics)
            _show_days(statistics)


def _show_counts(statistics: Statistics) -> None:
    query_links.show_tiles(
        [
            QueryLink("Photos", statistics.photos, ""),
            QueryLink("With tags", statistics.tagged, format_query(Flag("tagged"))),
            QueryLink("Without tags", statistics.untagged, format_query(Flag("untagged"))),
            QueryLink("Reviewed by you", statistics.reviewed, format_query(Flag("reviewed"))),
        ],
        key="activity-counts",
    )
    parts = [f"{statistics.bytes / 1e6:,.0f} MB of photos"]
    parts += [
        f"{count_noun(count, 'photo')} tagged by {display_name(name)}"
        for name, count in statistics.by_model
    ]
    st.caption(escape_markdown(" · ".join(parts)))
    if statistics.deleted:
        st.button(
            name_trash(statistics.deleted),
            key=f"{PAGE}-trash",
            icon=TRASH_ICON,
            type="tertiary",
            on_click=url_state.on_click(**{TRASH: EVERY}),
        )


def _show_labels(statistics: Statistics) -> None:
    st.subheader("Tags", anchor=False)
    if not statistics.by_label:
        st.markdown("No tags yet.")
        return
    links = [
        QueryLink(name, count, format_query(Label(name, exact=True)))
        for name, count in statistics.by_label[:MAX_LABELS]
    ]
    query_links.show_bars(links, key="activity-tags")
    if len(statistics.by_label) > MAX_LABELS:
        st.caption(f"and {len(statistics.by_label) - MAX_LABELS:,} more tags")


def _show_confidence(statistics: Statistics) -> None:
    st.subheader("Confidence", anchor=False)
    links = [
        QueryLink(f"{low}% to {high}%", count, confidence_query(low, high))
        for (low, high), count in zip(_percent_bins(statistics), statistics.confidence, strict=True)
    ]
    query_links.show_columns(links, "0%", "100%", key="activity-confidence")
    st.caption("Photos by the model’s confidence in its best guess")


def _percent_bins(statistics: Statistics) -> list[tuple[int, int]]:
    """The bins of the confidence histogram in whole percents."""
    step = 100 // len(statistics.confidence)
    return [(low, low + step) for low in range(0, 100, step)]


def confidence_query(low: int, high: int) -> str:
    """The query for photos with a confidence from `low` to less than `high` percent."""
    terms = [Condition("confidence", ">=", f"{low / 100:g}")] if low else []
    terms += [Condition("confidence", "<=" if high == 100 else "<", f"{high / 100:g}")]
    return format_query(terms[0] if len(terms) == 1 else And(tuple(terms)))


def _show_days(statistics: Statistics) -> None:
    st.subheader("Added", anchor=False)
    periods = count_periods(statistics.added)
    links = [
        QueryLink(period, count, format_query(Condition("added", "=", period)))
        for period, count in periods
    ]
    first, last = periods[0][0], periods[-1][0]
    query_links.show_columns(links, first, last if last != first else "", key="activity-days")


def count_periods(added: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Photos added by day, "2026-11-21", or by month if there are too many days.

    `added` holds the days with photos, in order.
    """
    first, last = (date.fromisoformat(added[index][0]) for index in (0, -1))
    days = [str(first + timedelta(n)) for n in range((last - first).days + 1)]
    length = len("2026-11-21") if len(days) <= MAX_DAYS else len("2026-11")
    counts = dict.fromkeys((day[:length] for day in days), 0)
    for day, count in added:
        counts[day[:length]] += count
    return list(counts.items())[-MAX_COLUMNS:]


def _show_operations() -> None:
    st.subheader("Changes", anchor=False)
    limit = st.session_state.get(LIMIT_KEY, OPERATIONS)
    operations = open_library().operations(limit + 1, CHANGES)
    if not operations:
        st.markdown("Nothing yet.")
    job_panel.show_operations(operations[:limit], key="activity")
    if len(operations) > limit:
        st.button("Show more", on_click=_show_more, key="activity-more")


def _show_more() -> None:
    st.session_state[LIMIT_KEY] = st.session_state.get(LIMIT_KEY, OPERATIONS) + MORE_OPERATIONS


show()
