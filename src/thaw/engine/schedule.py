"""Which stage starts when: every one whose inputs are made, as far as there are jobs and memory for it."""

import concurrent.futures
import functools
import graphlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from thaw.engine.children import Ended, Outcome
from thaw.engine.costs import Cost, find_chains
from thaw.engine.pipeline import Step

SECONDS_BETWEEN_LOOKS = 1.0  # at what is shown; the end of a stage is seen at once

MADE = (Outcome.RUN, Outcome.RESTORED)
STOPPED = (Outcome.FAILED, Outcome.LEFT_OUT)


Job = Callable[[], Ended]  # what runs a stage to its end


class Place(Protocol):
    """Where stages run."""

    def take(self, name: str) -> Job | None:
        """Return what runs a stage, which has its room from now on; None where there is no room for it now."""

    def leave(self, name: str) -> None:
        """A stage that was taken has ended."""


class Room(NamedTuple):
    """What stages that run at the same time may take together."""

    jobs: int
    memory: int  # bytes; a stage that alone takes more runs alone


class Machine:
    """This machine as a Place."""

    def __init__(self, run: Callable[[str], Ended], costs: Mapping[str, Cost], room: Room) -> None:
        """Run stages by `run(name)`, in `room`."""
        self._run, self._costs, self._room = run, costs, room
        self._running: set[str] = set()

    def take(self, name: str) -> Job | None:
        """Return what runs a stage, or None where there is no room for it now."""
        taken = sum(self._costs[other].memory for other in self._running)
        fits = not self._running or taken + self._costs[name].memory <= self._room.memory
        if len(self._running) >= self._room.jobs or not fits:
            return None
        self._running.add(name)
        return functools.partial(self._run, name)

    def leave(self, name: str) -> None:
        """A stage that was taken has ended."""
        self._running.discard(name)


class Watcher(Protocol):
    """Who is told how the stages fare."""

    def start(self, name: str) -> None:
        """A stage has been started."""

    def end(self, name: str, ended: Ended) -> None:
        """A stage has ended, or needs no process."""

    def lose(self, name: str, ended: Ended) -> None:
        """A stage that ran must run again."""

    def refresh(self) -> None:
        """Some time has passed."""


def run_steps(
    steps: Sequence[Step],
    place: Place,
    pool: concurrent.futures.Executor,
    costs: Mapping[str, Cost],
    watcher: Watcher,
) -> dict[str, Ended]:
    """Run `steps`, which has what is read first, in `place`, each in a thread of `pool`; return {step: its end}.

    A step starts once all that it reads is made; of those that could, the one with the longest chain of stages behind
    it. One that is unchanged, and so is all before it, is not started; one that is lost starts again. What reads from
    a stage that failed is left out.
    """
    chains, known = find_chains(steps, costs), {step.name: step for step in steps}
    sorter = graphlib.TopologicalSorter({step.name: step.upstream for step in steps})
    sorter.prepare()
    ended: dict[str, Ended] = {}
    ready: list[str] = []
    running: dict[concurrent.futures.Future[Ended], str] = {}

    def finish(name: str, what: Ended) -> None:
        ended[name] = what
        sorter.done(name)
        watcher.end(name, what)

    def settle() -> None:
        """Finish every step that needs no process; `ready` has the others that could start."""
        while names := sorter.get_ready():
            for name in names:
                outcome = _foresee(known[name], ended)
                if outcome:
                    finish(name, Ended(outcome, 0))
                else:
                    ready.append(name)

    settle()
    while ready or running:
        for name in sorted(ready, key=lambda name: -chains[name]):
            job = place.take(name)
            if job:
                ready.remove(name)
                watcher.start(name)
                running[pool.submit(job)] = name
        if not running:  # there is no room, and none becomes free by what ends here
            time.sleep(SECONDS_BETWEEN_LOOKS)
        done, _ = concurrent.futures.wait(
            running, SECONDS_BETWEEN_LOOKS, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for future in done:
            name, what = running.pop(future), future.result()
            place.leave(name)
            if what.outcome is Outcome.LOST:
                ready.append(name)
                watcher.lose(name, what)
            else:
                finish(name, what)
        settle()
        watcher.refresh()
    return ended


def _foresee(step: Step, ended: Mapping[str, Ended]) -> Outcome | None:
    """Return what becomes of a step whose inputs are there, without running it; None where it must be run to know."""
    before = {ended[name].outcome for name in step.upstream}
    if before.intersection(STOPPED):
        return Outcome.LEFT_OUT
    return Outcome.UNCHANGED if step.unchanged and not before.intersection(MADE) else None
