"""The service's documented names: `python -m tagger.api` and `uvicorn tagger.api:app`.

The service's worker processes import this module, as Python's multiprocessing does with a program's
main module, and need nothing of it: what it needs is imported when it is used.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def __getattr__(name: str) -> FastAPI:
    """`app`, made from the environment when it is first asked for."""
    if name != "app":
        raise AttributeError(name)
    from tagger.service.app import default_app

    return default_app()


if __name__ == "__main__":
    from tagger.service.app import main

    sys.exit(main())
