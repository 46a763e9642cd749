"""Tag field component: one field that adds tags, with suggestions while somebody types."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from frontend.components import actions
from frontend.components.photo_gallery import read_assets
from frontend.components.tag_editor import STYLES
from frontend.ui.tiles import base_path

SCRIPTS = ("dom", "actions", "chips", "tag_field")

_component = st.components.v2.component(
    "tag_field",
    html='<div class="editor"></div>',
    css=read_assets(STYLES, "css"),
    js=read_assets(SCRIPTS, "js"),
)


def show_tag_field(title: str, *, key: str, add: Callable[[str], None]) -> None:
    """Show the field; `add` is called with each tag, before the page is drawn.

    Enter, a comma and the button add what was typed or chosen.
    """
    _component(
        key=key,
        data={"title": title, "base": base_path(), "done": actions.last_done(key)},
        on_actions_change=lambda: actions.receive(
            key, lambda action: add(str(action.values.get("label", "")))
        ),
    )
