"""The app's pages: navigation, and a sidebar with the active model and the jobs in progress.

Streamlit runs this script for each view of a page; `app.py` serves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from frontend.components import html_blocks, job_panel, undo_line
from frontend.components.search_links import show_search_links
from frontend.photos import saved_searches
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import (
    catch_errors,
    forget_errors,
    forget_notices,
    forget_unused_clicks,
    notify,
    run_action,
    show_errors,
    show_notices,
)
from frontend.ui.models import activate_model, list_models, model_title
from frontend.ui.navigation import follow_search, show_navigation
from frontend.ui.pages import ACTIVITY, IMPORT
from frontend.ui.phone_bar import show_phone_bar
from frontend.ui.text import escape_markdown
from frontend.ui.uninterrupted import draw_page, finish_callbacks, finish_first, leave_fragment
from frontend.ui.watching import open_watch
from tagger.inference.registry import display_name
from tagger.library.operations import MAX_ACTIVE
from tagger.text import count_noun

HERE = Path(__file__).resolve().parent
MODEL_KEY = "active-model"
ACTIVE_JOBS_KEY = "active-jobs"  # session state: ids of the jobs in progress, when last drawn
MAX_JOBS = 3  # in the sidebar
REFRESH_SECONDS = 2.0  # while jobs are in progress

# A frame of film in the colour of a safelight.
ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect x="2" y="5" width="28" height="22" rx="3" fill="#c4532d"/>
<rect x="8" y="9" width="16" height="14" rx="1.5" fill="#fbf7f0"/>
<circle cx="16" cy="16" r="4" fill="#c4532d"/>
</svg>"""


def main() -> None:
    """Draw the selected page, or the error if the library cannot be opened."""
    finish_callbacks()
    leave_fragment()
    st.set_page_config("Image Tagger", page_icon=ICON, layout="wide")
    st.html(HERE / "ui" / "style.css")
    st.html(html_blocks.CSS)
    sections = pages()
    page = st.navigation(sections, position="hidden")
    follow_search()
    show_navigation(sections)
    with catch_errors():
        open_library()
        searches = saved_searches.load_searches()
        show_phone_bar(sections, page, searches)
        with catch_errors():  # photos can be viewed without a model
            show_model_choice()
        show_searches(page, searches)
        show_jobs(page)
        undo_line.forget_on_other_page(page.url_path)
        with st.container():  # the page below stays where it is
            show_notices()
            show_errors()
        url_state.follow_link(page.url_path)
        with catch_errors():
            page.run()
        forget_errors()
        forget_unused_clicks()


def pages() -> dict[str, list[st.Page]]:
    """The pages by section of the navigation."""
    return {
        "Tag": [
            _make_page("tag", "Tag a photo", "center_focus_strong", default=True),
            _make_page("import_photos", "Import", "add_photo_alternate"),
        ],
        "Find": [
            _make_page("gallery", "Gallery", "grid_view"),
            _make_page("search", "Search", "search"),
            _make_page("tags", "Tags", "sell"),
            _make_page("review", "Review", "fact_check"),
        ],
        "Train": [
            _make_page("teach", "Teach a tag", "model_training"),
            _make_page("train", "Train a model", "school"),
            _make_page("models", "Models", "deployed_code"),
        ],
        "Library": [
            _make_page("duplicates", "Duplicates", "filter_none"),
            _make_page("activity", "History", "history"),
        ],
    }


def _make_page(view: str, title: str, icon: str, default: bool = False) -> st.Page:
    return st.Page(
        HERE / "views" / f"{view}.py", title=title, icon=f":material/{icon}:", default=default
    )


def show_model_choice() -> None:
    """A select box for the active model."""
    names = list_models()
    active, *more = open_library().models_in_use()
    st.session_state[MODEL_KEY] = active  # another tab may have changed it
    st.sidebar.selectbox(
        "Model",
        names,
        format_func=model_title,
        key=MODEL_KEY,
        on_change=run_action,
        args=(_activate_selected,),
        help="Tags the photos you add. You can train one of your own.",
    )
    if more:
        also = ", ".join(map(display_name, more))
        st.sidebar.caption(escape_markdown(f"Also in use: {also}"))


def _activate_selected() -> None:
    activate_model(st.session_state[MODEL_KEY])


def show_searches(page: st.Page, searches: Mapping[str, str]) -> None:
    """Links to the searches that were saved, and to the latest."""
    current = st.query_params.get("q") if page.url_path == "search" else None
    with st.sidebar:
        show_search_links(searches, current)


def show_jobs(page: st.Page) -> None:
    """Progress bars of the jobs in progress, refreshed while there are any.

    When one ends, a message says so, and the page is drawn again: its photos may have changed.
    """
    _note_ended(page.url_path)
    is_busy = open_library().operations(limit=1, active=True) or open_watch().looking
    with st.sidebar:
        st.fragment(_draw_jobs, run_every=REFRESH_SECONDS if is_busy else None)(page.url_path)


def _note_ended(url_path: str) -> bool:
    """Note which jobs are in progress; whether one has ended since, which a notice says.

    `url_path` is the page's: that of imports shows itself how each ended.
    """
    library = open_library()
    with finish_first():
        active = [job.id for job in library.operations(MAX_ACTIVE, active=True)]
        earlier: list[int] = st.session_state.get(ACTIVE_JOBS_KEY, [])
        st.session_state[ACTIVE_JOBS_KEY] = active
        if not set(active) <= set(earlier):
            forget_notices()  # what ended before is said no longer
        ended = [library.operation(job_id) for job_id in earlier if job_id not in active]
        ended = [job for job in ended if not job.active]
        for job in ended:
            if job.kind != "import" or url_path != "import_photos":
                notify(job_panel.describe_ended(job))
    return bool(ended)


def _draw_jobs(url_path: str) -> None:
    with catch_errors():
        if _note_ended(url_path):
            draw_page()
        jobs = open_library().operations(MAX_JOBS, active=True)
        for job in jobs:
            st.progress(job.progress or 0.0, text=escape_markdown(job.title))
        if count := open_watch().count:
            changes = count_noun(count, "change")
            st.page_link(IMPORT, label=f"{changes} in watched folders", icon=":material/sync:")
        if jobs:
            st.page_link(ACTIVITY, label="See all jobs")


main()
