"""What produced a file: package versions and the command line."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tagger.paths import public_path

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "scikit-learn", "pillow")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect results."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in _PACKAGES}


def version_of(package: str) -> str:
    """Version of an installed package, which is called NAME-cpu in builds without GPU code."""
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-cpu")


def command() -> str:
    """The command line of this process, its absolute paths shortened by `public_path`."""
    arguments: list[str] = []
    for part in sys.argv[1:]:  # --data=/home/... holds a path as well
        halves = part.split("=", 1) if part.startswith("--") else [part]
        arguments += [public_path(half) if Path(half).is_absolute() else half for half in halves]
    quoted = [f'"{part}"' if " " in part else part for part in arguments]
    program = Path(sys.argv[0]).name
    prefix = [] if program == "image-tagger" else ["python"]
    return " ".join([*prefix, program, *quoted])
