"""Where the store lies."""

import contextlib
import errno
import os
import pathlib
import stat

from thaw.base.errors import InputError
from thaw.base.progress import say

FULL = (errno.ENOSPC, errno.EDQUOT)


def find_store() -> pathlib.Path | None:
    """Return the folder of the store, or None where THAW_STORE is `none`.

    A path that begins with ``~`` starts at the home folder, as in a shell. Raises InputError where there is none.
    """
    name = os.environ.get("THAW_STORE") or ".thaw/activations"
    if name == "none":
        return None
    try:
        return pathlib.Path(name).expanduser()
    except RuntimeError:
        raise InputError(f"THAW_STORE: must be a path in the home folder of a user that exists (got {name})") from None


def find_unfinished() -> pathlib.Path | None:
    """Return the folder of the store for the state of trainings that have not ended, or None (`training.resuming`).

    Raises InputError where THAW_STORE is no folder that can be written.
    """
    store = make_store()
    return store and store / "unfinished"


def make_store() -> pathlib.Path | None:
    """Return the folder of the store, made where it was missing; None where THAW_STORE is `none` or has no room for it.

    Raises InputError where it is no folder that can be written.
    """
    store = find_store()
    if store is None:
        return None
    try:
        store.mkdir(parents=True, exist_ok=True)
        if not os.access(store, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        if error.errno in FULL:
            say(f"activations: {store} cannot be made ({error.strerror}); nothing is stored")
            return None
        raise InputError(f"THAW_STORE: must be a folder that can be written (got {store}: {error.strerror})") from None
    return store


def make_shared(folder: pathlib.Path) -> None:
    """Make a folder of the store where it is missing, for the users who may write in the store."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True)
        with contextlib.suppress(OSError):
            folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode))
