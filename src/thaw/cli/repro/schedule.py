"""Which stage starts when: every one whose inputs are made, as far as there are jobs and memory for it."""

import concurrent.futures
import graphlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from thaw.cli.repro.children import Ended, Outcome
from thaw.cli.repro.costs import Cost, find_chains
from thaw.cli.repro.pipeline import Step

SECONDS_BETWEEN_LOOKS = 1.0  # at what is shown; the end of a stage is seen at once

MADE = (Outcome.RUN, Outcome.RESTORED)
STOPPED = (Outcome.FAILED, Outcome.LEFT_OUT)


class Room(NamedTuple):
    """What stages that run at the same time may take together."""

    jobs: int
    memory: int  # bytes; a stage that alone takes more runs alone


class Watcher(Protocol):
    """Who is told how the stages fare."""

    def start(self, name: str) -> None:
        """A stage has been started."""

    def end(self, name: str, ended: Ended) -> None:
        """A stage has ended, or needs no process."""

    def refresh(self) -> None:
        """Some time has passed."""


def run_steps(
    steps: Sequence[Step],
    run: Callable[[str], Ended],
    pool: concurrent.futures.Executor,
    costs: Mapping[str, Cost],
    room: Room,
    watcher: Watcher,
) -> dict[str, Ended]:
    """Run `steps`, which has what is read first, in `pool` by `run(name)`; return {step: what became of it}.

    A step starts once all that it reads is made; of those that could, the one with the longest chain of stages behind
    it. One that is unchanged, and so is all before it, is not started. What reads from a stage that failed is left out.
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
            taken = sum(costs[other].memory for other in running.values())
            if len(running) < room.jobs and (not running or taken + costs[name].memory <= room.memory):
                ready.remove(name)
                watcher.start(name)
                running[pool.submit(run, name)] = name
        done, _ = concurrent.futures.wait(
            running, SECONDS_BETWEEN_LOOKS, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for future in done:
            finish(running.pop(future), future.result())
        settle()
        watcher.refresh()
    return ended


def _foresee(step: Step, ended: Mapping[str, Ended]) -> Outcome | None:
    """Return what becomes of a step whose inputs are there, without running it; None where it must be run to know."""
    before = {ended[name].outcome for name in step.upstream}
    if before.intersection(STOPPED):
        return Outcome.LEFT_OUT
    return Outcome.UNCHANGED if step.unchanged and not before.intersection(MADE) else None
