"""What made a file: the versions of the packages that decide a result, and the command."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tagger.paths import public_path

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "scikit-learn", "pillow")


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide a result."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in _PACKAGES}


def version_of(package: str) -> str:
    """Of an installed package, which goes by NAME-cpu where it was built without a GPU's code."""
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-cpu")


def command() -> str:
    """How this process was started, its paths by `public_path`."""
    given: list[str] = []
    for part in sys.argv[1:]:  # "--data=/home/..." tells as much as "--data /home/..."
        halves = part.split("=", 1) if part.startswith("--") else [part]
        given += [public_path(half) if Path(half).is_absolute() else half for half in halves]
    quoted = [f'"{part}"' if " " in part else part for part in given]
    program = Path(sys.argv[0]).name
    return " ".join([*(["python"] if program.endswith(".py") else []), program, *quoted])
