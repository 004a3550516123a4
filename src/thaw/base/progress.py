"""Progress of long work: a bar on a terminal, a plain line now and then in a log."""

import contextlib
import io
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

import tqdm

SECONDS_BETWEEN_LINES = 10

Item = TypeVar("Item")


class Log(io.TextIOBase):
    """A stream for lines that a run can do without: what `stream` cannot take (its disk is full) is lost."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        return self.stream.isatty()

    def write(self, text: str) -> int:
        """Write `text`, or lose it."""
        with contextlib.suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Have what was written arrive, or lose it."""
        with contextlib.suppress(OSError):
            self.stream.flush()


def say(text: str) -> None:
    """Print a line on stderr, if that can be written."""
    print(text, file=Log(sys.stderr), flush=True)


def log_output() -> contextlib.AbstractContextManager[Log]:
    """Have what is printed meanwhile go to stderr, if that can be written: the progress that Keras reports."""
    return contextlib.redirect_stdout(Log(sys.stderr))


def track(iterable: Iterable[Item], label: str, total: int | None, unit: str) -> Iterator[Item]:
    """Yield from `iterable` and report on stderr how many of `total` (None: unknown) have passed.

    `label` names what is being done and `unit` what is counted, as in ``track(photos, "preprocess", 3670, "photos")``.
    """
    if sys.stderr.isatty():
        yield from tqdm.tqdm(iterable, desc=label, total=total, unit=f" {unit}")
        return
    start = reported = time.monotonic()
    done, of_total = 0, "" if total is None else f" of {total}"
    for item in iterable:
        yield item
        done += 1
        if time.monotonic() - reported >= SECONDS_BETWEEN_LINES:
            reported = time.monotonic()
            say(f"{label}: {done}{of_total} {unit}, {reported - start:.0f} s")
    say(f"{label}: {done} {unit} in {time.monotonic() - start:.1f} s")
