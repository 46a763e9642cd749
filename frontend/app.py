"""The app's server: Streamlit's, with what it leaves open to pages of other sites closed.

streamlit run frontend/app.py
"""

from __future__ import annotations

import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from streamlit import config

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # Streamlit adds only this file's own folder
    sys.path.insert(0, str(HERE.parent))

from frontend.origins import guard_app, own_url
from frontend.routes import mount_routes
from frontend.shell import page_routes


@asynccontextmanager
async def open_browser(app: st.App) -> AsyncIterator[None]:
    """Show the app, as Streamlit does for a script without a server of its own."""
    if not config.get_option("server.headless"):
        threading.Thread(target=webbrowser.open, args=(own_url(),), daemon=True).start()
    yield


app = st.App(
    HERE / "main.py",
    lifespan=open_browser,
    routes=[mount_routes(), *page_routes()],
    middleware=guard_app(),
)
