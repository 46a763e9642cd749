"""Long work in a process of its own, so that it outlives the page, and goes on after a crash.

A run's row says what to do. The process that does it holds a claim on the row and beats every
few seconds; a row without a heartbeat is taken up again by `resume_stale`.

    python -m tagger.jobs.worker RUN_ID
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from tagger import console
from tagger.errors import LibraryError, OptionError, TaggerError
from tagger.jobs.lease import Claim, Lost, Stopped
from tagger.library import operations
from tagger.library.database.schema import runs
from tagger.library.library import Library
from tagger.library.operations import Kind
from tagger.paths import ROOT

NICENESS = 5  # so that pages stay quick
MANY = 1_000  # more runs than can be active


def start(library: Library, run_id: int) -> None:
    """Do a run in a new process that outlives this one."""
    logs = library.home / "logs"
    logs.mkdir(exist_ok=True)
    environment = {"TAGGER_HOME": str(library.home), "TAGGER_DATABASE": library.url}
    with open(logs / f"{run_id}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tagger.jobs.worker", str(run_id)],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # or its end would leave a zombie


def resume_stale(library: Library) -> list[int]:
    """Start again whatever a crash left half done; the runs."""
    with library.database.read_transaction() as connection:
        left = [
            run.id
            for run in operations.list_latest(connection, MANY, None, active=True)
            if run.stale
        ]
        waiting = connection.scalars(select(runs.c.options).where(runs.c.status != "done"))
        library.storage.delete_abandoned_uploads(
            {str(options.get("uploads")) for options in waiting}
        )
    for run_id in left:
        start(library, run_id)
    return left


def run(library: Library, run_id: int) -> None:
    """Do a run in this process. Returns when it is over, or is somebody else's to do."""
    claim = Claim(library, run_id)
    if not claim.take():
        return
    with claim.held():
        library.storage.delete_stale_files()
        try:
            ending = _do(claim)
        except Lost:
            return
    claim.finish(**ending)
    log = library.home / "logs" / f"{run_id}.log"
    if log.is_file() and not log.stat().st_size:
        log.unlink()


def _do(claim: Claim) -> dict[str, Any]:
    """Do it; what its row is to say of how it went."""
    run = claim.run
    if run.stop_asked:
        return {"status": "stopped"}
    try:
        return {"status": "done", "result": _duty(run.kind)(claim), "stage": None}
    except (Stopped, KeyboardInterrupt):
        return {"status": "stopped"}
    except (TaggerError, OSError) as error:
        return {"status": "failed", "error": str(error)}
    except MemoryError:
        return {"status": "failed", "error": "this machine has not enough memory for it"}
    except Lost:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the run must not look alive
        traceback.print_exc()
        log = claim.library.home / "logs" / f"{run.id}.log"
        where = log if log.is_file() else "the terminal it was started in"
        told = f"a mistake of this program's ({type(error).__name__}); {where} says more"
        return {"status": "failed", "error": told}


def _duty(kind: Kind) -> Callable[[Claim], dict[str, Any]]:
    # Late, since whoever only starts jobs needs neither, and who only tags not all that teaching
    # loads.
    if kind in ("import", "retag"):
        from tagger.jobs.tagging import tag_files

        return tag_files
    from tagger.jobs import training

    return training.train if kind == "train" else training.check


def main(arguments: list[str]) -> int:
    """Exit status: 0 done or somebody else's, 2 nothing could start."""
    if len(arguments) != 1 or not arguments[0].isdigit():
        print(
            "usage: python -m tagger.jobs.worker RUN_ID (does a run of the library at TAGGER_HOME)"
        )
        return 2
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal of whoever started it closed
    try:
        with console.quiet_libraries():
            run(Library.open(), int(arguments[0]))
    except (LibraryError, OptionError) as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
