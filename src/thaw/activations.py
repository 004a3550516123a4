"""The store of prefix activations: what a frozen prefix makes of each image, computed once.

Entries are float32 arrays, memory-mapped, outside DVC and git, in the folder that THAW_STORE names (default
`.thaw/activations`). The key of an entry holds everything that its values depend on, so it never goes stale and any
run with the same prefix on the same records shares it.
"""

import hashlib
import json
import os
import pathlib
import shutil
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from thaw import records
from thaw.networks import digest_weights
from thaw.params import InputError
from thaw.progress import track
from thaw.publishing import publish

FILL_BATCH = 32
KEEP_FREE = 1 << 30  # bytes of disk that filling the store must leave


class Source(NamedTuple):
    """Where the batches of one part come from."""

    inputs: np.ndarray  # (n, ...) float32: activations at the cut, memory-mapped
    labels: np.ndarray  # (n,) int64

    def read_batches(self, batch_size, order=None):
        """Return a tf.data.Dataset of (inputs (b, ...) float32, labels (b,) int64); `order` seeds the shuffling."""
        count = len(self.labels)
        indices = np.arange(count) if order is None else np.random.default_rng(order).permutation(count)

        def gather(batch):
            return self.inputs[batch], self.labels[batch]

        def gather_in_graph(batch):
            inputs, labels = tf.numpy_function(gather, [batch], (tf.float32, tf.int64))
            return tf.ensure_shape(inputs, (None, *self.inputs.shape[1:])), tf.ensure_shape(labels, (None,))

        batches = tf.data.Dataset.from_tensor_slices(indices).batch(batch_size)
        return batches.map(gather_in_graph, num_parallel_calls=1).prefetch(2)


class Pixels(NamedTuple):
    """Where the batches of one part come from when nothing is frozen: the records themselves."""

    folder: str
    part: str

    @property
    def labels(self):
        return records.read_labels(self.folder, self.part)[0]

    def read_batches(self, batch_size, order=None):
        """Return a tf.data.Dataset of (images (b, h, w, 3) float32 in [0, 255], labels (b,) int64)."""
        return records.read_batches(self.folder, self.part, batch_size, order)


def open_parts(parts, description, folder, names, compute):
    """Return for each name in `names` (train, validation, test) the source of that part's batches for a run's tail.

    `parts` is the run's network taken apart (networks.Parts), `description` the document beside its weights. Computes
    and stores what is not in the store. Raises InputError where the disk has no room.
    """
    if parts.prefix is None:
        return [Pixels(folder, name) for name in names]
    entry = find_entry(parts, description, folder, compute)
    return [_open(entry / f"{name}.npy", parts, folder, name) for name in names]


def find_entry(parts, description, folder, compute):
    """Return the folder of the store that holds, or will, the activations of the prefix on the records at `folder`."""
    key = {
        "architecture": description["backbone"]["architecture"],
        "size": description["size"],
        "cut": parts.cut,
        "weights": digest_weights(parts.prefix),
        "records": records.read_index(folder)["digest"],
        # What the prefix makes of noise tells apart what else could change its values: an edit of the preprocessing or
        # of how the network is built, another version of a library.
        "noise": _digest_noise(parts.prefix),
        # The last bits of the values depend on these.
        "compute": compute.model_dump(),
        "batch": FILL_BATCH,
        "versions": [tf.__version__, keras.__version__],
    }
    entry = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    return pathlib.Path(os.environ.get("THAW_STORE") or ".thaw/activations") / entry


def _digest_noise(prefix):
    """Return the sha256 of the activations of one fixed image of noise, in hex."""
    image = np.random.default_rng(0).uniform(0, 255, (1, *prefix.input_shape[1:])).astype(np.float32)
    return hashlib.sha256(prefix(image, training=False).numpy().tobytes()).hexdigest()


def _open(path, parts, folder, part):
    labels, _ = records.read_labels(folder, part)
    shape = (len(labels), *parts.prefix.output_shape[1:])
    if not path.exists():
        _fill(path, shape, parts, folder, part)
    return Source(np.load(path, mmap_mode="r"), labels)


def _fill(path, shape, parts, folder, part):
    path.parent.mkdir(parents=True, exist_ok=True)
    size, free = 4 * int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if size + KEEP_FREE > free:
        raise InputError(
            f"{path.parent}: the activations of {part} take {size >> 20} MiB and {free >> 20} MiB of disk are free; "
            "make room, or have THAW_STORE name a folder on another disk"
        )

    @tf.function(reduce_retracing=True)
    def run(images):
        return parts.prefix(images, training=False)

    batches = track(
        records.read_batches(folder, part, FILL_BATCH),
        f"activations at {parts.cut}, {part}",
        -(-shape[0] // FILL_BATCH),
        "batches",
    )
    with publish(path) as scratch:
        array = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.float32, shape=shape)
        start = 0
        for images, _ in batches:
            array[start : start + len(images)] = run(images)
            start += len(images)
        array.flush()
        del array
