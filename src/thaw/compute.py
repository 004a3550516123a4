"""What the arithmetic runs on, pinned so that a run repeats to the bit."""

import os
from typing import Annotated, Literal

import keras
import pydantic
import tensorflow as tf

from thaw.params import Section

# Of every tf.data pipeline. The thread that tunes one can hold up its end until that thread next wakes: the waits double,
# so an epoch of 6 seconds may end at 10, one of 11 at 20. Here every pipeline says how many calls run in parallel.
UNTUNED = tf.data.Options()
UNTUNED.autotune.enabled = False


class Compute(Section):
    """Section `compute`: both change the last bits of every trained weight, so both are parameters."""

    threads: Annotated[int, pydantic.Field(ge=1, le=256)]
    # The instruction set that oneDNN may use; DEFAULT lets it take the widest that the machine has.
    onednn_isa: Literal["SSE41", "AVX", "AVX2", "AVX512_CORE", "DEFAULT"]


def configure(compute, seed):
    """Pin threads, instruction set, seeds and kernels of this process; call it before the first TensorFlow operation.

    oneDNN reads ONEDNN_MAX_CPU_ISA at its first primitive, so setting it after the import of TensorFlow is in time
    (seen with ONEDNN_VERBOSE=1, TensorFlow 2.21).
    """
    os.environ["ONEDNN_MAX_CPU_ISA"] = compute.onednn_isa
    tf.config.threading.set_intra_op_parallelism_threads(compute.threads)
    tf.config.threading.set_inter_op_parallelism_threads(compute.threads)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
