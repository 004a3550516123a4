"""./run thaw repro: what `dvc repro` does, with independent stages side by side, here or on a cluster.

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
from collections.abc import Callable, Iterator, Mapping, Sequence

import psutil
import tqdm

from thaw.base.errors import InputError
from thaw.base.progress import say
from thaw.cli.forecast import count_repeats, forecast
from thaw.cli.holding import hold_file
from thaw.cli.options import read_number
from thaw.config.inputs import FOLDER
from thaw.config.loading import load
from thaw.config.starting import prepare
from thaw.engine.children import Children, Ended, Outcome
from thaw.engine.costs import Cost, read_costs
from thaw.engine.devices import list_devices
from thaw.engine.order import read_before, restore_order
from thaw.engine.parcel import read_commit
from thaw.engine.pipeline import Pipeline, Step, open_pipeline
from thaw.engine.remote import check_configured
from thaw.engine.schedule import Machine, Place, Room, run_steps
from thaw.engine.watching import Bar, Log, Progress, count_outcomes

HELD = pathlib.Path(".thaw/repro.lock")
MOST_AWAY = 1000  # stages at a time on a cluster; each has a thread here that waits


class Stopped(KeyboardInterrupt):
    """A signal asks this program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = signal.Signals(number)


def repro(targets: Sequence[str], jobs: str | None, force: bool, cluster: str | None = None) -> bool:
    """Reproduce `targets` (all stages without any) in the working directory; return whether no stage failed.

    `jobs` is how many stages run at a time at most, `default_jobs` where it is None; with `force` unchanged stages run,
    too. With `cluster`, the address of a scheduler of Dask, its workers run the stages that read nothing from outside
    the pipeline, and `jobs` is how many of the others run here. A signal ends the stages that run and then this
    program, with the status 128 + its number. Raises InputError where the parameters or their inputs are at fault, as
    before `dvc repro`, where there is no such target, where another `thaw repro` runs here, and where the cluster
    cannot be used.
    """
    begun, limit = time.monotonic(), read_number("--jobs", jobs, 0)
    command = " ".join(["./run thaw repro", *targets])
    with _raise_signals(), contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold_file(HELD, command, pathlib.Path.cwd()))
            prepare(["repro", *(["--pull", "--allow-missing"] if cluster else []), *targets])
            pipeline = stack.enter_context(open_pipeline())
            steps = pipeline.read_steps(targets, force, missing=cluster is not None)
            costs = read_costs(steps)
            most = limit or default_jobs(load().compute.threads, len(list_devices()))
            room = Room(most, psutil.virtual_memory().available)
            if told := forecast(steps, count_repeats(costs, load()), room.jobs):
                say(f"repro: {told}")
            if cluster is None:
                ended = _run(pipeline, steps, costs, room, force)
            else:
                ended = _run_on_cluster(pipeline, steps, costs, room, force, cluster)
        except Stopped as stopped:
            say(f"stopped by {stopped.number.name}; ./run thaw repro, or ./run dvc repro, goes on")
            sys.exit(128 + stopped.number)
    print_end(ended, time.monotonic() - begun)
    if cluster and count_outcomes(ended)[Outcome.RUN]:
        say("what workers made is in the DVC remote: ./run dvc pull brings it, ./run dvc repro --pull needs none of it")
    return not count_outcomes(ended)[Outcome.FAILED]


def default_jobs(threads: int, devices: int = 0) -> int:
    """Return how many stages of so many threads the processors of this process can run at a time, at least 1.

    On a machine with so many GPUs, `devices`, no more than these: stages would share one.
    """
    # The first where the system can keep a process from some processors.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores // threads, devices or cores))


def _run(
    pipeline: Pipeline, steps: Sequence[Step], costs: Mapping[str, Cost], room: Room, force: bool
) -> dict[str, Ended]:
    """Run `steps` on this machine; return {step: what became of it}."""
    watcher = _open_watcher(steps, costs, room.jobs)
    children = Children(pipeline, force, watcher.tell)
    place = Machine(children.run, costs, room)
    return _follow(pipeline, steps, costs, place, watcher, children.end, room.jobs)


def _run_on_cluster(
    pipeline: Pipeline, steps: Sequence[Step], costs: Mapping[str, Cost], room: Room, force: bool, address: str
) -> dict[str, Ended]:
    """Run `steps` on the cluster at `address`, in `room` of this machine what must run here; return as `_run` does."""
    try:
        from thaw.engine.cluster import Asked, Cluster, connect
    except ModuleNotFoundError as error:
        raise InputError(
            f"--cluster: needs Dask ({error}): docs/cluster.md says how it comes into the environment"
        ) from None
    compute = load().compute
    check_configured(pipeline.repo)
    asked = Asked(read_commit(steps, FOLDER), FOLDER, compute.threads, compute.onednn_isa, force)
    with connect(address) as client:
        if all(step.unchanged for step in steps):
            return {step.name: Ended(Outcome.UNCHANGED, 0) for step in steps}
        told: list[Bar | Log] = []

        def tell(name: str, line: str) -> None:
            for watcher in told:
                watcher.tell(name, line)

        children = Children(pipeline, force, tell, shared=True)
        here = Machine(children.run, costs, room)
        with Cluster(client, pipeline, steps, costs, asked, here, tell) as cluster:
            # Workers have nothing of what is here.
            children.push([step.name for step in steps if step.unchanged and any(map(os.path.exists, step.cached))])
            told.append(_open_watcher(steps, costs, cluster.count_slots()))

            def end() -> None:
                cluster.end()
                children.end()

            return _follow(pipeline, steps, costs, cluster, told[0], end, MOST_AWAY)


def _open_watcher(steps: Sequence[Step], costs: Mapping[str, Cost], jobs: int) -> Bar | Log:
    progress = Progress(steps, costs, jobs)
    return Bar(progress) if sys.stderr.isatty() else Log(progress)


def _follow(
    pipeline: Pipeline,
    steps: Sequence[Step],
    costs: Mapping[str, Cost],
    place: Place,
    watcher: Bar | Log,
    end: Callable[[], None],
    most: int,
) -> dict[str, Ended]:
    """Run `steps` in `place`, at most `most` at a time; whatever ends this, ends by `end` what runs."""
    before = read_before(steps)
    with contextlib.closing(watcher), concurrent.futures.ThreadPoolExecutor(most) as pool:
        try:
            ended = run_steps(steps, place, pool, costs, watcher)
        except BaseException:
            if watcher.progress.running:
                say(f"ending {', '.join(watcher.progress.running)}")
            end()
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
