"""Filling the store: one pass over the images for every prefix that is asked for."""

import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np

from thaw.base.errors import explain
from thaw.base.progress import say, track
from thaw.networks import cutting, forward
from thaw.records import reading
from thaw.store import prefixes
from thaw.store.entries import DOCUMENT, VALUES, find_entry, is_whole, write_entry
from thaw.store.eviction import make_room, say_no_room
from thaw.store.locks import lock, try_lock
from thaw.store.place import FULL, make_store
from thaw.store.prefixes import Images, Prefix
from thaw.store.sources import Source


def open_part(prefix: Prefix, images: Images, find_others: Callable[[], Sequence[Prefix]] = tuple) -> Source | None:
    """Return the Source of what `prefix` makes of `images`, stored if it is not there yet; None where there is no room.

    `find_others` returns prefixes of the same network that other runs will ask for: a pass over the images stores
    theirs too, as far as there is room without evicting anything. A damaged entry is computed again. What cannot be
    stored is said, and no error: a run can do without. Raises InputError where THAW_STORE is no folder that can be
    written or THAW_STORE_GIB no number.
    """
    store = make_store()
    if store is None:
        return None
    labels, _ = reading.read_labels(images.folder, images.part)
    entry, size = find_entry(store, prefix, images), prefix.bytes_per_image * images.count_photos()
    try:
        held = _open_stored(prefix, images, entry, find_others)
    except OSError as error:
        if error.errno not in FULL:
            say(f"activations: {explain(error)}; nothing is stored and the frozen layers run in every epoch")
            return None
        held = None  # others filled the disk meanwhile
    if held is None:
        say_no_room(store, size)
        return None
    return Source(held[0], labels, held[1])


def _open_stored(
    prefix: Prefix, images: Images, entry: pathlib.Path, find_others: Callable[[], Sequence[Prefix]]
) -> tuple[np.ndarray, BinaryIO] | None:
    """Return (activations, lock that keeps them from being evicted); None where there is no room. See `open_part`."""
    filled = False
    while True:
        hold = lock(entry, "used", fcntl.LOCK_SH)
        if filled and (entry / DOCUMENT).exists() and (entry / VALUES).exists() or is_whole(entry):
            now = time.time_ns()  # finer than what the system would set
            with contextlib.suppress(OSError):  # another user's, or no room for it
                os.utime(entry / DOCUMENT, ns=(now, now))  # eviction goes by it
            return np.load(entry / VALUES, mmap_mode="r"), hold
        hold.close()
        with contextlib.closing(lock(entry, "filled", fcntl.LOCK_EX)):
            if not is_whole(entry) and not _fill(prefix, images, entry, find_others):
                return None
        filled = True


def _fill(prefix: Prefix, images: Images, entry: pathlib.Path, find_others: Callable[[], Sequence[Prefix]]) -> bool:
    """Store what `prefix`, and those of the others that there is room for, make of `images`, in one pass.

    Returns False, and computes nothing, where there is no room.
    """
    # Takes seconds, in which no other run should wait for its turn below.
    others = find_others() if forward.keeps_bits(prefix.compute) else ()
    with contextlib.ExitStack() as stack:
        # One process at a time looks for room, until what it takes can be seen by the next.
        with contextlib.closing(lock(entry.parent / "room", "taken", fcntl.LOCK_EX)):
            room = make_room(entry, prefix.bytes_per_image * images.count_photos())
            if room is None:
                return False
            targets = [(prefix, entry)]
            for other in others:
                place, size = find_entry(entry.parent, other, images), other.bytes_per_image * images.count_photos()
                if size > room or place.exists() or place in dict(targets).values():
                    continue
                if held := try_lock(place, "filled"):
                    stack.enter_context(contextlib.closing(held))
                    if not place.exists():  # or another run has finished it meanwhile
                        targets.append((other, place))
                        room -= size
            writers = [stack.enter_context(write_entry(*target, images)) for target in targets]
        model = cutting.build_prefixes(prefix.network, [target.operation for target, _ in targets])
        run = forward.trace(model, prefix.compute)

        count = images.count_photos()
        batches = track(
            reading.read_batches(images.folder, images.part, prefixes.FILL_BATCH, view=images.view),
            f"activations at {', '.join(target.cut for target, _ in targets)}; {images.part}",
            -(-count // prefixes.FILL_BATCH),
            "batches",
        )

        def write_all(outputs: list[np.ndarray]) -> None:
            for write, values in zip(writers, outputs, strict=True):
                write(values)

        # One batch is written while the next is computed.
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
        written: concurrent.futures.Future[None] | None = None
        for batch, _ in batches:
            outputs = run(batch)
            if written:
                written.result()
            written = pool.submit(write_all, outputs)
        if written:
            written.result()
    return True
