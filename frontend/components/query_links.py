"""Links to searches: large numbers, bars or columns that open the photos they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from frontend.components.registration import register
from frontend.ui.navigation import open_search
from tagger.text import escape_controls

_component = register("query_links")


@dataclass(frozen=True)
class QueryLink:
    """A number of photos, its name, and the query that finds them."""

    name: str
    count: int
    query: str


def show_tiles(links: Sequence[QueryLink], *, key: str) -> None:
    """Large numbers with their names."""
    _show("tiles", links, (), key)


def show_bars(links: Sequence[QueryLink], *, key: str) -> None:
    """Names with bars, the longest for the highest count."""
    _show("bars", links, (), key)


def show_columns(links: Sequence[QueryLink], first: str, last: str, *, key: str) -> None:
    """A column chart, with labels below its `first` and `last` column."""
    _show("columns", links, (first, last), key)


def _show(
    form: Literal["tiles", "bars", "columns"],
    links: Sequence[QueryLink],
    axis: Sequence[str],
    key: str,
) -> None:
    """Show the links; a click opens the Search page."""
    highest = max((link.count for link in links), default=0) or 1
    rows = [
        {
            "name": escape_controls(link.name),
            "value": f"{link.count:,}",
            "share": link.count / highest,
            "query": link.query,
        }
        for link in links
    ]
    data = {"form": form, "rows": rows, "axis": list(axis)}

    def follow() -> None:
        opened = st.session_state[key].get("opened")
        if isinstance(opened, str) and opened in [link.query for link in links]:
            open_search(opened)

    _component(key=key, data=data, on_opened_change=follow)
