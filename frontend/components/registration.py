"""Registration of our own components, each with its HTML, CSS and JavaScript beside its module."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).resolve().parent


def register(name: str, *scripts: str) -> ComponentRenderer:
    """A component from the files `name`.html, .css and .js, with other `scripts` before its own."""
    html, css = (_read(f"{name}.{suffix}") for suffix in ("html", "css"))
    js = "\n".join(_read(f"{script}.js") for script in (*scripts, name))
    return st.components.v2.component(name, html=html, css=css, js=js)


def ignore_change() -> None:
    """A callback, which Streamlit requires, for a state that is read where it is returned."""


def _read(path: str) -> str:
    return (HERE / path).read_text(encoding="utf-8")
