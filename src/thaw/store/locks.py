"""Locks of entries, shared among processes: a file beside the entries that `flock` locks until it is closed.

Not `filelock`: an entry in use is locked by many readers at once, which its file lock does not know.
"""

import fcntl
import pathlib
import sys
from typing import TextIO


def lock(entry: pathlib.Path, purpose: str, mode: int) -> TextIO:
    """Return an open file that locks the entry for `purpose` until it is closed; waits while another holds it.

    `mode` is fcntl.LOCK_SH (with others) or fcntl.LOCK_EX (alone).
    """
    file = _open(entry, purpose)
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        if purpose == "filled":
            print(f"activations: waiting for another run, which computes {entry.name}", file=sys.stderr, flush=True)
        fcntl.flock(file, mode)
    return file


def try_lock(entry: pathlib.Path, purpose: str) -> TextIO | None:
    """Return an open file that locks the entry alone until it is closed, or None where another holds it."""
    file = _open(entry, purpose)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _open(entry: pathlib.Path, purpose: str) -> TextIO:
    folder = entry.parent / ".locks"
    folder.mkdir(exist_ok=True)
    return open(folder / f"{entry.name}.{purpose}", "a", encoding="utf-8")
