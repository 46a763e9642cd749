"""Additions to the library: photos that a person sends, and what the person says of their tags."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tagger.errors import BusyError
from tagger.library.labels.names import validate_label
from tagger.library.library import Library
from tagger.library.records import Photo
from tagger.service.model_cache import ModelCache
from tagger.service.settings import ANSWER_SECONDS
from tagger.service.worker_pool import PhotoTask, WorkerPool
from tagger.tagger import Tagger


@dataclass(frozen=True)
class AddedTags:
    """A photo of the library after an addition; `is_new` if it was not there before."""

    photo: Photo
    is_new: bool


class LibraryWriter:
    """Adds photos one at a time, so that memory for one alone is needed."""

    def __init__(self, library: Library, models: ModelCache, pool: WorkerPool) -> None:
        self._library, self._models, self._pool = library, models, pool
        self._adding = asyncio.Lock()

    async def add_photo(
        self, name: str, data: bytes, add: Sequence[str], remove: Sequence[str]
    ) -> AddedTags:
        """Add a photo, tagged by the models in use, with tags that are right and ones that are not.

        A photo that the library has already gets the tags alone. A worker process decodes it first,
        within the limits of photos to tag. Raises ImageError, OptionError for an invalid tag,
        BusyError if there is no room or no time.
        """
        for label in (*add, *remove):
            validate_label(label)
        tagger = self._models.active
        await self._try_to_decode(data, tagger)
        async with self._adding:
            return await asyncio.to_thread(self._add, name, data, add, remove)

    async def edit_tags(
        self, photo_id: int, add: Sequence[str], remove: Sequence[str]
    ) -> AddedTags:
        """Add and remove tags of a photo. Raises OptionError for an invalid tag or photo."""

        def edit() -> Photo:
            self._library.photo(photo_id)
            self._library.edit_tags([photo_id], add, remove)
            return self._library.photo(photo_id)

        return AddedTags(await asyncio.to_thread(edit), is_new=False)

    async def _try_to_decode(self, data: bytes, tagger: Tagger) -> None:
        (task,) = self._pool.submit([PhotoTask(lambda: tagger, data, top=1)])
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.wrap_future(task)
        except TimeoutError:
            raise BusyError(f"not answered within {ANSWER_SECONDS:.0f} s") from None
        finally:
            self._pool.give_up([task])

    def _add(self, name: str, data: bytes, add: Sequence[str], remove: Sequence[str]) -> AddedTags:
        taggers = [self._models.get_used(model) for model in self._library.models_in_use()]
        added = self._library.add_photo(name, data, taggers, add, remove)
        return AddedTags(added.photo, is_new=not added.duplicate)
