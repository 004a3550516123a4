"""Where the store lies."""

import errno
import os
import pathlib

from thaw.base.errors import InputError


def find_store() -> pathlib.Path | None:
    """Return the folder of the store, or None where THAW_STORE is `none`."""
    name = os.environ.get("THAW_STORE") or ".thaw/activations"
    return None if name == "none" else pathlib.Path(name)


def find_unfinished() -> pathlib.Path | None:
    """Return the folder of the store for the state of trainings that have not ended, or None (`training.resuming`).

    Raises InputError where THAW_STORE is no folder that can be written.
    """
    store = make_store()
    return store and store / "unfinished"


def make_store() -> pathlib.Path | None:
    """Return the folder of the store, made where it was missing, or None where THAW_STORE is `none`."""
    store = find_store()
    if store is None:
        return None
    try:
        store.mkdir(parents=True, exist_ok=True)
        if not os.access(store, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(f"THAW_STORE: must be a folder that can be written (got {store}: {error.strerror})") from None
    return store
