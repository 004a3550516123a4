"""The files of an export as the runtimes load them that people will use."""

import pathlib
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from thaw.base.quiet import tf
from thaw.evaluation.latency import BATCHES, WARM_UP
from thaw.export.converting import PIXELS, PROBABILITIES
from thaw.export.files import File

Predict = Callable[[np.ndarray], np.ndarray]  # pixels (b, size, size, 3) float32 in [0, 255] -> (b, classes)


def load_file(file: File, path: pathlib.Path, threads: int) -> Predict:
    """Return what predicts with the `file` at `path`, through its own runtime; raises RuntimeError or ValueError.

    LiteRT and ONNX Runtime use so many `threads`; TensorFlow has those of this process.
    """
    if file.kind == "litert":
        return _load_litert(path, threads)
    if file.kind == "onnx":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda pixels: session.run([PROBABILITIES], {PIXELS: pixels})[0]
    loaded = tf.saved_model.load(str(path))
    return lambda pixels: loaded.serve(tf.constant(pixels))[PROBABILITIES].numpy()


def measure_latency(predict: Predict, size: int) -> dict[str, float]:
    """Return {median, p95}: milliseconds an image at batch 1, on noise, after a warm-up."""
    pixels = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    times = []
    for repeat in range(WARM_UP + BATCHES[1]):
        start = time.perf_counter()
        predict(pixels)
        if repeat >= WARM_UP:
            times.append(1000 * (time.perf_counter() - start))
    return {"median": round(float(np.median(times)), 3), "p95": round(float(np.percentile(times, 95)), 3)}


def _load_litert(path: pathlib.Path, threads: int) -> Predict:
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def predict(pixels: np.ndarray) -> np.ndarray:
        if tuple(interpreter.get_input_details()[0]["shape"]) != pixels.shape:
            interpreter.resize_tensor_input(given, pixels.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given, pixels)
        interpreter.invoke()
        return interpreter.get_tensor(made)

    return predict
