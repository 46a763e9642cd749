"""Routes that add to the library, and the tags to choose from; the administrator's alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Path, Query, Request, UploadFile

from tagger.errors import OptionError
from tagger.images.decode import FORMAT_NAMES
from tagger.library.photos import MAX_ID
from tagger.service import schemas
from tagger.service.dependencies import predictor, reject_unknown_options
from tagger.service.errors import ERROR_RESPONSES, PHOTO_ERROR_RESPONSES
from tagger.service.library_writer import AddedTags

MAX_TAGS = 50  # to add, and to remove, in a request
MAX_LISTED = 5_000  # tags of the library, the most frequent first

router = APIRouter(responses=ERROR_RESPONSES, dependencies=[Depends(reject_unknown_options)])

Added = Annotated[
    list[str], Query(max_length=MAX_TAGS, description="a tag that belongs to it; repeatable")
]
Removed = Annotated[
    list[str], Query(max_length=MAX_TAGS, description="a tag that does not; repeatable")
]


@router.get("/tags")
def tags(request: Request) -> schemas.TagList:
    """The library's tags with their numbers of photos, the most frequent first."""
    counts = predictor(request).library.label_counts()[:MAX_LISTED]
    return schemas.TagList(
        tags=[schemas.TagCount(label=label, photos=count) for label, count in counts],
        may_edit=bool(getattr(request.state, "may_edit", False)),
    )


@router.post("/library/photos", responses=PHOTO_ERROR_RESPONSES)
async def add_photo(
    request: Request,
    file: Annotated[list[UploadFile], File(min_length=1, max_length=1, description=FORMAT_NAMES)],
    add: Added = [],  # noqa: B006 - FastAPI copies it
    remove: Removed = [],  # noqa: B006
) -> schemas.LibraryPhoto:
    """Add a photo to the library, as a copy, and say which tags belong to it.

    The models in use tag it. A photo that is there already gets the tags alone, so that a request
    may be sent again. The app's History can undo it.
    """
    if unknown := (await request.form()).keys() - {"file"}:
        fields = ", ".join(sorted(unknown))[:60]
        raise OptionError(f"there is no field {fields!r}; a photo goes into file, tags in the URL")
    name = file[0].filename or "photo"
    added = await predictor(request).writer.add_photo(name, await file[0].read(), add, remove)
    return _to_line(added)


@router.post("/library/photos/{id}/tags")
async def edit_tags(
    request: Request,
    id: Annotated[int, Path(ge=1, lt=MAX_ID)],
    add: Added = [],  # noqa: B006
    remove: Removed = [],  # noqa: B006
) -> schemas.LibraryPhoto:
    """Say which tags belong to a photo of the library and which do not."""
    return _to_line(await predictor(request).writer.edit_tags(id, add, remove))


def _to_line(added: AddedTags) -> schemas.LibraryPhoto:
    photo = added.photo
    return schemas.LibraryPhoto(
        id=photo.id,
        name=photo.name,
        sha256=photo.sha256,
        added=added.is_new,
        tags=[
            schemas.PhotoTag(label=t.label, score=t.score, by_person=t.by_person, model=t.model)
            for t in photo.tags
        ],
    )
