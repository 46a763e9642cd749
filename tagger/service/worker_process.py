"""A process that tags photos, so that it can be killed whatever a photo makes of its decoder.

It serves one connection until that is closed. Memory and processor time of a photo are limited by
the operating system as well (memory on Linux alone), in case the service itself has gone.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tagger.concurrency import one_blas_thread
from tagger.errors import ImageError, ImageFormatError, ImageTooLargeError, TaggerError
from tagger.images import decode
from tagger.service.model_cache import smoke_test
from tagger.tagger import HEATMAP_SIDE, Prediction, Tagger

MB = 2**20
SMALL_MEMORY = 96 * MB  # a photo that needs more waits for room; a phone's HEIC takes 85
SMALL_PIXELS = 400_000_000  # likewise; a progressive JPEG sends each in some ten scans
TRIMMED_MEMORY = 16 * MB  # after a photo that needs more, free memory returns to the system
SLACK = 64 * MB  # beside what a photo needs: the network, threads of decoders
SPARE_SECONDS = 5  # of processor time, before the system ends a process nobody ends
NICENESS = 10  # processes with little to do, such as the service's own, go first
LARGE_NICENESS = 5  # on top of that, for a large photo
OOM_SCORE = 500  # of 1000: the system, out of memory, ends this rather than the service


@dataclass(frozen=True)
class TagRequest:
    """What to do with the photo whose bytes follow; `model` was sent before, under this key.

    `memory` is what it may take; a photo that needs more is not decoded: the reply is `NeedsMore`.
    `seconds` is its limit.
    """

    model: str
    top: int
    threshold: float | None
    heatmap: bool
    memory: int
    seconds: float


@dataclass(frozen=True)
class TaggedPhoto:
    """The prediction for one photo, the SHA-256 of its bytes, and a JPEG of its heatmap."""

    prediction: Prediction
    sha256: str
    heatmap: bytes | None = None


@dataclass(frozen=True)
class NeedsMore:
    """A large photo, which needs so many bytes of memory."""

    memory: int


@dataclass(frozen=True)
class AddModel:
    """A model for later requests."""

    key: str
    tagger: Tagger


@dataclass(frozen=True)
class DropModel:
    """Forget a model."""

    key: str


@dataclass(frozen=True)
class CheckModel:
    """Tag a grey picture."""

    key: str


Request = TagRequest | AddModel | DropModel | CheckModel
Reply = TaggedPhoto | NeedsMore | TaggerError | None


def run(connection: Connection) -> None:
    """Answer requests, each with one reply, until the other end is closed."""
    _prepare_process()
    taggers: dict[str, Tagger] = {}
    with suppress(EOFError, OSError), one_blas_thread():
        while True:
            request: Request = connection.recv()
            photo = connection.recv_bytes() if isinstance(request, TagRequest) else b""
            try:
                reply = _answer(taggers, request, photo)
            except TaggerError as error:
                reply = error
            connection.send(reply)


def _answer(taggers: dict[str, Tagger], request: Request, photo: bytes) -> Reply:
    """Raises TaggerError."""
    if isinstance(request, AddModel):
        taggers[request.key] = request.tagger
        smoke_test(request.tagger)
    elif isinstance(request, DropModel):
        taggers.pop(request.key, None)
    elif isinstance(request, CheckModel):
        smoke_test(taggers[request.key])
    else:
        return _tag(taggers[request.model], request, photo)
    return None


def _tag(tagger: Tagger, request: TagRequest, photo: bytes) -> TaggedPhoto | NeedsMore:
    is_small = request.memory <= SMALL_MEMORY
    if not is_small:
        _lower_priority(LARGE_NICENESS)
    with _limited(request.memory + SLACK, request.seconds):
        side = max(tagger.image_size, HEATMAP_SIDE if request.heatmap else 0)
        cost = decode.estimate_cost(photo, side)
        if is_small and (cost.memory > request.memory or cost.pixels > SMALL_PIXELS):
            return NeedsMore(max(cost.memory, SMALL_MEMORY + MB))
        try:
            prediction = tagger.tag(photo, top=request.top, threshold=request.threshold)
        except (ImageFormatError, ImageTooLargeError):
            raise
        except ImageError as error:
            if is_small and isinstance(error.__context__, MemoryError):
                return NeedsMore(2 * SMALL_MEMORY)
            raise
        finally:
            if cost.memory > TRIMMED_MEMORY:
                _return_memory()
    heatmap = None
    if request.heatmap:  # without the limit on memory, since Grad-CAM loads TensorFlow
        heatmap = decode.encode(tagger.heatmap(photo), "JPEG")
    return TaggedPhoto(prediction, hashlib.sha256(photo).hexdigest(), heatmap)


def _prepare_process() -> None:
    """Signals to the whole group or container are for the service, which ends its workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _lower_priority(NICENESS)
    with suppress(OSError):
        open("/proc/self/oom_score_adj", "w").write(str(OOM_SCORE))  # noqa: SIM115
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a photo may crash it as it likes


def _lower_priority(niceness: int) -> None:
    with suppress(OSError, AttributeError):
        os.nice(niceness)


def _return_memory() -> None:
    """Give what malloc keeps for later back to the system, where the C library can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def _limited(memory: int, seconds: float) -> Iterator[None]:
    """Limit what this process takes beyond what it has now."""
    if sys.platform != "linux":
        yield
        return
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    processor = int(usage.ru_utime + usage.ru_stime + seconds + SPARE_SECONDS)
    limits = {resource.RLIMIT_DATA: _data_size() + memory, resource.RLIMIT_CPU: processor}
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, limit in limits.items():
        _, hard = before[kind]
        within = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (within, hard))
    try:
        yield
    finally:
        for kind, limit_before in before.items():
            resource.setrlimit(kind, limit_before)


def _data_size() -> int:
    """Bytes of private memory, as RLIMIT_DATA counts them."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[5])
    return pages * os.sysconf("SC_PAGE_SIZE")
