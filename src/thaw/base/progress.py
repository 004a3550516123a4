"""Progress of long work: a bar on a terminal, a plain line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import tqdm

SECONDS_BETWEEN_LINES = 10

Item = TypeVar("Item")


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
            print(f"{label}: {done}{of_total} {unit}, {reported - start:.0f} s", file=sys.stderr, flush=True)
    print(f"{label}: {done} {unit} in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
