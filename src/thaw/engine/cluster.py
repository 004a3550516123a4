"""A cluster of Dask as a Place: its workers run stages, with nothing in common but the DVC remote.

Dask finds the workers, sends to them and tells when one is lost. Which worker gets which stage is decided here
(`thaw.engine.workers`), so a stage is sent when there is room for it, and known to run where it is.
"""

import collections
import concurrent.futures
import contextlib
import functools
import pathlib
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import cloudpickle
import distributed

from thaw.base.errors import InputError
from thaw.base.progress import say
from thaw.engine import errand, remote
from thaw.engine.children import Ended, Outcome, find_log, judge
from thaw.engine.costs import Cost
from thaw.engine.merging import take_over
from thaw.engine.parcel import Commit, is_below, read_state
from thaw.engine.pipeline import Pipeline, Step
from thaw.engine.schedule import Job, Machine
from thaw.engine.workers import (
    GPU,
    PACKAGES,
    Worker,
    compare_isa,
    compare_packages,
    count_slots,
    find_room,
    list_asked,
    say_undeclared,
)

SECONDS_TO_CONNECT = 10
SECONDS_BETWEEN_LOOKS = 1.0  # at which workers there are
SECONDS_TO_STOP = 10
SECONDS_FOR_PUSH = 3600.0  # in which another dvc command here should be done, a push too
LOOKED_AT = 16  # workers at a time that are looked at
AGAIN = 3  # times that a stage starts again whose worker was lost
REPORT = "report"  # the stage that reads what git tracks of all others, and the photos

cloudpickle.register_pickle_by_value(errand)


class Asked(NamedTuple):
    """What a run of the pipeline asks of a cluster."""

    commit: Commit
    inputs: str  # the folder of listings; a stage that reads of it reads what lies outside the pipeline
    threads: int
    isa: str
    force: bool


@contextlib.contextmanager
def connect(address: str) -> Iterator[distributed.Client]:
    """Connect to the scheduler at `address`; raises InputError where none answers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions, which are told in one line later
            client = distributed.Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--cluster: no scheduler of Dask answers at {address!r}: {reason}") from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=SECONDS_TO_STOP)


def is_here(step: Step, inputs: str) -> bool:
    """Tell whether a stage runs on this machine: it reads what lies outside the pipeline, or it is the report."""
    return not step.runs or step.name == REPORT or any(is_below(path, [inputs]) for path in step.reads)


class Cluster:
    """The workers of a scheduler as a Place, and this machine for the stages that need it. A context manager."""

    def __init__(
        self,
        client: distributed.Client,
        pipeline: Pipeline,
        steps: Sequence[Step],
        costs: Mapping[str, Cost],
        asked: Asked,
        here: Machine,
        tell: Callable[[str, str], None],
    ) -> None:
        """`here` is this machine; `tell` gets (stage, line of its output)."""
        self._client, self._pipeline, self._costs, self._asked = client, pipeline, costs, asked
        self._here, self._tell = here, tell
        self._steps = {step.name: step for step in steps}
        self._topic = f"thaw-{uuid.uuid4()}"
        self._ending = threading.Event()
        self._open = contextlib.ExitStack()
        self._guard = threading.RLock()  # of what follows
        self._looked = -SECONDS_BETWEEN_LOOKS
        self._there: dict[str, Mapping[str, float]] = {}  # address: what the worker declares
        self._used: dict[str, Worker] = {}
        self._refused: set[str] = set()  # and those that are being looked at
        self._running: dict[str, dict[str, dict[str, float]]] = {}  # address: stage: what it asked for
        self._losses: collections.Counter[str] = collections.Counter()
        self._on_gpus = self._waiting = False
        # Another one, because Dask's own thread takes it, for which holders of the first may wait.
        self._hearing = threading.Lock()
        self._heard: dict[str, int] = {}  # stage on a worker: how many lines of its output have come

    def __enter__(self) -> "Cluster":
        """Wait for a first worker, and look at all that are there.

        Raises InputError where one computes otherwise than this machine, or does not see the DVC remote.
        """
        with contextlib.ExitStack() as stack:
            self._mark = stack.enter_context(remote.mark(self._pipeline.repo))
            self._pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(LOOKED_AT))
            stack.callback(self._ending.set)
            self._client.subscribe_topic(self._topic, self._hear)
            stack.callback(self._client.unsubscribe_topic, self._topic)
            while not self._look():
                self._say_waiting()
                time.sleep(SECONDS_BETWEEN_LOOKS)
            workers = [Worker(*each) for each in self._there.items()]
            self._refused.update(self._there)
            self._compare(workers)
            list(self._pool.map(self._admit, workers))
            say_undeclared(workers)
            self._on_gpus = any(worker.has(GPU) for worker in workers)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def count_slots(self) -> int:
        """Return how many stages the workers run at a time, as they are now."""
        return count_slots(self._used.values(), self._asked.threads)

    def take(self, name: str) -> Job | None:
        """Return what runs a stage, or None where there is no room for it now."""
        step = self._steps[name]
        if is_here(step, self._asked.inputs):
            return self._here.take(name)
        self._renew()
        asked = list_asked(self._costs[name], self._asked.threads, self._on_gpus and step.computes)
        with self._guard:
            running = {address: list(stages.values()) for address, stages in self._running.items()}
            worker = find_room(self._used.values(), running, asked)
            if worker is None:
                if not self._used:
                    self._say_waiting()
                return None
            self._waiting = False
            self._running.setdefault(worker.address, {})[name] = asked
        return functools.partial(self._run, worker, step, asked)

    def leave(self, name: str) -> None:
        """A stage that was taken has ended."""
        self._here.leave(name)
        with self._guard:
            for stages in self._running.values():
                stages.pop(name, None)

    def end(self) -> None:
        """End all that runs on workers, and let nothing start there any more."""
        self._ending.set()
        with self._guard:
            addresses = [address for address, stages in self._running.items() if stages and address in self._there]
        if addresses:
            stop = functools.partial(self._client.run, errand.stop, self._topic, workers=addresses, on_error="ignore")
            asking = threading.Thread(target=stop, daemon=True)  # which may hang with a worker
            asking.start()
            asking.join(SECONDS_TO_STOP)

    def _run(self, worker: Worker, step: Step, asked: Mapping[str, float]) -> Ended:
        """Run a stage on a worker, and take over what it made."""
        begun, log = time.monotonic(), find_log(step.name)
        log.write_text("", encoding="utf-8")
        with self._hearing:
            self._heard[step.name] = 0
        self._tell(step.name, f"on worker {worker.address}")
        try:
            done = self._do(worker, step, asked)
        except (LookupError, distributed.KilledWorker):  # another worker may have its address
            done = None
            with self._guard:
                self._used.pop(worker.address, None)
                self._refused.discard(worker.address)
        except InputError:
            raise
        except Exception as error:
            lines = (f"{worker.address}: {type(error).__name__}: {' '.join(str(error).split())}",)
            return Ended(Outcome.FAILED, time.monotonic() - begun, log, lines)
        if done is None:
            return self._lose(worker, step, begun, log)
        status, lines, lock, files = done
        with self._hearing:
            heard = self._heard.pop(step.name)
            log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for line in lines[heard:]:
            self._tell(step.name, line)
        if status == 0:
            take_over(self._pipeline, step, lock, files)
        return judge(status, lines, begun, log)

    def _do(self, worker: Worker, step: Step, asked: Mapping[str, float]) -> Any:
        """Return what `errand.do` returns for a stage on a worker; None where the worker is lost, or all ends."""
        with self._pipeline.hold(SECONDS_FOR_PUSH):
            state = read_state(step, list(self._steps.values()), self._asked.inputs)
        arguments = ["force" if self._asked.force else "run", step.name, *state.pulled]
        made = [path for path in step.outs if path not in step.cached]
        return self._send(worker, asked, step.name, arguments, state.cleared, state.files, made)

    def _send(self, worker: Worker, asked: Mapping[str, float], name: str, *arguments: Any) -> Any:
        """Have a worker do `errand.do`; return what that returns, or None where the worker is lost or all ends."""
        words = (self._topic, name, self._asked.commit.name, *arguments)
        do = errand.do
        # Dask sends a function that has a name by this name, which a worker does not know, and others by their code.
        future = self._client.submit(
            lambda: do(*words),
            key=f"{self._topic}-{name}-{uuid.uuid4()}",
            workers=[worker.address],
            resources={what: min(asked[what], worker.has(what)) for what in asked if what in worker.resources} or None,
            pure=False,
        )
        while True:
            if future.done():
                with contextlib.suppress(TimeoutError):  # it was done, and its worker is lost
                    return future.result(timeout=SECONDS_TO_CONNECT)
            elif self._ending.is_set() or worker.address not in self._look():
                future.cancel()
                return None
            time.sleep(0.1)

    def _lose(self, worker: Worker, step: Step, begun: float, log: pathlib.Path) -> Ended:
        """Return what becomes of a stage whose worker is lost."""
        seconds = time.monotonic() - begun
        if self._ending.is_set():
            return Ended(Outcome.FAILED, seconds, log)
        with self._guard:
            self._losses[step.name] += 1
            count = self._losses[step.name]
        told = f"worker {worker.address} is gone, and with it what the stage had done"
        if count > AGAIN:
            return Ended(Outcome.FAILED, seconds, log, (f"{told}; it was lost {count} times and is given up",))
        return Ended(Outcome.LOST, seconds, log, (f"{told}; it starts again from its beginning ({count} of {AGAIN})",))

    def _look(self) -> Mapping[str, Mapping[str, float]]:
        """Return {address: what it declares} of the workers that are there; raises InputError where no scheduler is."""
        with self._guard:
            if time.monotonic() < self._looked + SECONDS_BETWEEN_LOOKS:
                return self._there
            self._looked = time.monotonic()
            try:
                found = self._client.scheduler_info()["workers"]
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise InputError(
                    f"--cluster: the scheduler does not answer any more ({reason}); the same command goes on"
                ) from None
            self._there = {address: each["resources"] for address, each in found.items()}
            return self._there

    def _renew(self) -> None:
        """Forget the workers that are gone, and have those that are new looked at."""
        there = self._look()
        with self._guard:
            self._used = {address: worker for address, worker in self._used.items() if address in there}
            self._refused &= there.keys()
            new = [Worker(*each) for each in there.items() if each[0] not in self._refused | self._used.keys()]
            self._refused.update(worker.address for worker in new)
        for worker in new:
            self._pool.submit(self._try, worker)

    def _try(self, worker: Worker) -> None:
        """Use a worker that came later, or say why not."""
        try:
            self._compare([worker])
            self._admit(worker)
        except InputError as error:
            say(f"{error}; it is not used")
        except Exception as error:
            say(f"worker {worker.address} is not used: {' '.join(str(error).split())}")
        else:
            say_undeclared([worker])

    def _compare(self, workers: Sequence[Worker]) -> None:
        """Raise InputError where a worker has other packages than this process."""
        versions: Any = self._client.get_versions(packages=list(PACKAGES))
        for worker in workers:
            theirs = versions["workers"].get(worker.address)
            fault = theirs and compare_packages(versions["client"], theirs, f"worker {worker.address}")
            if fault:
                raise InputError(fault)

    def _admit(self, worker: Worker) -> None:
        """Give a worker the commit and use it; raises InputError where its results would differ, or be lost."""
        address, commit = worker.address, self._asked.commit
        isa = self._client.run(errand.find_isa, workers=[address])[address]
        if fault := compare_isa(self._asked.isa, isa, f"worker {address}"):
            raise InputError(fault)
        self._client.run(errand.receive, commit.name, commit.archive, workers=[address])
        checked = self._send(worker, {}, "check", ["check", self._mark], [], b"", [])
        if checked is None:
            return
        status, lines, *_ = checked
        if status:
            raise InputError(f"--cluster: worker {address}: {next(reversed(lines), 'the check of the remote failed')}")
        with self._guard:
            self._refused.discard(address)
            self._used[address] = worker

    def _say_waiting(self) -> None:
        if not self._waiting:
            self._waiting = True
            say("the scheduler has no worker that can be used; waiting for one")

    def _hear(self, event: Any) -> None:
        """Pass on a line that a stage has written on a worker."""
        _, (name, line) = event
        with self._hearing:
            if name not in self._heard:
                return
            self._heard[name] += 1
            with contextlib.suppress(OSError), open(find_log(name), "a", encoding="utf-8") as log:
                log.write(f"{line}\n")
        self._tell(name, line)
