"""./run thaw repro: what `dvc repro` does, with independent stages side by side.

DVC says what depends on what, and decides of every stage that is started whether it runs, comes out of the cache or is
unchanged. This program decides when stages start.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import sys
import time
import types
from collections.abc import Iterator, Mapping, Sequence

import psutil
import tqdm

from thaw.base.errors import InputError
from thaw.base.progress import say
from thaw.cli.forecast import count_repeats, forecast
from thaw.cli.holding import hold_file
from thaw.cli.options import read_number
from thaw.cli.repro.children import Children, Ended, Outcome
from thaw.cli.repro.costs import Cost, read_costs
from thaw.cli.repro.order import read_before, restore_order
from thaw.cli.repro.pipeline import Pipeline, Step, open_pipeline
from thaw.cli.repro.schedule import Room, run_steps
from thaw.cli.repro.watching import Bar, Log, Progress, count_outcomes
from thaw.config.loading import load
from thaw.config.starting import prepare

HELD = pathlib.Path(".thaw/repro.lock")


class Stopped(KeyboardInterrupt):
    """A signal asks this program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)


def repro(targets: Sequence[str], jobs: str | None, force: bool) -> bool:
    """Reproduce `targets` (all stages without any) in the working directory; return whether no stage failed.

    `jobs` is how many stages run at a time at most, `default_jobs` where it is None; with `force` unchanged stages run,
    too. A signal ends the stages that run and then this program, with the status 128 + its number. Raises InputError
    where the parameters or their inputs are at fault, as before `dvc repro`, where there is no such target, and where
    another `thaw repro` runs here.
    """
    begun, limit = time.monotonic(), read_number("--jobs", jobs, 0)
    command = " ".join(["./run thaw repro", *targets])
    with _raise_signals(), contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold_file(HELD, command, pathlib.Path.cwd()))
            prepare(["repro", *targets])
            pipeline = stack.enter_context(open_pipeline())
            steps = pipeline.read_steps(targets, force)
            costs = read_costs(steps)
            room = Room(limit or default_jobs(load().compute.threads), psutil.virtual_memory().available)
            if told := forecast(steps, count_repeats(costs, load()), room.jobs):
                say(f"repro: {told}")
            ended = _run(pipeline, steps, costs, room, force)
        except Stopped as stopped:
            say(f"stopped by {stopped.number.name}; ./run thaw repro, or ./run dvc repro, goes on")
            sys.exit(128 + stopped.number)
    print_end(ended, time.monotonic() - begun)
    return not count_outcomes(ended)[Outcome.FAILED]


def default_jobs(threads: int) -> int:
    """Return how many stages of so many threads the processors of this process can run at a time, at least 1."""
    # The first where the system can keep a process from some processors.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)


def _run(
    pipeline: Pipeline, steps: Sequence[Step], costs: Mapping[str, Cost], room: Room, force: bool
) -> dict[str, Ended]:
    """Run `steps`; return {step: what became of it}. Whatever ends this, ends the stages that run."""
    before = read_before(steps)
    progress = Progress(steps, costs, room.jobs)
    watcher: Bar | Log = Bar(progress) if sys.stderr.isatty() else Log(progress)
    children = Children(pipeline, force, watcher.tell)
    with contextlib.closing(watcher), concurrent.futures.ThreadPoolExecutor(room.jobs) as pool:
        try:
            ended = run_steps(steps, children.run, pool, costs, room, watcher)
        except BaseException:
            if progress.running:
                say(f"ending {', '.join(progress.running)}")
            children.end()
            with contextlib.suppress(InputError):
                restore_order(pipeline, steps, before)
            raise
    restore_order(pipeline, steps, before)
    return ended


def print_end(ended: Mapping[str, Ended], seconds: float) -> None:
    """Print how many stages came to which end; say which failed, where their logs are, and what was left out."""
    for name, each in ended.items():
        if each.outcome is Outcome.FAILED:
            say("\n".join([f"{name} failed; {each.log} has its output:", *(f"    {line}" for line in each.last)]))
    if left_out := [name for name, each in ended.items() if each.outcome is Outcome.LEFT_OUT]:
        say(f"left out, because they need what failed: {', '.join(left_out)}")
    counts = count_outcomes(ended)
    words = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
    print(
        f"{len(ended)} stage{'s' * (len(ended) != 1)}: {', '.join(words)} ({tqdm.tqdm.format_interval(round(seconds))})"
    )


@contextlib.contextmanager
def _raise_signals() -> Iterator[None]:
    """Have signals that ask this program to end raise Stopped."""

    def stop(number: int, _frame: types.FrameType | None) -> None:
        raise Stopped(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # which nohup asks for
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
