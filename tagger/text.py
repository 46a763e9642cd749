"""Cells of a table that somebody may open as a spreadsheet."""

from __future__ import annotations

import re

# A text that begins so is run; after a ' it is text, and so may itself begin with one.
_FORMULA = re.compile("('*)[-=+@\t\r\n＝＋－＠]")


def harmless(cell: object) -> object:
    """A cell that no spreadsheet runs as a formula, and that `meant` tells from any other."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def meant(cell: str) -> str:
    """The text that `harmless` made a cell of."""
    found = _FORMULA.match(cell)
    return cell[1:] if found and found[1] else cell
