"""Cells of a table that somebody may open as a spreadsheet."""

from __future__ import annotations

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(cell: object) -> object:
    """A cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def meant(cell: str) -> str:
    """The text that `harmless` made a cell of."""
    bare = cell.removeprefix("'")
    return bare if bare.startswith(_FORMULA_STARTS) else cell
