"""Requests of the browser that follow each other closely."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

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


@contextmanager
def script_page(
    start_server: StartServer, browser: Browser, folder: Path, script: str
) -> Iterator[Page]:
    """A page of a script, which is served as the app is: one request after the other."""
    file = folder / "page.py"
    file.write_text(script, encoding="utf-8")
    options = ("--runner.fastReruns=false", "--browser.gatherUsageStats=false")
    command = (sys.executable, "-m", "streamlit", "run", str(file), *options)
    page = browser.new_page()
    page.goto(start_server(folder / "library", command, model=None).url)
    try:
        yield page
    finally:
        page.close()


def test_a_page_is_drawn_in_its_place_while_a_fragment_runs(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    with script_page(start_server, browser, tmp_path, PAGE) as page:
        main = page.get_by_test_id("stMain")
        for number in range(1, 8):
            main.get_by_role("button", name="Press").click()
            expect(main.get_by_text(f"Pressed {number} times")).to_be_visible()
            page.wait_for_timeout(330)  # another moment of the fragment each time


ACTION = """
import time
import streamlit as st
from frontend.ui.messages import run_action
from frontend.ui.uninterrupted import finish_callbacks

finish_callbacks()

def work():
    st.session_state["begun"] = st.session_state.get("begun", 0) + 1
    time.sleep(1.5)
    st.session_state["ended"] = st.session_state.get("ended", 0) + 1

st.button("Work", on_click=run_action, args=(work,))
st.button("Something else")
begun, ended = st.session_state.get("begun", 0), st.session_state.get("ended", 0)
st.write(f"Begun {begun} times, ended {ended} times")
"""


def test_an_action_is_finished_before_the_next_request(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    with script_page(start_server, browser, tmp_path, ACTION) as page:
        expect(page.get_by_text("Begun 0 times")).to_be_visible()
        for number in range(1, 3):
            page.get_by_role("button", name="Work").click()
            page.wait_for_timeout(500)  # while it works
            page.get_by_role("button", name="Something else").click()
            text = f"Begun {number} times, ended {number} times"
            expect(page.get_by_text(text)).to_be_visible()


CLICK = """
import time
import streamlit as st
from frontend.ui.messages import act_on_click, keep_click, run_action
from frontend.ui.uninterrupted import finish_callbacks

finish_callbacks()
clicks = st.session_state.setdefault("clicks", {"Act": 0, "Keep": 0, "In a fragment": 0})

def count(name):
    clicks[name] += 1

@st.fragment
def draw_button():
    st.button("In a fragment", on_click=run_action, args=(count, "In a fragment"))

st.button("Something else")
for number in range(10):
    time.sleep(0.1)
    st.write(f"Part {number} of a long page")
st.button("Act", on_click=run_action, args=(count, "Act"))
st.button("Keep", key="keep", on_click=keep_click, args=("keep",))
act_on_click("keep", count, "Keep")
draw_button()
st.write(", ".join(f"{name}: {number} times" for name, number in clicks.items()))
"""


def test_no_click_is_lost_where_another_one_follows(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    """The second ends the run of the script before the line of the first one's button."""
    with script_page(start_server, browser, tmp_path, CLICK) as page:
        for name in ("Act", "Keep", "In a fragment"):
            expect(page.get_by_text(f"{name}: 0 times")).to_be_visible()
            page.get_by_role("button", name=name, exact=True).click()
            page.wait_for_timeout(300)  # while the page is drawn
            page.get_by_role("button", name="Something else").click()
            expect(page.get_by_text(f"{name}: 1 times")).to_be_visible()


CALLBACK = """
import streamlit as st
from frontend.ui.uninterrupted import finish_callbacks

finish_callbacks()
count = st.session_state.setdefault("count", [0])
st.button("Count", on_click=lambda: count.append(count[-1] + 1))
st.button("Something else")
st.write(f"Counted {count[-1]} times")
"""

# Clicks on both, the second a moment later: before Streamlit has called the first one's callback.
CLICK_BOTH = """moment => new Promise((resolve) => {
  const [count, other] = document.querySelectorAll(".stMain button");
  count.click();
  setTimeout(() => resolve(other.click()), moment);
})"""


def test_no_click_is_lost_where_another_one_follows_at_once(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    with script_page(start_server, browser, tmp_path, CALLBACK) as page:
        for number in range(16):
            expect(page.get_by_text(f"Counted {number} times")).to_be_visible()
            page.wait_for_timeout(100)  # until the page is at rest
            page.evaluate(CLICK_BOTH, 1 + number % 3)
        expect(page.get_by_text("Counted 16 times")).to_be_visible()


REPLACED = """
import time
import streamlit as st
from tagger.paths import ROOT

st.html(ROOT / "frontend" / "ui" / "style.css")
state = st.session_state
with st.container(horizontal=True, horizontal_alignment="right"):
    if "begun" in state:
        st.button("Go on", key="go-on", on_click=state.update, args=({"ended": True},))
    else:
        st.button("Begin with this", key="begin", on_click=state.update, args=({"begun": True},))
time.sleep(3)
st.write("Ended" if "ended" in state else "Waiting")
"""


def test_no_click_is_lost_beside_a_button_that_is_replaced(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    """What was clicked last has the focus, so that Streamlit shows it until something else has."""
    with script_page(start_server, browser, tmp_path, REPLACED) as page:
        expect(page.get_by_text("Waiting")).to_be_visible()
        page.get_by_role("button", name="Begin with this").click()
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("Ended")).to_be_visible(timeout=15_000)


MOVED = """
import time
import streamlit as st
from frontend.ui.uninterrupted import finish_callbacks

finish_callbacks()
state = st.session_state
state.setdefault("counted", 0)
state.setdefault("lines", 3)

@st.fragment
def show_part():
    with st.expander("More", key="more"):
        st.write("The rest")
    st.button("Count", on_click=lambda: state.update(counted=state.counted + 1))
    st.write(f"Counted {state.counted} times")

st.button("Move", on_click=lambda: state.update(lines=state.lines - 1))
for number in range(state.lines):
    st.write(f"Line {number + 1}")
if state.lines < 3:
    time.sleep(1)
with st.container():
    show_part()
"""


def test_no_click_is_lost_on_a_part_of_the_page_that_moves(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    """Streamlit knows a fragment by its place on the page."""
    with script_page(start_server, browser, tmp_path, MOVED) as page:
        page.get_by_text("More").click()
        for number in range(1, 3):
            page.get_by_role("button", name="Move").click()
            page.wait_for_timeout(300)  # while it is drawn anew
            page.get_by_role("button", name="Count").click()
            expect(page.get_by_text(f"Counted {number} times")).to_be_visible()
            expect(page.get_by_text("The rest")).to_be_visible()  # still opened


SHOWN = """
import streamlit as st
from frontend.ui.messages import forget_click, forget_unused_clicks, is_clicked, keep_click
from frontend.ui.uninterrupted import draw_page, finish_callbacks, is_fragment_run

finish_callbacks()
state = st.session_state
state["drawn"] = state.get("drawn", 0) + 1

@st.fragment(run_every=0.3)
def draw_anew():
    if is_fragment_run():
        draw_page()

def close():
    forget_click("ask")
    state["closed"] = state.get("closed", 0) + 1

@st.dialog("Question", on_dismiss=close)
def ask():
    st.write("Drawn again" if state["drawn"] > state["clicked"] + 3 else "Drawn")

def click():
    keep_click("ask")
    state["clicked"] = state["drawn"]

draw_anew()
st.button("Ask", key="ask", on_click=click)
if is_clicked("ask"):
    ask()
st.write(f"Closed {state.get('closed', 0)} times")
forget_unused_clicks()
"""


def test_what_a_click_opened_stays_until_it_is_closed(
    start_server: StartServer, browser: Browser, tmp_path: Path
) -> None:
    """Also where the page is drawn again and again, as when jobs end."""
    with script_page(start_server, browser, tmp_path, SHOWN) as page:
        for number in range(1, 5):
            page.get_by_role("button", name="Ask").click()
            expect(page.get_by_role("dialog").get_by_text("Drawn again")).to_be_visible()
            page.keyboard.press("Escape")
            expect(page.get_by_text(f"Closed {number} times")).to_be_visible()
            expect(page.get_by_role("dialog")).to_have_count(0)
