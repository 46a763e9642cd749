"""Worker: runs a job in a process of its own, which outlives the page that started it.

The process holds a `Lease` on the job. A job whose heartbeat stopped is started again by
`resume_stale`.

    python -m tagger.jobs.worker JOB_ID
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tagger import console
from tagger.errors import LibraryError, OptionError, TaggerError, describe_error
from tagger.jobs.lease import JobStopped, Lease, LeaseLost
from tagger.jobs.requests import (
    CheckRequest,
    CompareRequest,
    EmbedRequest,
    TrainRequest,
    load_request,
    submit_embedding,
)
from tagger.library import derivation, operations
from tagger.library.database.schema import runs
from tagger.library.library import Library
from tagger.library.operations import MAX_ACTIVE
from tagger.paths import ROOT

NICENESS = 5  # pages of the app stay responsive
BACKGROUND_NICENESS = 10  # on top of that, for what nobody waits for


def start(library: Library, job_id: int) -> None:
    """Run a queued job in a new process that outlives this one."""
    log_file = _log_file(library, job_id)
    log_file.parent.mkdir(exist_ok=True)
    environment = {"TAGGER_HOME": str(library.home), "TAGGER_DATABASE": library.url}
    with open(log_file, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tagger.jobs.worker", str(job_id)],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # reaps the process when it ends


def resume_stale(library: Library) -> list[int]:
    """Start the jobs again whose process died; their ids. Derive what an edit left stale, too."""
    derivation.refresh_stale_soon(library.database)
    with library.database.read_transaction() as connection:
        active = operations.list_latest(connection, MAX_ACTIVE, None, active=True)
        stale = [job.id for job in active if job.stale]
        unfinished = connection.scalars(select(runs.c.options).where(runs.c.status != "done"))
        library.storage.delete_abandoned_uploads(
            {str(options.get("uploads")) for options in unfinished}
        )
    for job_id in stale:
        start(library, job_id)
    return stale


def start_embedding(library: Library) -> int | None:
    """Start a job for photos without a vector in the library's space, if there are any; its id."""
    job_id = submit_embedding(library)
    if job_id is not None:
        start(library, job_id)
    return job_id


def run(library: Library, job_id: int) -> None:
    """Run a job in this process, unless it has ended or another process holds it."""
    lease = Lease(library, job_id)
    if not lease.acquire():
        return
    with lease.keep_alive():
        library.storage.delete_stale_files()
        try:
            columns = _run_to_end(lease)
        except LeaseLost:
            return
    lease.release(**columns)
    log_file = _log_file(library, job_id)
    if log_file.is_file() and not log_file.stat().st_size:
        log_file.unlink()


def _log_file(library: Library, job_id: int) -> Path:
    return library.home / "logs" / f"{job_id}.log"


def _run_to_end(lease: Lease) -> dict[str, Any]:
    """Run the job; the columns that say how it ended. Raises LeaseLost."""
    if lease.job.stop_asked:
        return {"status": "stopped"}
    try:
        return {"status": "done", "result": _execute(lease), "stage": None}
    except (JobStopped, KeyboardInterrupt):
        return {"status": "stopped"}
    except (TaggerError, OSError) as error:
        return {"status": "failed", "error": describe_error(error)}
    except MemoryError:
        return {"status": "failed", "error": "not enough memory on this computer"}
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - the job must not stay "running" for ever
        traceback.print_exc()
        log_file = _log_file(lease.library, lease.job_id)
        more = f"; see {log_file}" if log_file.is_file() else ""
        message = f"a bug in this program ({type(error).__name__}){more}"
        return {"status": "failed", "error": message}


def _execute(lease: Lease) -> dict[str, Any]:
    """The job's result.

    Modules are imported here, so that starting a job loads none and tagging never loads training.
    """
    request = load_request(lease.job)
    if isinstance(request, (CheckRequest, TrainRequest)):
        from tagger.jobs import training

        if isinstance(request, CheckRequest):
            return training.check_folder(lease, request)
        return training.train_model(lease, request)
    if isinstance(request, EmbedRequest):
        from tagger.jobs.embedding import embed_photos

        return embed_photos(lease, request)
    if isinstance(request, CompareRequest):
        from tagger.jobs.duplicates import find_duplicates

        return find_duplicates(lease)
    from tagger.jobs.tagging import tag_files

    return tag_files(lease, request)


def _run_with_background_work(library: Library, job_id: int) -> None:
    """Run a job, and then give photos the vectors that are missing in the library's space.

    That may be another one after each job, as the active model may have changed meanwhile.
    """
    is_background = library.operation(job_id).kind == EmbedRequest.KIND
    if is_background:
        _lower_priority(BACKGROUND_NICENESS)
    run(library, job_id)
    while not is_background or library.operation(job_id).status != "failed":
        next_job = submit_embedding(library)
        if next_job is None:
            return
        if not is_background:
            _lower_priority(BACKGROUND_NICENESS)
        job_id, is_background = next_job, True
        run(library, job_id)


def _lower_priority(niceness: int) -> None:
    if hasattr(os, "nice"):
        os.nice(niceness)


def main(arguments: list[str]) -> int:
    """Exit status: 0 the job ran or needed no run, 2 nothing could start."""
    if len(arguments) != 1 or not arguments[0].isdigit():
        print(
            "usage: python -m tagger.jobs.worker JOB_ID (runs a job of the library at TAGGER_HOME)"
        )
        return 2
    _lower_priority(NICENESS)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # sent when the starting terminal closes
    try:
        with console.quiet_libraries():
            _run_with_background_work(Library.open(), int(arguments[0]))
    except (LibraryError, OptionError) as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
