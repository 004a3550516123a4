"""The store of prefix activations: what a frozen prefix makes of each image, computed once.

An entry is a folder with one float32 array, opened as a memory map, and a document that says what it is. Entries lie
outside DVC and git, in the folder that THAW_STORE names (default `.thaw/activations`; `none` stores nothing). The
name of an entry is the digest of everything that its values depend on, so it never goes stale, and any run with the
same prefix on the same images shares it. The entries used least recently make room for new ones.
"""

import concurrent.futures
import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import math
import mmap
import os
import pathlib
import shutil
import sys
import tempfile
import time
import zlib
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from thaw import costs, networks, records, unfreezing, views
from thaw.compute import UNTUNED
from thaw.names import PRETRAINED
from thaw.params import InputError
from thaw.progress import track
from thaw.publishing import SCRATCH, publish, read_json, write_json

FILL_BATCH = 32
KEEP_FREE = 2 << 30  # bytes of disk that filling the store must leave
IN_MEMORY = 64 << 20  # bytes of a part up to which an epoch is read at once: pooled features
GIB = 40  # what the store may take, unless THAW_STORE_GIB says otherwise
DOCUMENT, VALUES = "entry.json", "values.npy"


class Source(NamedTuple):
    """Where the batches of one part come from."""

    inputs: np.ndarray  # (n, ...) float32: activations at the cut, memory-mapped
    labels: np.ndarray  # (n,) int64
    hold: Any = None  # keeps the entry from being evicted

    def read_batches(self, batch_size, order=None):
        """Return a tf.data.Dataset of (inputs (b, ...) float32, labels (b,) int64); `order` seeds the shuffling."""
        count = len(self.labels)
        indices = np.arange(count) if order is None else _shuffle(count, order)
        if self.inputs.nbytes <= IN_MEMORY:
            rows = (self.inputs[indices], self.labels[indices])
            return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size).prefetch(2).with_options(UNTUNED)

        batches = np.split(indices, range(batch_size, count, batch_size))

        def gather(rows):
            return read_rows(self.inputs, rows), self.labels[rows]

        def read_ahead():
            """Yield the batches; while one is in use a thread reads the next, as prefetch would not: op determinism."""
            with concurrent.futures.ThreadPoolExecutor(1) as reader:
                coming = reader.submit(gather, batches[0])
                for rows in batches[1:]:
                    batch, coming = coming.result(), reader.submit(gather, rows)
                    yield batch
                yield coming.result()

        signature = (tf.TensorSpec((None, *self.inputs.shape[1:]), tf.float32), tf.TensorSpec((None,), tf.int64))
        read = tf.data.Dataset.from_generator(read_ahead, output_signature=signature)
        return read.apply(tf.data.experimental.assert_cardinality(len(batches))).with_options(UNTUNED)


class Pixels(NamedTuple):
    """Where the batches of one part come from when nothing is stored: the records themselves."""

    folder: str
    part: str
    boxes: np.ndarray | None = None  # (n, 4): the view, see thaw.views

    @property
    def labels(self):
        return records.read_labels(self.folder, self.part)[0]

    def read_batches(self, batch_size, order=None):
        """Return a tf.data.Dataset of (images (b, h, w, 3) float32 in [0, 255], labels (b,) int64)."""
        return records.read_batches(self.folder, self.part, batch_size, order, self.boxes)


class Prefix:
    """The frozen part of `network` up to and with `operation` of its backbone, as the store knows it."""

    def __init__(self, network, operation, architecture, compute):
        self.network, self.operation = network, operation
        self.model = networks.build_prefixes(network, [operation])  # pixels -> activations
        self.architecture, self.compute = architecture, compute
        self.cut = networks.name_cut(network, operation)

    @functools.cached_property
    def description(self):
        """Everything of the prefix that its values depend on, as a JSON document."""
        return {
            "architecture": self.architecture,
            "cut": self.cut,
            "shape": list(self.model.output_shape[1:]),
            "weights": networks.digest_weights(self.model),
            # What the prefix makes of noise tells apart what else could change its values: an edit of the preprocessing
            # or of how the network is built, another version of a library.
            "noise": _digest_noise(self.model),
            # The last bits of the values depend on these.
            "compute": self.compute.model_dump(),
            "batch": FILL_BATCH,
            "versions": [tf.__version__, keras.__version__],
        }

    @property
    def bytes_per_image(self):
        return 4 * math.prod(self.model.output_shape[1:])


class Images(NamedTuple):
    """Which images go through a prefix."""

    folder: str  # of the records
    part: str
    boxes: np.ndarray | None = None  # (n, 4): the view, see thaw.views

    def describe(self):
        """Return everything that the images depend on, as a JSON document."""
        digest = records.read_index(self.folder)["digest"]
        return {"part": self.part, "records": digest, "view": None if self.boxes is None else _digest_view(self.boxes)}

    def count(self):
        return records.read_index(self.folder)["counts"][self.part]


def find_store():
    """Return the folder of the store, or None where THAW_STORE is `none`."""
    name = os.environ.get("THAW_STORE") or ".thaw/activations"
    return None if name == "none" else pathlib.Path(name)


def _shuffle(count, order):
    """Return the indices (n,) int64 of a part in the order in which `records.read_batches` would read it."""
    shuffled = tf.data.Dataset.range(count).shuffle(min(count, records.SHUFFLED_TOGETHER), seed=order)
    return next(shuffled.batch(count).with_options(UNTUNED).as_numpy_iterator())


def read_rows(values, rows):
    """Return `values[rows]`, (b, ...), for `rows` (b,) int; a memory map of a named file is read from that file.

    Through the map each page fault would read what lies around it, megabytes on some disks, and pages that are given
    back stop the other threads. Raises OSError where the file has become shorter.
    """
    if not isinstance(getattr(values, "base", None), mmap.mmap):
        return values[rows]
    if values.filename is not None:
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile: the map still holds it
            return _read_from_file(values, rows)
    found = values[rows]
    # Pages that were read count as this process's memory until they are given back; the disk cache keeps them.
    values.base.madvise(mmap.MADV_DONTNEED)
    return found


def _read_from_file(values, rows):
    found = np.empty((len(rows), *values.shape[1:]), values.dtype)
    size = found[:1].nbytes
    starts = [values.offset + int(row) * size for row in rows]
    with open(values.filename, "rb") as file:
        for start in starts:  # of all before the first is read, so that the disk has them in its queue together
            before = start % mmap.PAGESIZE
            values.base.madvise(mmap.MADV_WILLNEED, start - before, before + size)
        for place, start in zip(found, starts, strict=True):
            file.seek(start)
            if file.readinto(place) != size:
                raise OSError(f"{values.filename}: shorter than it was when it was opened")
    return found


def is_worth_storing(network, cut, epochs):
    """Tell whether storing what lies before `cut` of the backbone saves time over so many epochs of each image."""
    operations = network.backbone.operations
    if cut is operations[0]:
        return False
    pooled = cut is operations[-1]
    size = 4 * math.prod(cut.output.shape[-1:] if pooled else cut.output.shape[1:])
    return costs.pays(costs.count_flops(operations[: operations.index(cut) + 1]), size, epochs)


def open_run(network, description, cut, images, params, trained=False):
    """Return (tail, sources): the model that is left of a described run's network, and where its batches come from.

    `description` is the document beside the run's weights, `cut` an operation of the backbone (None for the baseline
    CNN), `images` a list of Images, with a source in the result for each. Where `description["stored"]` is false, or the
    store has no room, the tail is the whole network and the sources are the records. `trained` says that the network
    has been trained: behind its cut it is no longer what other runs start from.
    """
    if cut is None:
        return network.model, [Pixels(*chosen) for chosen in images]
    batch_norm = description["batch_norm"]
    if description["stored"]:
        backbone = description["backbone"]
        prefix = Prefix(network, cut, backbone["architecture"], params.compute)

        def find_others():
            order = network.backbone.operations
            others = find_asked_prefixes(network, backbone, params)
            return [other for other in others if not trained or order.index(other.operation) < order.index(cut)]

        if sources := _open_parts(prefix, images, find_others):
            return networks.build_tail(network, cut, batch_norm), sources
    elif cut is not network.backbone.operations[0]:
        print(
            f"activations: storing what lies before {networks.name_cut(network, cut)} would take longer than computing "
            "it; the frozen layers run in every epoch",
            file=sys.stderr,
            flush=True,
        )
    plain = networks.build_tail(network, network.backbone.operations[0], batch_norm)
    return plain, [Pixels(*chosen) for chosen in images]


def find_unfinished():
    """Return the folder of the store for the state of trainings that have not ended, or None; see `thaw.resuming`.

    Raises InputError where THAW_STORE is no folder that can be written.
    """
    store = _make_store()
    return store and store / "unfinished"


def find_entry(prefix, images):
    """Return the folder of the store that holds, or will, what `prefix` (a Prefix) makes of `images` (an Images)."""
    key = json.dumps({**prefix.description, **images.describe()}, sort_keys=True)
    return find_store() / hashlib.sha256(key.encode()).hexdigest()[:32]


def open_part(prefix, images, find_others=tuple):
    """Return the Source of what `prefix` makes of `images`, stored if it is not there yet; None where there is no room.

    `find_others` returns prefixes of the same network that other runs will ask for: a pass over the images stores theirs
    too, as far as there is room without evicting anything. A damaged entry is computed again. Raises InputError where
    THAW_STORE is no folder that can be written or THAW_STORE_GIB no number.
    """
    store = _make_store()
    if store is None:
        return None
    entry, filled = find_entry(prefix, images), False
    while True:
        hold = _lock(entry, "used", fcntl.LOCK_SH)
        if filled and (entry / DOCUMENT).exists() and (entry / VALUES).exists() or _is_whole(entry):
            now = time.time_ns()  # finer than what the system would set
            os.utime(entry / DOCUMENT, ns=(now, now))  # eviction goes by it
            labels, _ = records.read_labels(images.folder, images.part)
            return Source(np.load(entry / VALUES, mmap_mode="r"), labels, hold)
        hold.close()
        with contextlib.closing(_lock(entry, "filled", fcntl.LOCK_EX)):
            if not _is_whole(entry):
                try:
                    stored = _fill(prefix, images, entry, find_others)
                except OSError as error:
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    stored = False  # others filled the disk meanwhile
                if not stored:
                    _tell_of_no_room(store, prefix.bytes_per_image * images.count())
                    return None
        filled = True


def _open_parts(prefix, images, find_others):
    """Return the Source of each of `images`, or None where there is no room for all of them; see `open_part`."""
    store = _make_store()
    if store is None:
        return None
    held = missing = 0  # bytes
    for chosen in images:
        size = prefix.bytes_per_image * chosen.count()
        held, missing = (held + size, missing) if find_entry(prefix, chosen).exists() else (held, missing + size)
    limit, _ = _measure(store)
    if missing and held + missing > limit:  # found before some of them are stored for nothing
        _tell_of_no_room(store, missing)
        return None
    sources = []
    for chosen in images:
        # Views are those of one run: what others will ask for is the photos as they are.
        source = open_part(prefix, chosen, find_others if chosen.boxes is None else tuple)
        if source is None:
            return None
        sources.append(source)
    return sources


def _make_store():
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


def _tell_of_no_room(store, size):
    print(
        f"activations: no room for {size >> 20} MiB at {store}; the frozen layers run in every epoch. "
        "THAW_STORE names another folder, THAW_STORE_GIB what it may take",
        file=sys.stderr,
        flush=True,
    )


def find_asked_prefixes(network, backbone, params):
    """Return a Prefix for each cut that params.yaml (a schema.Params) asks of the backbone and that is worth storing.

    `network` holds the backbone; `backbone` describes it: its `name` and `architecture`.
    """
    asked = [(None, run) for run in params.frozen.values() if run.backbone == backbone["name"]]
    for run in params.finetune.values():
        start = run.start.removeprefix(PRETRAINED)
        if backbone["name"] == (params.frozen[start].backbone if start == run.start else start):
            asked.append((run.unfreeze, run))
    found = {}
    for unfreeze, run in asked:
        opened = unfreezing.find_open_layers(network.backbone, backbone["architecture"], unfreeze)
        cut = unfreezing.find_cut(network.backbone, opened)
        if is_worth_storing(network, cut, run.epochs / run.views):
            found.setdefault(cut.name, Prefix(network, cut, backbone["architecture"], params.compute))
    return list(found.values())


def _digest_noise(model):
    """Return the sha256 of the activations of one fixed image of noise, in hex."""
    image = np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:])).astype(np.float32)
    return hashlib.sha256(model(image, training=False).numpy().tobytes()).hexdigest()


def _digest_view(boxes):
    """Return the sha256 of the boxes and of what `views.cut_out` makes of noise, which gives away an edit of it."""
    noise = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    shown = views.cut_out(noise, np.float32([[0.1, 0.9, 0.7, 0.2]]))
    return hashlib.sha256(boxes.tobytes() + shown.numpy().tobytes()).hexdigest()


def _lock(entry, purpose, mode, wait=True):
    """Return an open file that locks the entry until it is closed, or None where another holds it and `wait` is false."""
    folder = entry.parent / ".locks"
    folder.mkdir(exist_ok=True)
    file = open(folder / f"{entry.name}.{purpose}", "a")
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            file.close()
            return None
        if purpose == "filled":
            print(f"activations: waiting for another run, which computes {entry.name}", file=sys.stderr, flush=True)
        fcntl.flock(file, mode)
    return file


def _is_whole(entry):
    """Tell whether the entry is there and holds what was written."""
    if not entry.exists():
        return False
    try:
        document = read_json(entry / DOCUMENT)
        if _checksum(entry / VALUES) == document["crc32"]:
            return True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    print(f"activations: {entry} is damaged and will be computed again", file=sys.stderr, flush=True)
    return False


def _checksum(path):
    value = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 24):
            value = zlib.crc32(chunk, value)
    return value


def _list_entries(store):
    """Return [(when last used, bytes, entry)], the least recently used first."""
    found = []
    for document in store.glob(f"*/{DOCUMENT}"):
        with contextlib.suppress(FileNotFoundError):  # evicted by another process meanwhile
            entry = document.parent
            found.append((document.stat().st_mtime_ns, (entry / VALUES).stat().st_size, entry))
    return sorted(found)


def _measure(store):
    """Return (bytes that the store may take in all, bytes that it takes); what is being written counts whole."""
    named = os.environ.get("THAW_STORE_GIB") or str(GIB)
    try:
        cap = float(named) * 2**30
    except ValueError:
        cap = -1
    if not 0 <= cap < math.inf:
        raise InputError(f"THAW_STORE_GIB: must be a number of GiB, 0 or more (got {named!r})")
    taken = promised = 0
    for folder, _, names in os.walk(store):
        for name in names:
            if name.endswith((".npy", ".npz")):  # entries, whole and half-written, and the states of trainings
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                    found = os.stat(os.path.join(folder, name))
                    taken += found.st_size
                    promised += max(0, found.st_size - 512 * found.st_blocks)
    return min(cap, taken + shutil.disk_usage(store).free - promised - KEEP_FREE), taken


def _make_room(entry, size):
    """Evict what was used least recently and is not in use, if `size` bytes fit then; return what room there is more.

    None where they do not fit. They are for `entry`, which the caller alone may fill.
    """
    store = entry.parent
    _sweep(store, entry)
    limit, taken = _measure(store)
    missing = size - (limit - taken)
    with contextlib.ExitStack() as stack:
        evicted = []
        for _, freed, entry in _list_entries(store):
            if missing <= 0:
                break
            if lock := _lock(entry, "used", fcntl.LOCK_EX, wait=False):
                stack.enter_context(contextlib.closing(lock))
                evicted.append(entry)
                missing -= freed
        if missing > 0:
            return None
        for old in evicted:
            left = pathlib.Path(tempfile.mkdtemp(prefix=SCRATCH, dir=store))  # a sweep finds it, should this be killed
            with contextlib.suppress(FileNotFoundError):  # deleted by hand meanwhile
                old.rename(left / old.name)
            shutil.rmtree(left, ignore_errors=True)
    return -missing


def _sweep(store, filling):
    """Remove what killed runs left half-written or half-evicted: the entries in it are no longer being filled.

    For the caller, who alone looks for room and alone may fill the entry `filling`.
    """
    for scratch in store.glob(f"{SCRATCH}*"):
        with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):  # published or removed meanwhile
            for entry in {store / path.name for path in scratch.iterdir()} - {filling}:
                lock = _lock(entry, "filled", fcntl.LOCK_EX, wait=False)
                if lock is None:
                    break
                stack.enter_context(contextlib.closing(lock))
            else:
                shutil.rmtree(scratch, ignore_errors=True)


def _fill(prefix, images, entry, find_others):
    """Store what `prefix`, and those of the others that there is room for, make of `images`, in one pass.

    Returns False, and computes nothing, where there is no room.
    """
    others = find_others()  # takes seconds, in which no other run should wait for its turn below
    with contextlib.ExitStack() as stack:
        # One process at a time looks for room, until what it takes can be seen by the next.
        with contextlib.closing(_lock(entry.parent / "room", "taken", fcntl.LOCK_EX)):
            room = _make_room(entry, prefix.bytes_per_image * images.count())
            if room is None:
                return False
            targets = [(prefix, entry)]
            for other in others:
                place, size = find_entry(other, images), other.bytes_per_image * images.count()
                if size > room or place.exists() or place in dict(targets).values():
                    continue
                if lock := _lock(place, "filled", fcntl.LOCK_EX, wait=False):
                    stack.enter_context(contextlib.closing(lock))
                    if not place.exists():  # or another run has finished it meanwhile
                        targets.append((other, place))
                        room -= size
            writers = [stack.enter_context(_write_entry(*target, images)) for target in targets]
        model = networks.build_prefixes(prefix.network, [target.operation for target, _ in targets])

        @tf.function(reduce_retracing=True)
        def run(batch):
            return tf.nest.flatten(model(batch, training=False))

        count = images.count()
        batches = track(
            records.read_batches(images.folder, images.part, FILL_BATCH, boxes=images.boxes),
            f"activations at {', '.join(target.cut for target, _ in targets)}; {images.part}",
            -(-count // FILL_BATCH),
            "batches",
        )

        def write_all(outputs):
            for write, values in zip(writers, outputs, strict=True):
                write(values.numpy())

        # One batch is written while the next is computed.
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
        written = None
        for batch, _ in batches:
            outputs = run(batch)
            if written:
                written.result()
            written = pool.submit(write_all, outputs)
        written.result()
    return True


@contextlib.contextmanager
def _write_entry(prefix, entry, images):
    """Give a function that appends activations (b, ...) float32 to a new entry; it is published when all are in.

    Its file has its full size from the start, so that others see what it will take.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (images.count(), *prefix.model.output_shape[1:])}
    with publish(entry, sync=False) as scratch:
        scratch.mkdir()
        with open(scratch / VALUES, "w+b") as file:
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            file.truncate(start + prefix.bytes_per_image * images.count())
            file.seek(0)
            checksum = zlib.crc32(file.read(start))

            def write(values):
                nonlocal checksum
                content = memoryview(np.ascontiguousarray(values)).cast("B")
                checksum = zlib.crc32(content, checksum)
                file.write(content)

            yield write
        write_json(scratch / DOCUMENT, {**prefix.description, **images.describe(), "crc32": checksum})
