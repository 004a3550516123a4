"""Inference time of a network on this machine."""

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from thaw.base.quiet import keras

# Batch size -> how many are timed: of these, the 95th percentile lies below the slowest ten, or five.
BATCHES = {1: 200, 32: 100}
WARM_UP = 3  # batches before the clock runs


def measure_latency(model: "keras.Model") -> dict[str, dict[str, float]]:
    """Return {"batch_1": {"median": ms, "p95": ms}, "batch_32": …}: milliseconds per image of `model`.

    The model is called on noise, as one traced graph, after a warm-up.
    """
    from thaw.base.quiet import tf  # here, so that the report can name the numbers above without it

    shape = model.input_shape[1:]
    run = tf.function(lambda images: model(images, training=False), reduce_retracing=False)
    result = {}
    for batch, repeats in BATCHES.items():
        images = tf.constant(np.random.default_rng(0).uniform(0, 255, (batch, *shape)).astype(np.float32))
        times = []
        for repeat in range(WARM_UP + repeats):
            start = time.perf_counter()
            run(images).numpy()
            if repeat >= WARM_UP:
                times.append(1000 * (time.perf_counter() - start) / batch)
        result[f"batch_{batch}"] = {
            "median": round(float(np.median(times)), 3),
            "p95": round(float(np.percentile(times, 95)), 3),
        }
    return result
