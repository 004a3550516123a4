"""What converters and runtimes write to the terminal though nothing is wrong."""

import contextlib
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator

# Of lines that C++ writes: the settings of TensorFlow's quantiser, and LiteRT's notice of its kernels.
NOTICES = (r"^fully_quantize: ", r"^INFO: Created TensorFlow Lite ")


@contextlib.contextmanager
def leave_out_notices() -> Iterator[None]:
    """Leave out Python's warnings and the lines of NOTICES from what this process writes to stderr meanwhile.

    All other lines pass at once, also when the process is aborted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grep = shutil.which("grep")
        if grep is None:
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
