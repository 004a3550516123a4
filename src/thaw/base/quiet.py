"""TensorFlow and Keras, loaded with their own settings and without the notices that no setting of theirs turns off.

The settings of the user stay outside: variables by `thaw.base.environment`, what lies in the home folder here.

TensorFlow writes the notices while it loads, before it reads TF_CPP_MIN_LOG_LEVEL: which instructions oneDNN uses, and
that there is no GPU. None of them is a warning: see https://github.com/tensorflow/tensorflow/issues/100442. They come
from C++ and not through Python, so the file descriptor of stderr is filtered, and by another program: what TensorFlow
writes before it aborts still arrives.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence

from thaw.base import environment
from thaw.base.errors import InputError

# Of lines: the heading of the first notice; notices (I for information); no driver of NVIDIA's on this machine.
NOTICES = (
    r"^WARNING: All log messages before absl::InitializeLog\(\)",
    r"^I[0-9]{4} ",
    r"^E[0-9]{4} .*cuInit: .*\(303\)$",
)


@contextlib.contextmanager
def hide_notices() -> Iterator[None]:
    """Leave out the lines of NOTICES from what this process writes to stderr meanwhile; the others pass at once."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":  # it asks for everything
        yield
        return
    with leave_out(NOTICES):
        yield


@contextlib.contextmanager
def leave_out(notices: Sequence[str]) -> Iterator[None]:
    """Leave out lines from what this process writes to stderr meanwhile, C++ included; the others pass at once.

    `notices` are extended regular expressions. All other lines arrive, also when the process is aborted.
    """
    grep = shutil.which("grep")
    if grep is None:
        yield
        return
    patterns = [word for notice in notices for word in ("-e", notice)]
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "wb") as stderr:
        command = [grep, "-E", "-v", "--line-buffered", *patterns]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stderr) as filtering:
            assert filtering.stdin
            os.dup2(filtering.stdin.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(stderr.fileno(), 2)


@contextlib.contextmanager
def hide_plugins() -> Iterator[None]:
    """Have TensorFlow load no plugin from the packages in the home folder, which are no part of an environment."""
    variables = sysconfig.get_config_vars()
    before = variables.get("userbase")
    variables["userbase"] = os.devnull
    try:
        yield
    finally:
        variables["userbase"] = before


@contextlib.contextmanager
def leave_out_matplotlib() -> Iterator[None]:
    """Have Keras load without Matplotlib, which it looks for and can do without, unless it is another's already.

    Matplotlib takes a tenth of the time, and reads files of the user that can keep it from loading.
    """
    if environment.is_anothers("matplotlib"):
        yield
        return
    sys.modules["matplotlib"] = None  # type: ignore[assignment]  # whoever imports it is told that there is none
    try:
        yield
    finally:
        del sys.modules["matplotlib"]


def use_defaults() -> None:
    """Give Keras the settings that every run counts on; whoever loaded Keras before may have changed them.

    Raises InputError where Keras does not compute with TensorFlow, which nothing changes any more.
    """
    if keras.config.backend() != "tensorflow":
        raise InputError(
            f"Keras: must have TensorFlow as its backend (got {keras.config.backend()}): KERAS_BACKEND=tensorflow, or "
            "import thaw first"
        )
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # or each process takes all memory of the GPUs that it sees
with hide_notices(), hide_plugins(), leave_out_matplotlib():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()  # which looks for a GPU, as the first operation would

use_defaults()

__all__ = ["keras", "leave_out", "tf", "use_defaults"]
