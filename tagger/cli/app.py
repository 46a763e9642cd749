"""Start the app: Streamlit on `frontend/app.py`, with any of Streamlit's own options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from tagger import console
from tagger.errors import OptionError
from tagger.paths import ROOT


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run `streamlit run frontend/app.py`; its exit status, or 2 where the app is not there."""
    script = ROOT / "frontend" / "app.py"
    if not script.is_file():
        return console.refuse(
            OptionError(f"{script}: no such file; the app needs a checkout of the project")
        )
    arguments = sys.argv[1:] if argv is None else argv
    command = [sys.executable, "-m", "streamlit", "run", str(script), *arguments]
    return subprocess.run(command).returncode
