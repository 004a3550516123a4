"""How long training waits for its data."""

import time

import numpy as np

from thaw.base.quiet import tf


def time_waits(batches: tf.data.Dataset, waits: list[float]) -> tf.data.Dataset:
    """Return the tf.data.Dataset `batches`, of (inputs, labels), that appends to the list `waits` as it is read.

    Each entry is the seconds that one `next` took, inside the compiled training step too.
    """

    def read_clock(_: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(lambda: np.float64(time.perf_counter()), [], tf.float64)

    def note(before: tf.Tensor, batch: tuple[tf.Tensor, ...], after: tf.Tensor) -> tuple[tf.Tensor, ...]:
        def append(before: np.float64, after: np.float64) -> np.int32:
            waits.append(after - before)
            return np.int32(0)

        with tf.control_dependencies([tf.numpy_function(append, [before, after], tf.int32)]):
            return tuple(tf.identity(tensor) for tensor in batch)

    # zip takes from its parts one after the other, in the thread that asks for the batch.
    clock = tf.data.Dataset.counter().map(read_clock)
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # it would read the clocks ahead of time
    return tf.data.Dataset.zip(clock, batches, clock).map(note).with_options(options)
