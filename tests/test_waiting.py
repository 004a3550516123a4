"""How long training waits for its data, by a clock that the tests move."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from thaw.base.quiet import keras, tf
from thaw.training.waiting import time_waits

BATCHES, PAUSE = 6, 0.5


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stop the clock; return the function that moves it by so many seconds."""
    now = [100.0]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return move


def make_batches(work: Callable[[], None] = lambda: None) -> tf.data.Dataset:
    """Return batches of (inputs (4, 2), labels (4,)); each calls `work` while it is made."""

    def wait(start: np.int64) -> np.int64:
        work()
        return start

    def make(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        start = tf.ensure_shape(tf.numpy_function(wait, [start], tf.int64), ())
        labels = start + tf.range(4, dtype=tf.int64)
        return tf.cast(tf.stack([labels, -labels], axis=1), tf.float32), labels

    return tf.data.Dataset.range(0, 4 * BATCHES, 4).map(make)


def fit(batches: tf.data.Dataset) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4 * BATCHES)])
    model.compile(optimizer="sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(batches, verbose=0)


def test_the_time_that_a_source_takes_for_a_batch_is_waiting_in_training(advance: Callable[[float], None]) -> None:
    waits: list[float] = []
    fit(time_waits(make_batches(lambda: advance(PAUSE)), waits))
    assert waits == [PAUSE] * BATCHES


def test_the_time_that_training_takes_for_a_batch_is_not(advance: Callable[[float], None]) -> None:
    waits: list[float] = []
    for _ in time_waits(make_batches(), waits):
        advance(PAUSE)
    assert waits == [0.0] * BATCHES


def test_batches_come_through_unchanged_and_in_order() -> None:
    plain, timed = list(make_batches()), list(time_waits(make_batches(), []))
    assert len(timed) == len(plain)
    for (inputs, labels), (expected, of_expected) in zip(timed, plain, strict=True):
        np.testing.assert_array_equal(inputs, expected)
        np.testing.assert_array_equal(labels, of_expected)
    assert [int(labels[0]) for _, labels in timed] == list(range(0, 4 * BATCHES, 4))
