"""A quick start for a program that predicts and does nothing else."""

import contextlib
import sys
from collections.abc import Iterator

UNUSED = ("pandas", "scipy", "sklearn")  # two fifths of the time that TensorFlow and Keras take to load


@contextlib.contextmanager
def leave_out_unused() -> Iterator[None]:
    """Have TensorFlow and Keras load meanwhile without what they look for and can do without; it can be loaded later.

    For a process of its own: Keras takes no DataFrame in it, and has no wrappers for scikit-learn.
    """
    left_out = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]  # whoever imports it is told there is none
    try:
        yield
    finally:
        for name in left_out:
            del sys.modules[name]
