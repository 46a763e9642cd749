"""The service's description for programs: what FastAPI says of the routes, and a little more."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tagger.service.access import ADMIN_PATHS, OPEN_PATHS
from tagger.service.schemas import EXAMPLES

_TOKENS = {
    "predict": "TAGGER_PREDICT_TOKEN's token; the administrator's will do as well",
    "admin": "TAGGER_ADMIN_TOKEN's token",
}


def describe(app: FastAPI) -> None:
    """Let the application's description name tokens, and show an answer of each kind."""
    usual = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = usual()
            found["components"]["securitySchemes"] = {
                name: {"type": "http", "scheme": "bearer", "description": told}
                for name, told in _TOKENS.items()
            }
            for path, operations in found["paths"].items():
                needed: dict[str, list[str]] = {"admin" if path in ADMIN_PATHS else "predict": []}
                for operation in operations.values():
                    # No token, too: where none is set, on this machine alone.
                    operation["security"] = [{}] if path in OPEN_PATHS else [{}, needed]
            # Here and not with the type: FastAPI would drop what is null in them.
            found["components"]["schemas"]["Answer"]["examples"] = list(EXAMPLES)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
