"""Locks of entries, shared among processes: a file beside the entries that `flock` locks until it is closed.

Not `filelock`: an entry in use is locked by many readers at once, which its file lock does not know. Where no lock can
be had, in a store of another user or on a file system without locks, runs go on without: what they read is checked and
what they write is published whole, so that at worst an entry is computed twice.
"""

import fcntl
import os
import pathlib
from typing import BinaryIO

from thaw.base.progress import say
from thaw.store.place import make_shared


def lock(entry: pathlib.Path, purpose: str, mode: int) -> BinaryIO:
    """Return an open file that locks the entry for `purpose` until it is closed; waits while another holds it.

    `mode` is fcntl.LOCK_SH (with others) or fcntl.LOCK_EX (alone). Where there are no locks the file locks nothing.
    """
    try:
        file = _open(entry, purpose)
    except OSError:
        return open(os.devnull, "rb")
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        if purpose == "filled":
            say(f"activations: waiting for another run, which computes {entry.name}")
        fcntl.flock(file, mode)
    except OSError:
        pass
    return file


def try_lock(entry: pathlib.Path, purpose: str) -> BinaryIO | None:
    """Return an open file that locks the entry alone until it is closed, or None where another holds it or may."""
    try:
        file = _open(entry, purpose)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _open(entry: pathlib.Path, purpose: str) -> BinaryIO:
    folder = entry.parent / ".locks"
    make_shared(folder)
    path = folder / f"{entry.name}.{purpose}"
    try:
        return open(path, "ab")
    except PermissionError:  # another user's, which can be locked all the same
        return open(path, "rb")
