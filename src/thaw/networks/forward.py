"""Passes that only go forward, by the engine that `compute.forward` names."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from thaw.base.engines import import_openvino, own_instructions, start_openvino
from thaw.base.quiet import keras, tf
from thaw.base.sections import Compute

# From a batch (b, ...) float32, a tensor or an array, to what a model makes of it: an array (b, ...) float32 for each
# of its outputs.
Pass = Callable[[Any], list[np.ndarray]]


def trace(model: keras.Model, compute: Compute) -> Pass:
    """Return `model` in inference as a Pass, with the weights that it has now; any thread may call it.

    Raises InputError where the engine that `compute` names is not installed.
    """
    if compute.forward.engine == "openvino":
        return _compile(model, compute)

    def infer(batch: tf.Tensor) -> list[tf.Tensor]:
        return [tf.cast(values, tf.float32) for values in tf.nest.flatten(model(batch, training=False))]

    run = tf.function(infer, reduce_retracing=True)
    return lambda batch: [values.numpy() for values in run(batch)]


def keeps_bits(compute: Compute) -> bool:
    """Tell whether a model of several outputs gives each the bits that it has in a model of its own.

    In 16 bits it does not: where an output is taken, values are rounded that would have gone on in 32 bits.
    """
    return compute.precision == compute.forward.precision == "float32"


def predict(model: keras.Model, batches: tf.data.Dataset, compute: Compute) -> np.ndarray:
    """Return what `model`, of one output, makes of all `batches` (inputs, labels): (n, ...) float32."""
    if compute.forward.engine == "keras":
        return model.predict(batches, verbose=0)
    run = trace(model, compute)
    return np.concatenate([run(inputs)[0] for inputs, _ in batches])


def _compile(model: keras.Model, compute: Compute) -> Pass:
    """Return `model` as a Pass of OpenVINO, for batches of every size."""

    def name_outputs(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        return {f"output_{i}": values for i, values in enumerate(tf.nest.flatten(model(batch, training=False)))}

    function = tf.function(name_outputs)
    traced = function.get_concrete_function(tf.TensorSpec((None, *model.input_shape[1:]), tf.float32))
    converted = import_openvino().convert_model(traced, share_weights=False)
    options = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[compute.forward.precision],
        "INFERENCE_NUM_THREADS": compute.threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # or stages that run side by side would share the first cores
    }
    core = start_openvino()
    with own_instructions():
        request = core.compile_model(converted, "CPU", options).create_infer_request()
    held = threading.Lock()  # a request is for one thread at a time

    def run(batch: Any) -> list[np.ndarray]:
        with held:
            found = request.infer([np.asarray(batch)], share_inputs=True)
            return [found[f"output_{i}"] for i in range(len(found))]

    return run
