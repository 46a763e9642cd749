"""The app: its pages, and beside every page the active model and what is going on.

streamlit run frontend/app.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # Streamlit adds only this file's own folder
    sys.path.insert(0, str(HERE.parent))


from frontend.components import html_blocks  # noqa: E402
from frontend.ui.library import open_library  # noqa: E402
from frontend.ui.messages import show_errors, show_notices  # noqa: E402
from frontend.ui.models import activate_model, list_models, model_title  # noqa: E402
from frontend.ui.pages import ACTIVITY  # noqa: E402
from frontend.ui.text import escape_markdown  # noqa: E402

MODEL_KEY = "active-model"
JOBS_SHOWN = 3
JOBS_SECONDS = 2.0  # between two looks at the jobs going on

# A frame of film in the colour of a safelight.
MARK = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect x="2" y="5" width="28" height="22" rx="3" fill="#c4532d"/>
<rect x="8" y="9" width="16" height="14" rx="1.5" fill="#fbf7f0"/>
<circle cx="16" cy="16" r="4" fill="#c4532d"/>
</svg>"""


def main() -> None:
    """Draw the page asked for, or the sentence that says why the library cannot be opened."""
    st.set_page_config("Image Tagger", page_icon=MARK, layout="wide")
    st.html(HERE / "ui" / "style.css")
    st.html(html_blocks.CSS)
    page = st.navigation(pages())
    with show_errors():
        open_library()
        with show_errors():  # without a model photos can still be looked at
            choose_model()
        show_jobs()
        show_notices()
        page.run()


def pages() -> dict[str, list[st.Page]]:
    """The pages by what they are for."""
    return {
        "Tag": [
            _page("tag", "Tag a photo", "center_focus_strong", default=True),
            _page("import_photos", "Import", "add_photo_alternate"),
        ],
        "Find": [
            _page("gallery", "Gallery", "grid_view"),
            _page("search", "Search & export", "search"),
            _page("review", "Review", "fact_check"),
        ],
        "Teach": [
            _page("train", "Train", "school"),
            _page("models", "Models", "deployed_code"),
        ],
        "Look back": [_page("activity", "Activity", "monitoring")],
    }


def _page(view: str, title: str, icon: str, default: bool = False) -> st.Page:
    return st.Page(
        HERE / "views" / f"{view}.py", title=title, icon=f":material/{icon}:", default=default
    )


def choose_model() -> None:
    """Switch the model that tags, from any page."""
    library = open_library()
    names = list_models()
    st.session_state[MODEL_KEY] = library.active_model()  # another tab may have switched it
    st.sidebar.selectbox(
        "Model",
        names,
        format_func=model_title,
        key=MODEL_KEY,
        on_change=_switch,
        help="Tags the photos you drop and import. Teach one of your own on the Train page.",
    )


def _switch() -> None:
    with show_errors():
        activate_model(st.session_state[MODEL_KEY])


def show_jobs() -> None:
    """What is going on, briefly; looked at again and again only while something is."""
    going_on = open_library().operations(limit=1, active=True)
    with st.sidebar:
        st.fragment(_draw_jobs, run_every=JOBS_SECONDS if going_on else None)()


def _draw_jobs() -> None:
    with show_errors():
        active = open_library().operations(JOBS_SHOWN, active=True)
        for run in active:
            st.progress(run.progress or 0.0, text=escape_markdown(run.title))
        if active:
            st.page_link(ACTIVITY, label="See all activity")


main()
