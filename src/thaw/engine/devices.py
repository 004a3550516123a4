"""Which GPU a stage may see, where there are several: runs are independent, so each has one to itself."""

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
LIST = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
SECONDS = 30.0  # that the driver has to answer


def list_devices() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none where no driver answers."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name for name in map(str.strip, named.split(",")) if name and name != "-1"]
    if shutil.which(LIST[0]) is None:
        return []
    try:
        listed = subprocess.run(LIST, capture_output=True, text=True, check=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


class Devices:
    """The GPUs of this machine, lent to stages. Its methods may run in threads."""

    def __init__(self, names: Sequence[str]) -> None:
        self._stages = dict.fromkeys(names, 0)  # how many have each
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def lend(self) -> Iterator[dict[str, str]]:
        """Give the environment of a stage: it sees the GPU that the fewest have; the first of equals.

        Of a machine with one GPU or none the environment stays as it is.
        """
        if len(self._stages) < 2:
            yield dict(os.environ)
            return
        with self._guard:
            device = min(self._stages, key=self._stages.__getitem__)
            self._stages[device] += 1
        try:
            yield {**os.environ, VISIBLE: device}
        finally:
            with self._guard:
                self._stages[device] -= 1
