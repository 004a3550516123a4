"""TensorFlow and Keras, loaded without the notices that no setting of theirs turns off.

TensorFlow writes them while it loads, before it reads TF_CPP_MIN_LOG_LEVEL: which instructions oneDNN uses, and that
there is no GPU. None of them is a warning: see https://github.com/tensorflow/tensorflow/issues/100442. They come from
C++ and not through Python, so the file descriptor of stderr is filtered, and by another program: what TensorFlow writes
before it aborts still arrives.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

# Of lines: the heading of the first notice; notices (I for information); no driver of NVIDIA's on this machine.
NOTICES = (
    r"^WARNING: All log messages before absl::InitializeLog\(\)",
    r"^I[0-9]{4} ",
    r"^E[0-9]{4} .*cuInit: .*\(303\)$",
)


@contextlib.contextmanager
def hide_notices() -> Iterator[None]:
    """Leave out the lines of NOTICES from what this process writes to stderr meanwhile; the others pass at once."""
    grep = shutil.which("grep")
    if grep is None or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":  # 0 asks for everything
        yield
        return
    patterns = [word for notice in NOTICES for word in ("-e", notice)]
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


with hide_notices():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()  # which looks for a GPU, as the first operation would

__all__ = ["keras", "tf"]
