"""Worker processes with a bounded queue, and a place that large photos leave to the others.

Decoders are run on files of strangers, and neither how long they take nor whether they survive is
known before. So photos are tagged in processes: one that is past its limit, or that its decoder has
ended, is replaced, and the photo gets a sentence.

A photo begins as a small one. If its header says that it needs much memory, or it is not done
within SMALL_SECONDS, it goes to the large ones. These are as many as there is memory for, and never
hold all workers, so that an ordinary photo is tagged at once whatever else has been sent.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import util
from multiprocessing.connection import Connection
from typing import Any, cast

from tagger.errors import (
    BusyError,
    ImageError,
    ImageTooLargeError,
    ModelError,
    OptionError,
    TaggerError,
)
from tagger.service import worker_process
from tagger.service.settings import MAX_PHOTOS
from tagger.service.worker_process import (
    MB,
    SMALL_MEMORY,
    AddModel,
    CheckModel,
    DropModel,
    NeedsMore,
    Reply,
    Request,
    TaggedPhoto,
    TagRequest,
)
from tagger.tagger import Tagger

# Of processor time, so that a busy machine does not end ordinary photos.
SMALL_SECONDS = 1.0  # an ordinary photo takes a tenth of it
LARGE_SECONDS = 10.0
HANG_SECONDS = 20.0  # by the clock, for what waits rather than works
WATCH_SECONDS = 0.25  # between two looks for processes that hang
LARGE_MEMORY = 480 * MB  # of all large photos together: 120 megapixels of PNG
MODEL_SECONDS = 30.0  # to send a model to a process and try it
POLL_SECONDS = 0.02  # between two looks at a process that is almost at its limit
RUNTIME = "ai_edge_litert.interpreter"  # which the first model would import
MAX_MODELS = 4  # in each process
_log = logging.getLogger(__name__)

Tagged = tuple[Tagger, TaggedPhoto]


@dataclass(frozen=True)
class PhotoTask:
    """A photo to tag: `top`, `threshold` and `heatmap` as `Tagger.tag` and `Tagger.heatmap`.

    `load` returns the model; what it raises, the task's future raises.
    """

    load: Callable[[], Tagger]
    photo: bytes
    top: int = 5
    threshold: float | None = None
    heatmap: bool = False


@dataclass(eq=False)
class _Job:
    """A task, or a check of a model. `memory` is what it may take."""

    task: PhotoTask | Tagger
    future: Future[Any]
    group: _Group
    memory: int = SMALL_MEMORY
    is_large: bool = False
    started: bool = False
    process: WorkerProcess | None = None  # while it runs
    is_given_up: bool = False


@dataclass
class _Group:
    """The tasks of one request: after one of them took too long, the rest begin as large ones."""

    is_slow: bool = False


class WorkerEndedError(Exception):
    """A worker process ended by itself, or was ended at its limit if `is_late`."""

    def __init__(self, is_late: bool) -> None:
        super().__init__(is_late)
        self.is_late = is_late


class WorkerPool:
    """Processes that decode and tag. The queue is bounded, so latency is as well."""

    def __init__(self, workers: int, queue: int) -> None:
        """`queue` is how many tasks may wait beside those that run."""
        if workers < 1 or queue < 0:
            raise OptionError(f"{workers} workers, a queue of {queue}: give at least 1 and 0")
        self.workers, self.queue = workers, queue
        self._changed = threading.Condition()
        self._small: deque[_Job] = deque()
        self._large: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._unfinished = 0
        self._closed = False
        # One more than may be at work if all photos are small: large ones leave it to the others.
        self._processes = [WorkerProcess() for _ in range(workers + 1)]
        self._threads = [
            threading.Thread(target=self._run, args=(process,), name="worker", daemon=True)
            for process in self._processes
        ]
        self._stopped = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        for thread in (*self._threads, self._watchdog):
            thread.start()
        # At exit, before multiprocessing waits for them.
        util.Finalize(self, _kill_all, (self._processes,), exitpriority=1)

    @property
    def queued(self) -> int:
        """Tasks waiting for a process."""
        return max(0, self._unfinished - self.workers)

    def submit(self, tasks: Sequence[PhotoTask]) -> list[Future[Tagged]]:
        """Queue all tasks or none; BusyError if there is no room for all of them.

        An idle pool takes any number, since a request larger than the queue would always fail. The
        futures give the model and its prediction; they raise ImageError, or what the task's `load`
        does.
        """
        group = _Group()
        jobs = [_Job(task, Future(), group) for task in tasks]
        with self._changed:
            # Large photos that wait leave the room to others.
            room = self.workers + self.queue - (self._unfinished - len(self._large))
            if self._closed or (len(jobs) > room and self._unfinished):
                raise BusyError("busy: try again in a moment")
            self._unfinished += len(jobs)
            self._small.extend(jobs)
            self._changed.notify(len(jobs))
        for job in jobs:
            job.future.add_done_callback(self._on_done)
        return [job.future for job in jobs]

    def give_up(self, futures: Sequence[Future[Tagged]]) -> None:
        """Nobody waits for these: leave out those that wait, and end large photos at work."""
        abandoned = {id(future) for future in futures if not future.cancel()}
        with self._changed:
            waiting = [job for job in self._large if id(job.future) in abandoned]
            for job in waiting:
                self._large.remove(job)
            for job in self._running:
                job.is_given_up |= id(job.future) in abandoned
                if job.is_given_up and job.is_large and job.process is not None:
                    job.process.kill()
        for job in waiting:
            job.future.set_exception(_given_up())

    def check(self, tagger: Tagger, timeout: float) -> None:
        """Have a process tag a grey picture, before all that waits.

        Raises BusyError if that takes longer, ModelError if the model does not run there.
        """
        job = _Job(tagger, Future(), _Group())
        with self._changed:
            self._small.appendleft(job)
            self._changed.notify()
        try:
            job.future.result(timeout)
        except TimeoutError:
            job.future.cancel()
            raise BusyError("no worker answers") from None

    def warm_up(self, tagger: Tagger) -> None:
        """Start all processes, and load a model in each. Raises ModelError, BusyError."""
        errors: list[BaseException] = []

        def prepare(process: WorkerProcess) -> None:
            try:
                process.request(tagger, CheckModel(tagger.sha256), b"", MODEL_SECONDS)
            except BaseException as error:  # noqa: BLE001 - raised below
                errors.append(error)

        with self._changed:  # nothing runs yet
            threads = [
                threading.Thread(target=prepare, args=(process,)) for process in self._processes
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for error in errors:
            raise _broken_model(tagger) if isinstance(error, WorkerEndedError) else error

    def close(self) -> None:
        """End all processes; whoever still waits gets a BusyError."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()
        self._stopped.set()
        self._watchdog.join()
        for job in (*self._small, *self._large):
            if job.started or job.future.set_running_or_notify_cancel():
                job.future.set_exception(BusyError("stopping: try again in a moment"))

    def _run(self, process: WorkerProcess) -> None:
        while (job := self._take(process)) is not None:
            outcome: Tagged | NeedsMore | BaseException | None
            try:
                outcome = self._work(process, job)
            except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
                outcome = error
            self._finish(job, outcome)
            process.revive()
        process.close()

    def _watch(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            for process in self._processes:
                process.kill_if_hung()

    def _take(self, process: WorkerProcess) -> _Job | None:
        """The next job, when it may begin; None if the pool is closed."""
        with self._changed:
            while not self._closed:
                job = self._next()
                if job is None:
                    self._changed.wait()
                elif job.started or job.future.set_running_or_notify_cancel():
                    job.started = True
                    job.process = process
                    self._running.append(job)
                    return job
            return None

    def _finish(self, job: _Job, outcome: Tagged | NeedsMore | BaseException | None) -> None:
        """Set a job's result, or queue it among the large ones.

        It leaves those that run in the same step: another thread may take it at once.
        """
        with self._changed:
            self._running.remove(job)
            job.process = None
            self._changed.notify_all()
            if isinstance(outcome, NeedsMore):
                try:
                    self._queue_large(job, outcome.memory)
                    return
                except TaggerError as error:
                    outcome = error
        if isinstance(outcome, BaseException):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)

    def _next(self) -> _Job | None:
        """Remove the next job that may run now from its queue."""
        large = [job for job in self._running if job.is_large]
        is_free = len(self._running) < self.workers
        if self._large and is_free:
            memory = sum(job.memory for job in large)
            if memory + self._large[0].memory <= LARGE_MEMORY:
                return self._large.popleft()
        if self._small and (is_free or len(large) == len(self._running)):
            return self._small.popleft()
        return None

    def _work(self, process: WorkerProcess, job: _Job) -> Tagged | NeedsMore | None:
        """A photo's result, or what it needs as a large one; None for a check."""
        task = job.task
        if job.is_given_up:
            raise _given_up()
        if isinstance(task, Tagger):
            process.request(task, CheckModel(task.sha256), b"", MODEL_SECONDS)
            return None
        if job.group.is_slow and not job.is_large:
            return NeedsMore(2 * SMALL_MEMORY)
        tagger = task.load()
        seconds = LARGE_SECONDS if job.is_large else SMALL_SECONDS
        request = TagRequest(
            tagger.sha256, task.top, task.threshold, task.heatmap, job.memory, seconds
        )
        try:
            reply = process.request(tagger, request, task.photo, seconds)
        except WorkerEndedError as death:
            if not job.is_large:
                job.group.is_slow = death.is_late
                return NeedsMore(2 * SMALL_MEMORY)
            raise _unreadable(death) from None
        finally:
            if job.is_large:  # its memory returns to the system
                process.close()
        return reply if isinstance(reply, NeedsMore) else (tagger, reply)

    def _queue_large(self, job: _Job, memory: int) -> None:
        """Raises ImageTooLargeError if it would never have room, BusyError if many wait for it."""
        if job.is_given_up:
            raise _given_up()
        if memory > LARGE_MEMORY:
            need, limit = memory // MB, LARGE_MEMORY // MB
            raise ImageTooLargeError(
                "photo", f"takes about {need} MB of memory to decode; {limit} are allowed here"
            )
        if len(self._large) >= max(MAX_PHOTOS, self.queue):
            raise BusyError("busy: many large photos wait, try again in a moment")
        job.memory, job.is_large = memory, True
        self._large.append(job)

    def _on_done(self, future: Future[Tagged]) -> None:
        with self._changed:
            self._unfinished -= 1


class WorkerProcess:
    """A process of `worker_process`, started when it is needed. For one thread at a time."""

    def __init__(self) -> None:
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if "forkserver" in methods:  # what each process needs is imported once
            self._context.set_forkserver_preload([worker_process.__name__, RUNTIME])
        self._process: Any = None
        self._connection: Connection | None = None
        self._models: OrderedDict[str, Tagger] = OrderedDict()
        self._deadline = math.inf  # of the exchange in progress

    def request(self, tagger: Tagger, request: Request, photo: bytes, seconds: float) -> Any:
        """The reply. Raises TaggerError if it is one, WorkerEndedError if none came in time."""
        if self._connection is not None and self._connection.poll(0):  # ended while it was idle
            self.close()
        connection = self._connection or self._start()
        if tagger.sha256 not in self._models:
            self._add_model(connection, tagger)
        self._models.move_to_end(tagger.sha256)
        return self._exchange(connection, request, photo, seconds)

    def revive(self) -> None:
        """Start it again, with the model it had, if it has died: the next photo need not wait."""
        if self._connection is None and self._models:
            tagger = next(reversed(self._models.values()))
            self._models.clear()
            with suppress(TaggerError, OSError):
                self._add_model(self._start(), tagger)

    def kill(self) -> None:
        """From any thread; the request in progress raises WorkerEndedError."""
        if (process := self._process) is not None:
            process.kill()

    def kill_if_hung(self) -> None:
        """From any thread: who sends to a process that does not read waits without limit."""
        if time.monotonic() > self._deadline:
            self.kill()

    def close(self) -> None:
        """End the process, whatever it does."""
        connection, process = self._connection, self._process
        self._connection, self._process = None, None
        if process is not None:
            process.kill()
            process.join()
        if connection is not None:
            connection.close()

    def _start(self) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=worker_process.run, args=(theirs,), daemon=True)
        try:
            process.start()
        finally:
            theirs.close()
        self._models.clear()
        self._connection, self._process = ours, process
        return cast(Connection, ours)

    def _add_model(self, connection: Connection, tagger: Tagger) -> None:
        while len(self._models) >= MAX_MODELS:
            key, _ = self._models.popitem(last=False)
            self._exchange(connection, DropModel(key), b"", MODEL_SECONDS)
        try:
            self._exchange(connection, AddModel(tagger.sha256, tagger), b"", MODEL_SECONDS)
        except WorkerEndedError:
            raise _broken_model(tagger) from None
        self._models[tagger.sha256] = tagger

    def _exchange(
        self, connection: Connection, request: Request, photo: bytes, seconds: float
    ) -> Any:
        deadline = self._deadline = time.monotonic() + max(HANG_SECONDS, seconds)
        try:
            connection.send(request)
            if isinstance(request, TagRequest):
                connection.send_bytes(photo)
            is_late = not self._wait(connection, seconds)
            reply: Reply = None if is_late else connection.recv()
        except (EOFError, OSError):
            self.close()
            raise WorkerEndedError(is_late=time.monotonic() > deadline) from None
        finally:
            self._deadline = math.inf
        if is_late:
            self.close()
            raise WorkerEndedError(is_late=True)
        if isinstance(reply, TaggerError):
            raise reply
        return reply

    def _wait(self, connection: Connection, seconds: float) -> bool:
        """Whether there is a reply, or an end, before the process has worked for `seconds`."""
        if connection.poll(seconds / 4):
            return True
        limit = self._processor_time() + 3 / 4 * seconds
        while (left := limit - self._processor_time()) > 0:
            if connection.poll(max(left, POLL_SECONDS)):
                return True
        return False

    def _processor_time(self) -> float:
        """Seconds that the process has worked; by the clock, where the system does not tell."""
        try:
            with open(f"/proc/{self._process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return time.monotonic()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kill_all(processes: Sequence[WorkerProcess]) -> None:
    for process in processes:
        process.kill()


def _given_up() -> BusyError:
    return BusyError("nobody waits for it")


def _unreadable(death: WorkerEndedError) -> ImageError:
    if death.is_late:
        return ImageError("photo", f"takes longer than {LARGE_SECONDS:.0f} s to decode")
    return ImageError("photo", "the file is damaged (it crashes the decoder)")


def _broken_model(tagger: Tagger) -> ModelError:
    return ModelError(f"{tagger.name}: the network ends the process that runs it")
