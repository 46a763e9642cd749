"""What routes depend on: the application's predictor, and options that exist."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from tagger.errors import OptionError
from tagger.service.access import OPEN_PATHS
from tagger.service.predictor import Predictor


def predictor(request: Request) -> Predictor:
    """The application's predictor."""
    return cast(Predictor, request.app.state.predictor)


async def reject_unknown_options(request: Request) -> None:
    """OptionError for a query parameter that the route does not have, such as a misspelt one.

    The open routes take any, since probes add their own.
    """
    if request.scope["route"].path in OPEN_PATHS:
        return
    names = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in names:
            allowed = f"the options are {', '.join(sorted(names))}" if names else "there are none"
            raise OptionError(f"there is no option {name[:60]!r}; {allowed}")
