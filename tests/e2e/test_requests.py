"""Requests of the browser that follow each other closely."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.e2e.conftest import StartServer

PAGE = """
import time
import streamlit as st
from frontend.ui.uninterrupted import leave_fragment

leave_fragment()
st.title("Page")
presses = st.session_state.get("presses", 0)
with st.sidebar:
    @st.fragment(run_every=0.5)
    def wait():
        time.sleep(0.4)
        st.write("A fragment")
    wait()
st.button("Press", on_click=lambda: st.session_state.update(presses=presses + 1))
st.write(f"Pressed {presses} times")
"""


def test_a_page_is_drawn_in_its_place_while_a_fragment_runs(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    script = tmp_path / "page.py"
    script.write_text(PAGE, encoding="utf-8")
    options = ("--runner.fastReruns=false", "--browser.gatherUsageStats=false")
    command = (sys.executable, "-m", "streamlit", "run", str(script), *options)
    page = browser.new_page()
    page.goto(start_server(tmp_path / "library", command, model=None).url)
    main = page.get_by_test_id("stMain")
    for number in range(1, 8):
        main.get_by_role("button", name="Press").click()
        expect(main.get_by_text(f"Pressed {number} times")).to_be_visible()
        page.wait_for_timeout(330)  # another moment of the fragment each time
    page.close()
