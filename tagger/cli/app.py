"""Start the app: Streamlit on `frontend/app.py`, with any of Streamlit's own options."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tagger import console
from tagger.errors import OptionError
from tagger.paths import ROOT

OPTIONS = """any option of `streamlit run`, such as:
  --server.port PORT           default: 8501
  --server.address ADDRESS     default: localhost; 0.0.0.0 lets other machines in, by the names in
  --server.allowedHosts NAME   default: localhost
  --server.headless true       do not open a browser

The library is in TAGGER_HOME (default: library/), its database at TAGGER_DATABASE."""


def make_parser(prog: str | None) -> argparse.ArgumentParser:
    """A parser for `--help` alone; the other options are Streamlit's."""
    return argparse.ArgumentParser(
        prog=prog,
        usage="%(prog)s [OPTION ...]",
        description="Open the app in a browser.",
        epilog=OPTIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:  # noqa: RET503 - exec does not return
    """Become `streamlit run frontend/app.py`. Exit status 2 where the app is not there."""
    script = ROOT / "frontend" / "app.py"
    if not script.is_file():
        return console.refuse(
            OptionError(f"{script}: no such file; the app needs a checkout of the project")
        )
    arguments = sys.argv[1:] if argv is None else argv
    make_parser(prog).parse_known_args(arguments)
    command = [sys.executable, "-m", "streamlit", "run", str(script), *arguments]
    os.execv(sys.executable, command)  # in its place, so that signals reach Streamlit
