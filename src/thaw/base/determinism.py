"""What the arithmetic runs on, pinned so that a run repeats to the bit."""

import os

from thaw.base.engines import check_engine
from thaw.base.quiet import keras, tf, use_defaults
from thaw.base.sections import Compute

# Of every tf.data pipeline. The thread that tunes one can delay the pipeline's end until that thread next wakes: its
# waits double, so an epoch of 6 seconds may end at 10, one of 11 at 20. Here every pipeline sets its parallel calls.
UNTUNED = tf.data.Options()
UNTUNED.autotune.enabled = False


def configure(compute: Compute, seed: int) -> None:
    """Pin threads, instruction set, precision, seeds and kernels of this process, before its first operation.

    oneDNN reads ONEDNN_MAX_CPU_ISA at its first primitive, so setting it after the import of TensorFlow is in time
    (seen with ONEDNN_VERBOSE=1, TensorFlow 2.21). The settings of Keras become its own again, as `use_defaults` says.
    Raises InputError where this machine lacks the engine of forward passes.
    """
    check_engine(compute.forward)
    use_defaults()
    keras.config.set_dtype_policy(compute.precision)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_tensor_float_32_execution(False)  # or factors would be rounded to ten bits
    os.environ["ONEDNN_MAX_CPU_ISA"] = compute.onednn_isa
    tf.config.threading.set_intra_op_parallelism_threads(compute.threads)
    tf.config.threading.set_inter_op_parallelism_threads(compute.threads)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
