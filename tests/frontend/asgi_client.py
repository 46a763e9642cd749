"""Requests to an ASGI app in this process."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope


@dataclass(frozen=True)
class Answer:
    """A response."""

    status_code: int
    headers: Headers
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class AsgiClient:
    """A client that asks as a browser on this machine does: for `localhost:8501`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def get(self, path: str, headers: dict[str, str] | None = None, **params: str) -> Answer:
        return self.request("GET", path, headers, **params)

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, **params: str
    ) -> Answer:
        """The answer to a request; `params` are added to the query of the path."""
        raw_path, _, query = path.partition("?")
        sent = {"Host": "localhost:8501", **(headers or {})}
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": unquote(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": (query or urlencode(params)).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        }
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        asyncio.run(self._app(scope, receive, send))  # type: ignore[arg-type]
        start, *rest = messages
        content = b"".join(message.get("body", b"") for message in rest)
        return Answer(start["status"], Headers(raw=start["headers"]), content)
