"""Search & export: photos by what is in them, when they were taken, who said what of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import cast

import streamlit as st

from frontend.components import photo_grid
from frontend.components.photo_grid import GridEvents
from frontend.photos import details, edits, exports, selection_bar
from frontend.photos.details import Found
from frontend.ui import url_state
from frontend.ui.library import count_tags, open_library
from frontend.ui.pages import IMPORT
from frontend.ui.text import escape_markdown
from tagger.errors import QueryError
from tagger.library.records import Photo, Sort
from tagger.library.search.grammar import And, Condition, Flag, Label, Not, Or, Query, format_query
from tagger.library.search.suggestions import Suggestion
from tagger.text import count_noun, escape_controls

PAGE = "search"
QUERY, FORM, SORT = "q", "as", "sort"  # of the address
GRID, TABLE = "Grid", "Table"
GRID_KEY = "search-grid"
PAGE_SIZES = {GRID: 48, TABLE: 200}


def show() -> None:
    """The whole page: one photo where the address names one, otherwise the search."""
    if (photo := details.asked()) is not None:
        size = PAGE_SIZES.get(url_state.said(FORM) or GRID, PAGE_SIZES[GRID])
        found = Found(url_state.said(QUERY) or "", url_state.said(SORT) or "", size)
        details.show_photo(photo, PAGE, found)
        return
    st.title("Search & export", anchor=False)
    edits.show_work(PAGE)
    library = open_library()
    if not library.count():
        st.markdown("There is nothing to find yet: your library is empty.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        edits.show_done(PAGE)
        return
    query = url_state.write("What are you looking for?", QUERY, placeholder="dog AND NOT cat")
    _offer_examples()
    try:
        many = library.count(query)
    except QueryError as error:
        st.error(escape_markdown(f"That cannot be understood: {error}."), icon=":material/error:")
        st.code(error.with_caret(), language=None)
        return
    _show_found(query, many)


def _offer_examples() -> None:
    with st.container(horizontal=True, gap="small", key="search-examples"):
        for example in examples(count_tags()):
            st.button(
                escape_markdown(example),
                key=f"search-example-{example}",
                type="tertiary",
                on_click=url_state.link(**{QUERY: example}),
            )
    with st.expander("What can be asked"):
        st.markdown(_HOW)


def examples(known: Sequence[tuple[str, int]]) -> list[str]:
    """Searches to try, of the library's own tags and of this year."""
    labels = [Label(name) for name, _ in known[:2]]
    found: list[Query] = list(labels[:1])
    if len(labels) == 2:
        found += [And((labels[0], Not(labels[1]))), And((Or(tuple(labels)), _SURE))]
    elif labels:
        found.append(And((labels[0], _SURE)))
    found += [Flag("unknown"), Flag("untagged"), Condition("by", "=", "person")]
    return [*map(format_query, found), f"added>={datetime.now():%Y-%m}"]


_SURE = Condition("score", ">=", "0.9")

_HOW = """
- `dog cat` finds photos with both tags, `dog OR cat` those with either, `-cat` or `NOT cat` those
  without. `( )` hold together what belongs together.
- `"golden retriever"` in quotes is one tag of two words; `gold*` is every tag that begins so.
- `unknown`: the model knew nothing in it. `untagged`, `tagged`. `reviewed`: you said something.
- `score>=0.8`: only tags the model was so sure of count. `by:person`: only tags you gave do.
- `added>2026-01-01`, `taken:2024-05`: a whole year, month or day.
- `name:holiday`, `folder:/photos/2024`: a part of the file's name, or of where it lives. With a
  `*`, all of it: `name:img_*.jpg`, `folder:*/raw`.
- `model:pets`: tagged by that model last. `run:12`: changed by that run. `id:5`: that photo.
"""


def _show_found(query: str, many: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="search-shown"):
        st.markdown(f"**{count_noun(many, 'photo')}** found", width="stretch")
        form = url_state.choose_form("Shown as", FORM, [GRID, TABLE])
        sort = cast(Sort, url_state.choose("Order", SORT, details.SORTS, width=220))
    _offer_other_words(query)
    if not many:
        st.markdown("Nothing is like that. Try one of the searches above, or fewer words.")
        edits.show_done(PAGE)
        return
    place = st.container()
    size = PAGE_SIZES[form]
    first = (url_state.choose_page(-(-many // size)) - 1) * size
    page = open_library().search(query, sort, first, size)
    with place:
        answer = (
            photo_grid.show_grid(page.photos, key=GRID_KEY)
            if form == GRID
            else _show_table(page.photos)
        )
    if answer.opened is not None:
        ids = [photo.id for photo in page.photos]
        details.open_photo(answer.opened, first + ids.index(answer.opened))
        st.rerun()
    _offer_exports(query, many)
    selection_bar.offer_edits(PAGE, GRID_KEY, page, answer.selected, query)


def _offer_other_words(query: str) -> None:
    """For tags asked for that no photo has, a click away, those that were probably meant."""
    by_asked: dict[str, list[Suggestion]] = defaultdict(list)
    for suggestion in open_library().suggest_tags(query):
        by_asked[suggestion.missing_tag].append(suggestion)
    for asked, suggested in by_asked.items():
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", key=f"search-meant-{asked}"
        ):
            told = f"No photo has the tag “{asked}”. Did you mean"
            st.markdown(escape_markdown(told), width="content")
            for one in suggested:
                st.button(
                    escape_markdown(one.similar_tag),
                    key=f"search-meant-{asked}-{one.similar_tag}",
                    on_click=url_state.link(**{QUERY: one.query}),
                )


def _show_table(photos: Sequence[Photo]) -> GridEvents:
    """The photos in rows, one of which opens."""
    st.html(_TABLE_STYLE)
    with st.container(key="search-table"):
        chosen = st.dataframe(
            {
                "Photo": [escape_controls(photo.name) for photo in photos],
                "Tags": [escape_controls(_tags(photo)) for photo in photos],
                "Sure": [photo.confidence for photo in photos],
                "Model": [photo.model for photo in photos],
                "Taken": [photo.taken_at for photo in photos],
                "Added": [photo.added_at.astimezone().replace(tzinfo=None) for photo in photos],
                "Folder": [escape_controls(str(photo.path.parent)) for photo in photos],
            },
            hide_index=True,
            column_config={
                "Sure": st.column_config.NumberColumn(format="percent"),
                "Taken": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
                "Added": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            },
            key="search-rows",
            on_select="rerun",
            selection_mode="single-row",
            placeholder="",
            alt="The photos found",
        )
    st.caption("Tick a row to open its photo.")
    rows = chosen["selection"]["rows"]
    return GridEvents(opened=photos[rows[0]].id if rows else None)


def _offer_exports(query: str, many: int) -> None:
    st.subheader("Take them with you", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", key="search-exports"):
        exports.offer_tables(query)
    exports.offer_zip(query, many)
    with st.expander("Write them as a collection to train on"):
        exports.offer_collection(query, many, key="search-collection")


# The table's own menu would write a CSV file whose cells a spreadsheet may run; the export is safe.
_TABLE_STYLE = """<style>
.st-key-search-table [data-testid="stElementToolbar"] { display: none; }
</style>"""


def _tags(photo: Photo) -> str:
    if photo.tags:
        return ", ".join(tag.label for tag in photo.tags)
    return photo_grid.short_label(photo)


show()
