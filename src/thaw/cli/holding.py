"""One command at a time: a file that is locked while a command is at work."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from thaw.base.errors import InputError
from thaw.base.scratch import NO_LOCKS


@contextlib.contextmanager
def hold_file(path: pathlib.Path, command: str, folder: pathlib.Path) -> Iterator[int]:
    """Lock the file at `path` until `command`, which works in `folder`, has ended; give its descriptor.

    Raises InputError, which names the other command, where another process has locked it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(f"{lock.read().strip()} is still running in {folder}: one at a time") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        lock.truncate(0)
        print(f"{command} (process {os.getpid()})", file=lock, flush=True)
        yield lock.fileno()
