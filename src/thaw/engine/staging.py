"""One stage in the workspace of a cluster's worker: inputs from the DVC remote, the stage, its outputs to the remote.

    python -m thaw.engine.staging run STAGE INPUT...
    python -m thaw.engine.staging force STAGE INPUT...
    python -m thaw.engine.staging check FILE

`check` tells whether the remote is the one in which FILE has been written, and whether it can be written from here.

Standard input is held open by the worker and carries nothing. When it ends the worker has, and this program ends with
all that it started.
"""

import contextlib
import os
import signal
import sys
import threading

from dvc import cli
from dvc.repo import Repo

from thaw.base.errors import run_program
from thaw.engine.remote import check_mark


def list_commands(what: str, stage: str, inputs: list[str]) -> list[list[str]]:
    """Return the dvc commands for a stage that reads the paths `inputs` of DVC's cache.

    They are pulled first: what an earlier stage has left there, which DVC would take as it is, gives way to what
    dvc.lock says.
    """
    options = ["--force"] if what == "force" else []
    repro = ["repro", "--single-item", "--pull", "--allow-missing", *options, stage]
    return [*([["pull", "--force", *inputs]] if inputs else []), repro, ["push", stage]]


def _end_with_worker() -> None:
    """Kill this process and all that it started when standard input ends."""
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Do what the words of the command line say; a dvc command that fails ends the program with its status."""
    threading.Thread(target=_end_with_worker, daemon=True).start()
    what, name, *inputs = sys.argv[1:]
    if what == "check":
        with Repo() as repo:
            check_mark(repo, name)
        return
    for words in list_commands(what, name, inputs):
        status = cli.main(words)
        if status:
            sys.exit(status)


if __name__ == "__main__":
    run_program(main)
