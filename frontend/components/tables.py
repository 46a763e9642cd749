"""Tables of pandas, shown as HTML and downloaded as CSV.

Streamlit's own tables would read names as Markdown, or offer a CSV with cells that a spreadsheet
runs as formulas.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import pandas as pd
import streamlit as st

from frontend.components.html_blocks import escape_text
from tagger.text import BYTE_ORDER_MARK, escape_formula


def show_table(frame: pd.DataFrame, name: str, *, key: str, numbers: bool = True) -> None:
    """A table whose first column names the rows, and its download.

    `numbers` align the other columns right. A cell without a value is a dash.
    """
    head = "".join(f'<th scope="col">{escape_text(str(title))}</th>' for title in frame.columns)
    rows = "".join(map(_row, frame.itertuples(index=False, name=None)))
    st.html(
        f'<div class="it-scroll" tabindex="0" role="region" aria-label="{escape_text(name)}">'
        f'<table class="it-table{" it-numbers" if numbers else ""}"'
        f' aria-label="{escape_text(name)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    st.download_button(
        "Download table",
        lambda: to_csv(frame),
        f"{name}.csv",
        "text/csv",
        key=f"{key}-table",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def to_csv(frame: pd.DataFrame) -> bytes:
    """A table as CSV that Excel reads as UTF-8; no cell runs as a formula in a spreadsheet."""
    rows = [
        [escape_formula(cell) for cell in row] for row in frame.itertuples(index=False, name=None)
    ]
    columns = [escape_formula(str(title)) for title in frame.columns]
    text: str = pd.DataFrame(rows, columns=columns, dtype=object).to_csv(index=False)
    return f"{BYTE_ORDER_MARK}{text}".encode("utf-8", "backslashreplace")


def _row(cells: Iterable[Hashable]) -> str:
    first, *rest = map(_format, cells)
    head = f'<th scope="row" dir="auto">{escape_text(first)}</th>'
    return f"<tr>{head}{''.join(f'<td>{escape_text(cell)}</td>' for cell in rest)}</tr>"


def _format(cell: Hashable) -> str | None:
    """A cell as text: whole numbers with separators; None without a value."""
    if isinstance(cell, str):
        return cell
    if cell is None or pd.isna(cell):
        return None
    return f"{cell:,.0f}" if isinstance(cell, int | float) else str(cell)
