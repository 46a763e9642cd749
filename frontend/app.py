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
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from streamlit import config

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # Streamlit adds only this file's own folder
    sys.path.insert(0, str(HERE.parent))

from frontend.origins import OriginMiddleware, allowed_hosts, own_url


@asynccontextmanager
async def open_browser(app: st.App) -> AsyncIterator[None]:
    """Show the app, as Streamlit does for a script without a server of its own."""
    if not config.get_option("server.headless"):
        threading.Thread(target=webbrowser.open, args=(own_url(),), daemon=True).start()
    yield


app = st.App(
    HERE / "main.py",
    lifespan=open_browser,
    middleware=[
        Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(), www_redirect=False),
        Middleware(OriginMiddleware),
    ],
)
