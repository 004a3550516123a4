"""How long training waits for its data."""

import time

import numpy as np
import tensorflow as tf


def time_waits(batches, waits):
    """Return the tf.data.Dataset `batches`, of (inputs, labels), that appends to the list `waits` as it is read.

    Each entry is the seconds that one `next` took, inside the compiled training step too.
    """

    def read_clock(_):
        return tf.numpy_function(lambda: np.float64(time.perf_counter()), [], tf.float64)

    def note(before, batch, after):
        def append(before, after):
            waits.append(after - before)
            return np.int32(0)

        with tf.control_dependencies([tf.numpy_function(append, [before, after], tf.int32)]):
            return tuple(tf.identity(tensor) for tensor in batch)

    # zip takes from its parts one after the other, in the thread that asks for the batch.
    clock = tf.data.Dataset.counter().map(read_clock)
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # it would read the clocks ahead of time
    return tf.data.Dataset.zip(clock, batches, clock).map(note).with_options(options)
