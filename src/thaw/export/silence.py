"""What converters and runtimes write to the terminal though nothing is wrong."""

import contextlib
import warnings
from collections.abc import Iterator

from thaw.base.quiet import leave_out

# Of lines that C++ writes: the settings of TensorFlow's quantiser, and LiteRT's notice of its kernels.
NOTICES = (r"^fully_quantize: ", r"^INFO: Created TensorFlow Lite ")


@contextlib.contextmanager
def leave_out_notices() -> Iterator[None]:
    """Leave out Python's warnings and the lines of NOTICES from what this process writes to stderr meanwhile.

    All other lines pass at once, also when the process is aborted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with leave_out(NOTICES):
            yield
