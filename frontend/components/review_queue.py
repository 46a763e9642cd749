"""Review queue component: thumbnails of the next photos, and a queue of keys pressed early.

The page answers a key with a run of the script on the server. A key pressed meanwhile would hit
the photo just answered, so the browser holds it back until the next photo is drawn (see
review_queue.js).
"""

from __future__ import annotations

from collections.abc import Sequence

from frontend.components.registration import register
from frontend.ui.tiles import base_path, make_tile
from tagger.library.records import Photo

_component = register("review_queue")


def show_queue(photos: Sequence[Photo], keys: Sequence[str], version: int, *, key: str) -> None:
    """Show the next photos. Call it after the buttons that `keys` press.

    `version` changes each time the page is drawn, which is how the browser knows that a key was
    answered.
    """
    tiles = [make_tile(photo) for photo in photos]
    _component(
        key=key, data={"base": base_path(), "keys": list(keys), "version": version, "photos": tiles}
    )
