"""What the store may take, and what makes room."""

import contextlib
import math
import os
import pathlib
import shutil

from thaw.base.errors import InputError
from thaw.base.files import SCRATCH
from thaw.base.progress import say
from thaw.base.scratch import make_scratch, sweep
from thaw.store.entries import list_entries
from thaw.store.locks import try_lock

KEEP_FREE = 2 << 30  # bytes of disk that filling the store must leave


GIB = 40  # what the store may take, unless THAW_STORE_GIB says otherwise


def say_no_room(store: pathlib.Path, size: int) -> None:
    """Say on stderr that `size` bytes have no room in the store."""
    say(
        f"activations: no room for {size >> 20} MiB at {store}; the frozen layers run in every epoch. "
        "THAW_STORE names another folder, THAW_STORE_GIB what it may take"
    )


def measure(store: pathlib.Path) -> tuple[float, int]:
    """Return (bytes that the store may take in all, bytes that it takes); what is being written counts whole."""
    named = os.environ.get("THAW_STORE_GIB") or str(GIB)
    try:
        cap = float(named) * 2**30
    except ValueError:
        cap = -1.0
    if not 0 <= cap < math.inf:
        raise InputError(f"THAW_STORE_GIB: must be a number of GiB, 0 or more (got {named!r})")
    taken = promised = 0
    for folder, _, names in os.walk(store):
        for name in names:
            if name.endswith((".npy", ".npz")):  # entries, whole and half-written, and the states of trainings
                with contextlib.suppress(OSError):  # gone meanwhile
                    found = os.stat(os.path.join(folder, name))
                    taken += found.st_size
                    promised += max(0, found.st_size - 512 * found.st_blocks)
    return min(cap, taken + shutil.disk_usage(store).free - promised - KEEP_FREE), taken


def make_room(entry: pathlib.Path, size: int) -> float | None:
    """Evict what was used least recently and is not in use, if `size` bytes fit then; return what room there is more.

    None where they do not fit. They are for `entry`, which the caller alone may fill.
    """
    store = entry.parent
    sweep(store, SCRATCH)  # what killed runs left half-written or half-evicted
    limit, taken = measure(store)
    missing = size - (limit - taken)
    with contextlib.ExitStack() as stack:
        evicted = []
        for _, freed, entry in list_entries(store):
            if missing <= 0:
                break
            if os.access(entry, os.W_OK) and (held := try_lock(entry, "used")):  # another user's cannot be moved
                stack.enter_context(contextlib.closing(held))
                evicted.append(entry)
                missing -= freed
        if missing > 0:
            return None
        for old in evicted:
            with make_scratch(store, SCRATCH) as left, contextlib.suppress(FileNotFoundError):  # deleted by hand
                old.rename(left / old.name)
    return -missing
