"""The service's documented names: `python -m tagger.api` and `uvicorn tagger.api:app`."""

from __future__ import annotations

import sys

from fastapi import FastAPI

from tagger.service import app as service_app


def __getattr__(name: str) -> FastAPI:
    """`app`, made from the environment when it is first asked for."""
    if name != "app":
        raise AttributeError(name)
    return service_app.default_app()


if __name__ == "__main__":
    sys.exit(service_app.main())
