"""Start the app: Streamlit on `frontend/app.py`, with any of Streamlit's own options."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tagger import console
from tagger.errors import OptionError
from tagger.paths import ROOT


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:  # noqa: RET503 - exec does not return
    """Become `streamlit run frontend/app.py`. Exit status 2 where the app is not there."""
    script = ROOT / "frontend" / "app.py"
    if not script.is_file():
        return console.refuse(
            OptionError(f"{script}: no such file; the app needs a checkout of the project")
        )
    arguments = sys.argv[1:] if argv is None else argv
    command = [sys.executable, "-m", "streamlit", "run", str(script), *arguments]
    os.execv(sys.executable, command)  # in its place, so that signals reach Streamlit
