"""Stages as processes: each a dvc command of one stage, with a log of its own."""

import contextlib
import enum
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from thaw.base.errors import InputError
from thaw.engine.devices import Devices, list_devices
from thaw.engine.pipeline import Pipeline

LOGS = pathlib.Path(".thaw/logs")
TRIES = 5  # of a stage that DVC's locks keep from starting; between them 1, 2, 4 and 8 seconds pass
SECONDS_TO_END = 20.0  # that stages have to end once they are asked to
MOST_NAMES = 200  # of stages in one command
LAST = 3  # lines of a log that are shown of a stage that failed

# What DVC says of one stage.
BUSY = re.compile(r"^ERROR: .*(?:Unable to acquire lock|is busy, it is being blocked by)")
RESTORED = re.compile(r"^Stage '.*' is cached - skipping run, checking out outputs")
UNCHANGED = re.compile(r"^(?:Stage )?'.*' didn't change, skipping")
FAILED = re.compile(r"^ERROR: failed to reproduce ")


class Outcome(enum.Enum):
    """What became of a stage."""

    RUN = "run"
    RESTORED = "from the cache"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    LEFT_OUT = "left out"  # a stage before it failed
    LOST = "lost"  # its machine is gone, and it starts again


class Ended(NamedTuple):
    """A stage that has ended."""

    outcome: Outcome
    seconds: float
    log: pathlib.Path | None = None
    last: tuple[str, ...] = ()  # the last lines of the log, of a stage that failed


class Children:
    """The dvc commands that this process has started and that have not ended. Its methods may run in threads."""

    def __init__(self, pipeline: Pipeline, force: bool, tell: Callable[[str, str], None], shared: bool = False) -> None:
        """Run stages of `pipeline`, whatever DVC thinks of them if `force`; `tell` gets (stage, line of its output).

        If `shared`, what a stage reads comes from the DVC remote where it is not here, and what it makes goes there.
        """
        self._pipeline, self._tell = pipeline, tell
        options = [*(["--force"] if force else []), *(["--pull", "--allow-missing"] if shared else [])]
        self._commands = [["repro", "--single-item", *options], *([["push"]] if shared else [])]
        self._devices = Devices(list_devices())
        self._running: set[subprocess.Popen[str]] = set()
        self._guard = threading.Lock()  # of `_running`
        self._ending = threading.Event()

    def run(self, name: str) -> Ended:
        """Run stage `name` to its end and return what became of it.

        Where DVC's locks keep it from starting it is tried again, TRIES times in all.
        """
        begun, path = time.monotonic(), find_log(name)
        path.unlink(missing_ok=True)
        status, lines = 0, list[str]()
        for words in self._commands:
            status, said = self._run_command([*words, name], name, path)
            lines += said
            if status:
                break
        return judge(status, lines, begun, path)

    def push(self, names: Sequence[str]) -> None:
        """Have the DVC remote get what the stages `names` have made; raises InputError where that fails."""
        for at in range(0, len(names), MOST_NAMES):
            status, lines = self._run_command(["push", *names[at : at + MOST_NAMES]], "push", find_log("push"))
            if status:
                raise InputError(f"dvc push failed, on which the workers rest: {'; '.join(_find_last(lines))}")

    def _run_command(self, words: Sequence[str], name: str, path: pathlib.Path) -> tuple[int, list[str]]:
        """Run a dvc command for stage `name`; return (exit status, lines of output). While it is locked, try again."""
        for attempt in range(TRIES):
            status, lines = self._run_once(words, name, path)
            busy = status != 0 and any(map(BUSY.match, lines))
            if not busy or self._ending.wait(2**attempt if attempt < TRIES - 1 else 0):
                break
        return status, lines

    def _run_once(self, words: Sequence[str], name: str, path: pathlib.Path) -> tuple[int, list[str]]:
        """Run a dvc command, its output at the end of the log at `path`; return (exit status, lines of output)."""
        with self._devices.lend() as environment:
            return self._run_in(environment, words, name, path)

    def _run_in(
        self, environment: Mapping[str, str], words: Sequence[str], name: str, path: pathlib.Path
    ) -> tuple[int, list[str]]:
        with self._guard:
            if self._ending.is_set():
                return -signal.SIGINT, []
            # A group of its own: what a terminal sends to this program is for this program to pass on.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dvc", "--wait-for-lock", *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        lines = []
        try:
            with process, open(path, "a", encoding="utf-8") as log:
                assert process.stdout
                for line in process.stdout:
                    log.write(line)
                    log.flush()
                    lines.append(line.rstrip())
                    self._tell(name, lines[-1])
        finally:
            with self._guard:
                self._running.discard(process)
        return process.returncode, lines

    def end(self) -> None:
        """End all that run, and let none start any more; returns once they have ended.

        First as Ctrl-C does, while no dvc command writes dvc.lock; what has not ended after SECONDS_TO_END is killed.
        A signal to this process meanwhile kills them at once.
        """
        with self._guard:
            self._ending.set()
        try:
            self._send(signal.SIGINT)
            deadline = time.monotonic() + SECONDS_TO_END
            while self._list() and time.monotonic() < deadline:
                time.sleep(0.05)
            self._send(signal.SIGKILL)
        except BaseException:
            self._signal(signal.SIGKILL)
            raise

    def _send(self, number: signal.Signals) -> None:
        """Send a signal to all that run, at a moment at which none of them holds DVC's lock; at worst at any moment."""
        if self._list():
            with contextlib.ExitStack() as stack:
                with contextlib.suppress(InputError):
                    stack.enter_context(self._pipeline.hold(SECONDS_TO_END))
                self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._list():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _list(self) -> list[subprocess.Popen[str]]:
        with self._guard:
            return list(self._running)


def find_log(name: str) -> pathlib.Path:
    """Return the log of a stage; the folder is made."""
    LOGS.mkdir(parents=True, exist_ok=True)
    return LOGS / f"{urllib.parse.quote(name, safe='@')}.log"


def judge(status: int, lines: Sequence[str], begun: float, log: pathlib.Path) -> Ended:
    """Return what became of a stage whose dvc commands ended with `status` and said `lines`, which are in `log`."""
    if status:
        outcome = Outcome.FAILED
    elif any(map(RESTORED.match, lines)):
        outcome = Outcome.RESTORED
    else:
        outcome = Outcome.UNCHANGED if any(map(UNCHANGED.match, lines)) else Outcome.RUN
    return Ended(outcome, time.monotonic() - begun, log, _find_last(lines) if status else ())


def _find_last(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the last lines that a stage said itself or, where it said none, that DVC said."""
    told = [line for line in lines if line.strip()]
    own = [line for line in told if not FAILED.match(line)]
    return tuple((own or told)[-LAST:])
