"""Search: a query, its results as grid or table, exports of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from frontend.components import search_box, undo_line
from frontend.photos import edits, exports, gallery, saved_searches
from frontend.ui import url_state
from frontend.ui.library import count_tags, open_library
from frontend.ui.messages import show_error
from frontend.ui.pages import IMPORT
from frontend.ui.photo_lists import SORTS, read_sort
from frontend.ui.text import escape_markdown
from frontend.ui.tiles import describe_likeness, short_label
from tagger.errors import QueryError
from tagger.inference.registry import display_name
from tagger.inference.words import split_words
from tagger.library.descriptions import MAX_LIKE
from tagger.library.records import DescriptionSummary, Photo, PhotoPage, Sort
from tagger.library.search.grammar import (
    And,
    Flag,
    Label,
    Like,
    Not,
    Or,
    Query,
    format_query,
    parse,
)
from tagger.library.search.interpretation import Interpretation
from tagger.library.search.partial import PartialMatch, find_partial_matches
from tagger.library.search.suggestions import Suggestion
from tagger.text import LISTED, count_noun, escape_controls, list_first, upper_first

PAGE = "search"
QUERY, FORM, SORT = "q", "as", "sort"  # query parameters
GRID, TABLE = "Grid", "Table"
TABLE_ROWS = 200  # of a page of the table
MAX_EXPLAINED = 8  # tags that a word of the query finds
LIKENESS = {"likeness": "Best match"}  # the order of what a description finds


def show() -> None:
    st.title("Search", anchor=False)
    gallery.keep_full_width()
    edits.show_retag_job(PAGE)
    library = open_library()
    if not library.count():
        st.markdown("Your library is empty.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        undo_line.show(PAGE)
        return
    query = search_box.show_search_box(
        QUERY, key="search-box", saved=saved_searches.load_searches()
    )
    explanation = st.container(gap="xsmall")
    try:
        page = library.search(query, limit=0)
        with explanation:
            _explain(library.explain(page.tag_query or query), page.tag_query)
    except QueryError as error:
        show_error(f"{upper_first(str(error))}.")
        st.code(error.with_caret(), language=None)
        _offer_examples()
        return
    if not query:
        _offer_examples()
    _show_results(query, page)


def _explain(words: Sequence[Interpretation], tag_query: str | None) -> None:
    """A line with the query that plain words were read as, and the tags found by each word.

    A word that finds itself alone is left out.
    """
    lines = [] if tag_query is None else [f"Searched for: {tag_query}"]
    lines += [f"{word.word}: {_list_tags(word.tags)}" for word in words if word.is_wider]
    if lines:
        st.caption(escape_markdown(" · ".join(lines)))


def _list_tags(tags: Sequence[str]) -> str:
    """The first tags, and the number of the others: "dog, cat and 310 more"."""
    rest = len(tags) - MAX_EXPLAINED
    return ", ".join(tags[:MAX_EXPLAINED]) + (f" and {rest:,} more" if rest > 0 else "")


def _offer_examples() -> None:
    with st.container(horizontal=True, gap="small", key="search-examples"):
        describes = open_library().space() is not None
        for example in example_queries(count_tags(), describes):
            st.button(
                escape_markdown(example),
                key=f"search-example-{example}",
                type="tertiary",
                on_click=url_state.on_click(**{QUERY: example}),
            )


def example_queries(tags: Sequence[tuple[str, int]], describes: bool = False) -> list[str]:
    """Queries to try, with the library's most frequent `tags` and this year.

    `describes`: there is a model that understands descriptions.
    """
    labels = [Label(name) for name, _ in tags[:2]]
    queries: list[Query] = list(labels[:1])
    if len(labels) == 2:
        queries += [And((labels[0], Not(labels[1]))), Or(tuple(labels))]
    states: list[Query] = [Flag("untagged"), Flag("favourite")]
    described = ["dogs on a beach"] if describes else []
    month = f"added>={datetime.now():%Y-%m}"
    return [*map(format_query, queries), *described, *map(format_query, states), month]


_SYNTAX = """
- `dog cat`: photos with both tags. `dog OR cat`: with either. `-cat` or `NOT cat`: without it.
  `( )` group terms.
- A word also finds synonyms and kinds: `animal` finds dogs and golden retrievers, `people` men and
  children. `tag==person` is that tag only.
- `"golden retriever"`: quotes for a tag of two words. `gold*`: every tag that starts with gold.
- `like:beach`, `like:"two dogs in the snow"`: photos that look like a description, best match
  first. `-like:beach` leaves them out.
- Plain words work too: `a dog in the snow` finds photos tagged dog and snow. If there are none, the
  words are used as a description.
- `untagged`: no tags. `tagged`. `unknown`: no tag found by the model. `reviewed`: reviewed by you.
  `missing`: the file was gone when its folder was last imported.
- `favourite`: favourites. `rating>=3`: at least three stars. `caption:birthday`: part of a caption.
- `score>=0.8`: tags with at least this confidence. `by:person`: tags added or confirmed by you.
- `added>2026-01-01`, `taken:2024-05`: a year, month or day.
- `name:holiday`, `folder:/photos/2024`: part of the file name, or of its folder. With `*`, all of
  it: `name:img_*.jpg`, `folder:*/raw`.
- `model:pets`: tagged by this model. `run:12`: changed by this operation. `id:5`: one photo.
"""


def _show_results(query: str, page: PhotoPage) -> None:
    """The photos of a query, of which `page` has none yet."""
    count, description = page.total, page.description
    # What finds the same photos for exports and edits, which read no plain words.
    fallback = None if description is None else description.fallback
    exact_query = page.tag_query or fallback or query
    is_described = description is not None and description.understood
    sorts = {**LIKENESS, **SORTS} if is_described else SORTS
    with st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", key="search-shown"
    ):
        by = " by description" if is_described else ""
        st.markdown(f"**{count_noun(count, 'photo')}** found{by}", width="stretch")
        # On a phone these come from below, as the gallery's filters do.
        with st.container(horizontal=True, width="content", gap="xsmall", key="filters"):
            form = url_state.segmented_control("View", FORM, [GRID, TABLE], compact=True)
            sort = read_sort(url_state.selectbox("Sort", SORT, sorts, width=150, compact=True))
            if query:
                saved_searches.offer_saving(query, PAGE)
            if count:
                _offer_exports(exact_query, count)
            with st.popover("Help", icon=":material/help:", key="search-help"):
                st.markdown("**Search help**")
                st.markdown(_SYNTAX)
    if description is not None and (sentences := explain_description(description, count)):
        st.caption(escape_markdown(" ".join(sentences)))
    if page.tag_query is None:
        _offer_suggestions(query, description, count)
    if not count or fallback is not None:
        _offer_parts(query, count)
    else:
        _offer_tags(query, more_than=count)
    opened = _show_table(exact_query, sort, count) if form == TABLE and count else None
    gallery.show_gallery(
        PAGE,
        exact_query,
        sort,
        empty="No photos match.",
        labels=bool(query),
        tiles=form == GRID or not count,
        opened=opened,
    )


def _offer_parts(query: str, count: int) -> None:
    """The query's parts that find photos by themselves, where none match, or by description alone.

    Examples if there are none at all.
    """
    library = open_library()
    matches = find_partial_matches(query, lambda part: library.search(part, limit=0))
    if count:
        matches = [match for match in matches if not match.by_description]
    if not matches:
        if not count:
            _offer_tags(query)
            _offer_examples()
        return
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="search-parts"
    ):
        st.markdown("Partial matches:", width="content")
        for match in matches:
            _offer_query(match.query, describe_match(match), f"search-part-{match.query}")
        if not count:
            _offer_tags(query)


def describe_match(match: PartialMatch) -> str:
    """A part of a query with what it finds: "beach: 40 by description", "sea: 12 by tag"."""
    by = "description" if match.by_description else "tag"
    is_of_tags = isinstance(parse(match.query), Label | Like)
    return f"{match.query}: {match.count:,}" + (f" by {by}" if is_of_tags else "")


def _offer_query(query: str, label: str, key: str) -> None:
    st.button(escape_markdown(label), key=key, on_click=url_state.on_click(**{QUERY: query}))


def explain_match(photo: Photo, results: PhotoPage) -> str:
    """Why a photo was found: tags, a description, or both."""
    reasons = list(results.matching_tags.get(photo.id, ()))
    return " · ".join(filter(None, [*reasons, describe_likeness(photo.id, results)]))


def explain_description(description: DescriptionSummary, count: int) -> list[str]:
    """Why `count` photos were found by a description, and what is not among them, in sentences."""
    sentences = []
    model = display_name(description.model)
    without_tags = f"No photo has {_name_tags(description.missing_tags)}"
    if description.fallback is not None and count:
        sentences.append(f"{without_tags}. These photos match the description.")
    elif description.fallback is not None:
        sentences.append(f"{without_tags}, and none matches the description.")
    if not description.understood:
        words = list_first(description.unknown_words)
        sentences.append(f"{without_tags}. {model} doesn’t know these words: {words}.")
    elif description.unknown_words:
        words = list_first(description.unknown_words)
        sentences.append(f"{model} doesn’t know: {words}.")
    if description.left_out:
        photos = count_noun(description.left_out, "photo")
        best = f"the best {MAX_LIKE}"
        sentences.append(f"Showing {best}; {photos} more match. Add a tag or a date.")
    if description.not_compared:
        photos = count_noun(description.not_compared, "photo")
        sentences.append(f"{photos} can’t be found by description yet: see History.")
    return sentences


def _name_tags(tags: Sequence[str]) -> str:
    """The tags that no photo has: "the tag “a”", "the tags “a” or “b”"."""
    if not tags:
        return "tags for all of these words"
    names = [f"“{tag}”" for tag in tags[:LISTED]]
    names += [f"{len(tags) - LISTED:,} more"] if len(tags) > LISTED else []
    *most, last = names
    return f"the tags {', '.join(most)} or {last}" if most else f"the tag {last}"


def _offer_suggestions(query: str, description: DescriptionSummary | None, count: int) -> None:
    """Buttons with tags and words to try for words of the query that find nothing."""
    by_tag: dict[str, list[Suggestion]] = defaultdict(list)
    for suggestion in open_library().suggest_tags(query):
        if _is_of_use(suggestion, description, count):
            by_tag[suggestion.missing_tag].append(suggestion)
    for missing_tag, suggestions in by_tag.items():
        with st.container(
            horizontal=True,
            vertical_alignment="center",
            gap="small",
            key=f"search-meant-{missing_tag}",
        ):
            message = (
                f"More general than “{missing_tag}”:"
                if suggestions[0].is_wider
                else f"No photo has the tag “{missing_tag}”. Did you mean"
            )
            st.markdown(escape_markdown(message), width="content")
            for suggestion in suggestions:
                st.button(
                    escape_markdown(suggestion.similar_tag),
                    key=f"search-meant-{missing_tag}-{suggestion.similar_tag}",
                    on_click=url_state.on_click(**{QUERY: suggestion.query}),
                )


def _offer_tags(query: str, more_than: int = 0) -> None:
    """A button for the tags that a description names, if they find more photos than it does."""
    tree = parse(query)
    if not isinstance(tree, Like):
        return
    try:
        page = open_library().search(tree.text, limit=1)
    except QueryError:  # its words mean something else in a query
        return
    if page.total > more_than and page.description is None:
        label = f"{tree.text}: {page.total:,} by tags"
        _offer_query(tree.text, label, "search-by-tags")


def _is_of_use(suggestion: Suggestion, description: DescriptionSummary | None, count: int) -> bool:
    """Whether a word may be meant otherwise: a description that found photos understood it."""
    if description is None or description.fallback is None:
        return True
    if not set(split_words(suggestion.missing_tag)).isdisjoint(description.unknown_words):
        return True
    return suggestion.is_wider and not count


def _show_table(query: str, sort: Sort, count: int) -> int | None:
    """A page of a table of the results; the id of the photo whose row is selected."""
    first = (url_state.pagination(-(-count // TABLE_ROWS)) - 1) * TABLE_ROWS
    results = open_library().search(query, sort, first, TABLE_ROWS)
    photos = results.photos
    st.html(_TABLE_STYLE)
    with st.container(key="search-table"):
        table = st.dataframe(
            {
                "Photo": [escape_controls(photo.name) for photo in photos],
                "Tags": [escape_controls(_describe_tags(photo)) for photo in photos],
                "Match": [escape_controls(explain_match(photo, results)) for photo in photos],
                "Confidence": [photo.confidence for photo in photos],
                "Model": [photo.model and display_name(photo.model) for photo in photos],
                "Taken": [photo.taken_at for photo in photos],
                "Added": [photo.added_at.astimezone().replace(tzinfo=None) for photo in photos],
                "Folder": [escape_controls(str(photo.path.parent)) for photo in photos],
            },
            hide_index=True,
            column_config={
                "Confidence": st.column_config.NumberColumn(format="percent"),
                "Taken": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
                "Added": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            },
            key="search-rows",
            on_select="rerun",
            selection_mode="single-row",
            placeholder="",
            alt="Search results",
        )
    st.caption("Select a row to open its photo.")
    rows = table["selection"]["rows"]
    return photos[rows[0]].id if rows else None


def _offer_exports(query: str, count: int) -> None:
    """A menu of exports, beside the box."""
    with st.popover("Export", icon=":material/download:", key="search-export"):
        st.markdown(f"**Export {count_noun(count, 'photo')}**")
        with st.container(horizontal=True, vertical_alignment="center", key="search-exports"):
            exports.offer_tables(query)
        exports.offer_zip(query, count)
        with st.expander("Save as training folder", key="search-save-folder"):
            exports.offer_dataset(query, count, key="search-collection")


# Streamlit's own CSV download does not escape formulas; our export does.
_TABLE_STYLE = """<style>
.st-key-search-table [data-testid="stElementToolbar"] { display: none; }
</style>"""


def _describe_tags(photo: Photo) -> str:
    if photo.tags:
        return ", ".join(tag.label for tag in photo.tags)
    return short_label(photo)


show()
