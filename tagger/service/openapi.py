"""Additions to FastAPI's OpenAPI schema: the tokens, and example answers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tagger.service.access import OPEN_PATHS, needs_admin
from tagger.service.schemas import EXAMPLES

_TOKENS = {
    "predict": "TAGGER_PREDICT_TOKEN's token; the administrator's will do as well",
    "admin": "TAGGER_ADMIN_TOKEN's token",
}


def extend_schema(app: FastAPI) -> None:
    """Add the security schemes and the examples to `app.openapi()`."""
    create_schema = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = create_schema()
            schema["components"]["securitySchemes"] = {
                name: {"type": "http", "scheme": "bearer", "description": text}
                for name, text in _TOKENS.items()
            }
            for path, operations in schema["paths"].items():
                token: dict[str, list[str]] = {"admin" if needs_admin(path) else "predict": []}
                for operation in operations.values():
                    # {}: a service without tokens answers this machine without one.
                    operation["security"] = [{}] if path in OPEN_PATHS else [{}, token]
            # Added here since FastAPI drops nulls from the examples of a type.
            schema["components"]["schemas"]["Answer"]["examples"] = list(EXAMPLES)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
