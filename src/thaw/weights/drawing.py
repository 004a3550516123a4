"""Flowers drawn on several cores, by programs of their own: this module, run as one.

Not by a pool of processes. It takes semaphores in shared memory: /dev/shm may be full, read-only or missing, and keeps
them when all of the processes are killed.
"""

import concurrent.futures
import os
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence

from thaw.drawn import flowers

PROGRAMS = 2  # at a time
TOGETHER = 128  # pictures drawn by one: seconds of work, where its start takes a fraction of one
SOURCE = pathlib.Path(__file__).parents[2]

Task = tuple[int, flowers.Domain, str, int, int]  # the arguments of flowers.draw


def draw_all(tasks: Sequence[Task]) -> Iterator[bytes]:
    """Yield the picture of each task, in their order."""
    shares = [tasks[start : start + TOGETHER] for start in range(0, len(tasks), TOGETHER)]
    with concurrent.futures.ThreadPoolExecutor(PROGRAMS) as pool:
        for pictures in pool.map(_draw_apart, shares):
            yield from pictures


def _draw_apart(tasks: Sequence[Task]) -> list[bytes]:
    """Return the picture of each task, drawn by a program of its own, or by this one where none can be had."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, input=pickle.dumps(tasks), stdout=subprocess.PIPE, env=environment, check=True)
    except (OSError, subprocess.CalledProcessError):  # it cannot be started, or was killed for its memory
        return _draw(tasks)
    pictures: list[bytes] = pickle.loads(done.stdout)
    return pictures


def _draw(tasks: Sequence[Task]) -> list[bytes]:
    return [flowers.draw(*task) for task in tasks]


if __name__ == "__main__":
    pickle.dump(_draw(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
