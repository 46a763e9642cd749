"""Saved searches, and a menu beside the box that saves or deletes one."""

from __future__ import annotations

import streamlit as st

from frontend.components import undo_line
from frontend.ui.library import open_library
from frontend.ui.messages import run_action
from frontend.ui.text import escape_markdown
from tagger.errors import OptionError
from tagger.text import is_visible

MAX_NAME = 60  # characters


def load_searches() -> dict[str, str]:
    """The queries of saved searches by name, in alphabetical order."""
    entries = open_library().entries("search")
    queries = {
        name: value["query"]
        for name, value in entries.items()
        if isinstance(value, dict) and isinstance(value.get("query"), str)
    }
    return {name: queries[name] for name in sorted(queries, key=str.casefold)}


def offer_saving(query: str, page: str) -> None:
    """A menu that saves a query under a name, or deletes it where it is saved.

    `page` names the page in session state; it shows the message with an undo. After either the menu
    is closed: what it offers then is another thing.
    """
    names = [name for name, saved in load_searches().items() if saved == query]
    icon = "bookmark_added" if names else "bookmark_add"
    label = "Saved" if names else "Save"
    with st.popover(label, icon=f":material/{icon}:", key=f"{page}-save", on_change="rerun"):
        for name in names:
            st.button(
                f"Delete “{escape_markdown(name)}”",
                key=f"{page}-unsave-{name}",
                icon=":material/delete:",
                on_click=run_action,
                args=(_delete, page, name),
            )
        if not names:
            _offer_name(query, page)


def _offer_name(query: str, page: str) -> None:
    with st.form(f"{page}-save-form", border=False, clear_on_submit=True):
        field = f"{page}-save-name"
        st.text_input("Name", placeholder=query[:MAX_NAME], max_chars=MAX_NAME, key=field)
        st.form_submit_button(
            "Save search",
            key=f"{page}-save-go",
            type="primary",
            on_click=run_action,
            args=(_save, page, query, field),
        )


def _save(page: str, query: str, field: str) -> None:
    """Save a query under the name in a field; by default it is its own name."""
    name = " ".join(st.session_state[field].split()) or query[:MAX_NAME]
    if not is_visible(name):
        raise OptionError("a name has characters that can be seen")
    message = f"Saved the search “{name}”"
    if name in load_searches():
        message = f"Replaced the search “{name}”"
    operation_id = open_library().save_entry(
        "search", name, {"query": query}, f"Saved search “{name}”"
    )
    undo_line.record(page, operation_id, message=message)
    st.session_state[f"{page}-save"] = False


def _delete(page: str, name: str) -> None:
    operation_id = open_library().save_entry("search", name, None, f"Deleted saved search “{name}”")
    undo_line.record(page, operation_id, message=f"Deleted the search “{name}”")
    st.session_state[f"{page}-save"] = False
