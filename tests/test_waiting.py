"""How long training waits for its data."""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from thaw.training.waiting import time_waits

BATCHES, PAUSE = 6, 0.05


def make_batches(pause: float = 0.0) -> Any:
    """Return batches of (inputs (4, 2), labels (4,)), each `pause` seconds in the making."""

    def wait(start: Any) -> Any:
        time.sleep(pause)
        return start

    def make(start: Any) -> Any:
        start = tf.ensure_shape(tf.numpy_function(wait, [start], tf.int64), ())
        labels = start + tf.range(4, dtype=tf.int64)
        return tf.cast(tf.stack([labels, -labels], axis=1), tf.float32), labels

    return tf.data.Dataset.range(0, 4 * BATCHES, 4).map(make)


def fit(batches: Any) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4 * BATCHES)])
    model.compile(optimizer="sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(batches, verbose=0)


def test_a_slow_source_is_seen_as_waiting_in_training() -> None:
    waits = []
    fit(time_waits(make_batches(PAUSE), waits))
    assert len(waits) == BATCHES
    assert sum(waits) >= 0.9 * BATCHES * PAUSE


def test_a_fast_source_is_not() -> None:
    """However slow what is made of its batches."""
    waits = []
    for _ in time_waits(make_batches(), waits):
        time.sleep(PAUSE)
    assert len(waits) == BATCHES
    assert sum(waits) < BATCHES * PAUSE / 2


def test_a_source_that_works_ahead_is_not_waited_for() -> None:
    waits = []
    for _ in time_waits(make_batches(PAUSE).prefetch(2), waits):
        time.sleep(2 * PAUSE)
    # The first batch has to be made while nothing else happens.
    assert sum(waits[1:]) < BATCHES * PAUSE / 2


def test_batches_come_through_unchanged_and_in_order() -> None:
    plain, timed = list(make_batches()), list(time_waits(make_batches(), []))
    assert len(timed) == len(plain)
    for (inputs, labels), (expected, of_expected) in zip(timed, plain, strict=True):
        np.testing.assert_array_equal(inputs, expected)
        np.testing.assert_array_equal(labels, of_expected)
    assert [int(labels[0]) for _, labels in timed] == list(range(0, 4 * BATCHES, 4))
