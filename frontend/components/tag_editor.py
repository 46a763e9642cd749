"""Tag editor component: the tags of one photo as chips, and a field that adds one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

import streamlit as st

from frontend.components import actions
from frontend.components.actions import Action
from frontend.components.photo_gallery import read_assets
from frontend.ui.tiles import base_path

SCRIPTS = ("dom", "actions", "chips", "tag_editor")
STYLES = ("base", "chips")

_component = st.components.v2.component(
    "tag_editor",
    html='<div class="editor"></div>',
    css=read_assets(STYLES, "css"),
    js=read_assets(SCRIPTS, "js"),
)


class TagChip(TypedDict):
    """A tag as a chip. `origin` says where it comes from; `score` is a percentage, or empty.

    `explains`: a heatmap can be asked for.
    """

    label: str
    score: str
    origin: str
    confirmed: bool
    explains: bool


class Chips(TypedDict):
    """The tags of a photo: its own, less likely ones, and those that a person said no to.

    `unknown` says why there are none.
    """

    tags: Sequence[TagChip]
    weaker: Sequence[TagChip]
    removed: Sequence[TagChip]
    unknown: str


def show_tag_editor(
    photo: str,
    chips: Chips,
    *,
    key: str,
    carry_out: Callable[[Action], None],
    explained: str | None = None,
) -> None:
    """Show the chips of a photo, named by `photo`; `explained` is the tag of its heatmap.

    `carry_out` is called with each action, before the page is drawn: "tag" with lists `add` and
    `remove`, "withdraw" with a `label`, "explain" with a `label` or none.
    """
    _component(
        key=key,
        data={
            **chips,
            "photo": photo,
            "explained": explained,
            "base": base_path(),
            "done": actions.last_done(key),
        },
        on_actions_change=lambda: actions.receive(key, carry_out),
    )
