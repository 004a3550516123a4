"""How the stages fare, for whoever looks on: a bar on a terminal, lines in a log. Both on stderr."""

import collections
import sys
import time
from collections.abc import Mapping, Sequence

import tqdm

from thaw.base.progress import say
from thaw.engine.children import Ended, Outcome
from thaw.engine.costs import Cost, find_chains
from thaw.engine.pipeline import Step

FORMAT = "{n_fmt} of {total_fmt} stages |{bar:20}| {elapsed}{postfix}"


class Progress:
    """Counts stages and estimates the time that is left."""

    def __init__(self, steps: Sequence[Step], costs: Mapping[str, Cost], jobs: int) -> None:
        self._costs, self._chains, self._jobs = costs, find_chains(steps, costs), jobs
        self.total = len(steps)
        self.waiting = {step.name for step in steps}
        self.running: dict[str, float] = {}  # stage: when it was started
        self.ended: dict[str, Ended] = {}

    def start(self, name: str) -> None:
        """A stage has been started."""
        self.waiting.remove(name)
        self.running[name] = time.monotonic()

    def end(self, name: str, ended: Ended) -> None:
        """A stage has ended, or needs no process."""
        self.waiting.discard(name)
        self.running.pop(name, None)
        self.ended[name] = ended

    def lose(self, name: str) -> None:
        """A stage that ran must run again."""
        del self.running[name]
        self.waiting.add(name)

    def estimate(self) -> float:
        """Return the seconds that are left, if stages take what they took before and all that waits must run."""
        now = time.monotonic()
        passed = {name: min(now - start, self._costs[name].seconds) for name, start in self.running.items()}
        left = [*passed, *self.waiting]
        work = sum(self._costs[name].seconds - passed.get(name, 0) for name in left)
        longest = max((self._chains[name] - passed.get(name, 0) for name in left), default=0)
        return max(work / self._jobs, longest)

    def describe(self) -> str:
        """Return what runs, how many wait, what was not run, and the time that is left."""
        counts = count_outcomes(self.ended)
        words = [f"{len(self.running)} running: {', '.join(self.running)}"] if self.running else []
        words += [f"{len(self.waiting)} waiting"] if self.waiting else []
        words += [
            f"{counts[outcome]} {outcome.value}"
            for outcome in (Outcome.UNCHANGED, Outcome.RESTORED, Outcome.FAILED, Outcome.LEFT_OUT)
            if counts[outcome]
        ]
        if self.waiting or self.running:
            words.insert(0, f"about {tqdm.tqdm.format_interval(round(self.estimate()))} left")
        return "; ".join(words)


class Log:
    """Says a line whenever a stage starts or ends, and each line of its output behind its name."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def start(self, name: str) -> None:
        """A stage has been started."""
        self.progress.start(name)
        say(f"{name}: started ({self.progress.describe()})")

    def tell(self, name: str, line: str) -> None:
        """A stage has written a line."""
        say(f"{name} | {line}" if line else f"{name} |")

    def end(self, name: str, ended: Ended) -> None:
        """A stage has ended, or needs no process."""
        ran = name in self.progress.running
        self.progress.end(name, ended)
        if ran:
            say(f"{name}: {say_end(ended)} ({len(self.progress.ended)} of {self.progress.total} stages)")

    def lose(self, name: str, ended: Ended) -> None:
        """A stage that ran must run again."""
        self.progress.lose(name)
        say("; ".join([f"{name}: {say_end(ended)}", *ended.last]))

    def refresh(self) -> None:
        """Some time has passed."""

    def close(self) -> None:
        """All is over."""


class Bar:
    """A bar that says how many stages have ended, what runs and what is left; above it a line for each that ended."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._bar = tqdm.tqdm(total=progress.total, bar_format=FORMAT, file=sys.stderr, dynamic_ncols=True)

    def start(self, name: str) -> None:
        """A stage has been started."""
        self.progress.start(name)
        self.refresh()

    def tell(self, name: str, line: str) -> None:
        """A stage has written a line, which its log has."""

    def end(self, name: str, ended: Ended) -> None:
        """A stage has ended, or needs no process."""
        if name in self.progress.running:
            self._bar.write(f"{name}: {say_end(ended)}", file=sys.stderr)
        self.progress.end(name, ended)
        self._bar.update()

    def lose(self, name: str, ended: Ended) -> None:
        """A stage that ran must run again."""
        self.progress.lose(name)
        self._bar.write("; ".join([f"{name}: {say_end(ended)}", *ended.last]), file=sys.stderr)

    def refresh(self) -> None:
        """Some time has passed."""
        self._bar.set_postfix_str(self.progress.describe(), refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        """All is over."""
        self._bar.close()


def say_end(ended: Ended) -> str:
    """Return what became of a stage, and how long that took."""
    return f"{ended.outcome.value} in {tqdm.tqdm.format_interval(round(ended.seconds))}"


def count_outcomes(ended: Mapping[str, Ended]) -> collections.Counter[Outcome]:
    """Return how many stages came to each end."""
    return collections.Counter(each.outcome for each in ended.values())
