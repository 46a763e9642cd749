"""Tables of pandas, shown as HTML and downloaded as CSV.

Streamlit's own tables would read names as Markdown, or offer a CSV with cells that a spreadsheet
runs as formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from frontend.components.html_blocks import escape_text
from tagger.text import BYTE_ORDER_MARK, escape_formula

if TYPE_CHECKING:
    import pandas as pd


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    name: str,
    *,
    key: str,
    numbers: bool = True,
) -> None:
    """A table whose first column names the rows, and its download.

    `numbers` align the other columns right. A cell without a value is a dash.
    """
    frame = make_frame(columns, rows)
    head = "".join(f'<th scope="col">{escape_text(str(title))}</th>' for title in frame.columns)
    body = "".join(map(_row, frame.itertuples(index=False, name=None)))
    st.html(
        f'<div class="it-scroll" tabindex="0" role="region" aria-label="{escape_text(name)}">'
        f'<table class="it-table{" it-numbers" if numbers else ""}"'
        f' aria-label="{escape_text(name)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
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


def make_frame(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> pd.DataFrame:
    """A table that keeps its cells as they are: whole numbers stay whole beside empty cells."""
    import pandas as pd  # takes a third of a second: a page is drawn before

    return pd.DataFrame(list(rows), columns=list(columns), dtype=object)


def to_csv(frame: pd.DataFrame) -> bytes:
    """A table as CSV that Excel reads as UTF-8; no cell runs as a formula in a spreadsheet."""
    cells = frame.itertuples(index=False, name=None)
    rows = [[escape_formula(cell) for cell in row] for row in cells]
    columns = [str(escape_formula(str(title))) for title in frame.columns]
    text: str = make_frame(columns, rows).to_csv(index=False)
    return f"{BYTE_ORDER_MARK}{text}".encode("utf-8", "backslashreplace")


def _row(cells: Iterable[object]) -> str:
    first, *rest = map(_format, cells)
    head = f'<th scope="row" dir="auto">{escape_text(first)}</th>'
    return f"<tr>{head}{''.join(f'<td>{escape_text(cell)}</td>' for cell in rest)}</tr>"


def _format(cell: object) -> str | None:
    """A cell as text: whole numbers with separators; None without a value."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return None
    return f"{cell:,.0f}" if isinstance(cell, int | float) else str(cell)
