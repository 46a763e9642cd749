"""Components of our own, each with its HTML, CSS and JavaScript beside its module."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).resolve().parent


def register(name: str) -> ComponentRenderer:
    """A component from the files `name`.html, .css and .js."""
    html, css, js = (
        (HERE / f"{name}.{suffix}").read_text(encoding="utf-8") for suffix in ("html", "css", "js")
    )
    return st.components.v2.component(name, html=html, css=css, js=js)
