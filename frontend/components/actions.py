"""Actions of a person in a component of the browser, each carried out once.

The browser numbers its actions, and repeats them until Python's data say that they are done: a
message is lost if the script is interrupted, or the next one replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

MAX_ACTIONS = 1_000  # of one message from the browser


@dataclass(frozen=True)
class Action:
    """What a person asked for: its `kind`, the photos, and more by name; not checked yet."""

    kind: str
    ids: tuple[int, ...]
    values: Mapping[str, Any]


def receive(key: str, carry_out: Callable[[Action], None]) -> None:
    """Call `carry_out` with each new action of the component `key`: for `on_actions_change`."""
    content = st.session_state[key].get("actions")
    if not isinstance(content, dict) or not isinstance(content.get("actions"), list):
        return
    token = content.get("token")
    done = last_done(key)
    last = done["number"] if done is not None and done["token"] == token else 0
    for raw in content["actions"][:MAX_ACTIONS]:
        if isinstance(raw, dict) and isinstance(raw.get("number"), int) and raw["number"] > last:
            last = raw["number"]
            st.session_state[_done_key(key)] = {"token": token, "number": last}
            carry_out(_read_action(raw))


def last_done(key: str) -> dict[str, Any] | None:
    """The last action done: for the component's data."""
    done: dict[str, Any] | None = st.session_state.get(_done_key(key))
    return done


def _read_action(raw: Mapping[str, Any]) -> Action:
    ids = raw.get("ids")
    numbers = [number for number in ids if type(number) is int] if isinstance(ids, list) else []
    return Action(str(raw.get("kind")), tuple(numbers), raw)


def _done_key(key: str) -> str:
    return f"{key}-done"
