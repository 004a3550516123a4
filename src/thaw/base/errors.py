"""Errors that the user can mend, in words."""

import builtins
import contextlib
import errno
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from thaw.base.environment import find_faults
from thaw.base.scratch import make_scratch

TEMPORARY = ".thaw-scratch-"  # begins the names of folders for temporary files, in the system's folder for them
WORDS = {errno.ENOSPC: "no space left on the disk", errno.EDQUOT: "the quota of the disk is used up"}
HINTS = {errno.ENOSPC: "; make some, then run it again", errno.EDQUOT: "; free some of it, then run it again"}
REASONS = {os.strerror(number): number for number in errno.errorcode}
# How TensorFlow reports a file that the system refused: PATH; REASON, behind the name of the node and of the iterator.
REFUSED = re.compile(
    rf"^(?:\{{\{{.*?\}}\}} )?(?:.*Iterator::\S+: )?(?P<path>.+); (?P<reason>{'|'.join(map(re.escape, REASONS))})\b",
    re.MULTILINE,
)
# And an error of Python code that it called, with the traceback behind it.
RAISED = re.compile(
    r"^(?:\{\{.*?\}\} )?(?:.*Iterator::\S+: )?(?P<kind>\w+): "
    r"(?:\[Errno (?P<number>\d+)\] [^:\n]*(?:: '(?P<path>[^\n]*)')?|(?P<text>.*))\nTraceback \(most recent call last\)",
    re.MULTILINE,
)


class InputError(Exception):
    """What the user gave cannot be used. The text names the key, file or row, what was received and what is allowed."""


class DamagedFile(InputError, ValueError):
    """A file that a stage wrote does not hold what was written."""


def run_program(main: Callable[[], None]) -> None:
    """Run a program's `main`; an error that the user can mend is one line, without a traceback, and status 1.

    So is whatever the system refuses: room on a disk, memory, a file. Errors of the program itself keep their
    traceback. Temporary files lie in a folder that this process owns, and the next program removes if it is killed.
    """
    try:
        if faults := find_faults():
            raise InputError("\n".join(faults))
        with _own_temporary_files():
            main()
            sys.stdout.flush()  # here, where it can still be said that the disk is full
    except InputError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        reason, cause = explain(error), find_cause(error)
        if reason is None:
            raise
        sys.exit(reason + HINTS.get(getattr(cause, "errno", None) or 0, ""))
    finally:
        _release(sys.stderr)


def explain(error: BaseException) -> str | None:
    """Return the line for an error that the system caused: the file and the reason; None for any other error."""
    found = find_cause(error)
    if isinstance(found, MemoryError):
        return f"not enough memory{': ' * bool(str(found))}{_join(str(found))}"
    if found is None:
        return None
    reason = WORDS.get(found.errno or 0) or found.strerror or str(found) or type(found).__name__
    place = found.filename
    if place is None and found.errno:
        place = _find_stream(found)
    if isinstance(place, bytes):
        place = os.fsdecode(place)
    return _join(reason if place is None else f"{place}: {reason}")


def find_cause(error: BaseException) -> OSError | MemoryError | None:
    """Return what the system refused when `error` was raised, or None where it is no error of this kind.

    TensorFlow has errors of its own for files and memory; they come back as those of Python.
    """
    if isinstance(error, OSError | MemoryError):
        return error
    if not any(base.__name__ == "OpError" for base in type(error).__mro__):  # by name: few programs load TensorFlow
        return None
    text = str(error)
    if refused := REFUSED.search(text):
        return OSError(REASONS[refused["reason"]], refused["reason"], refused["path"])
    if raised := RAISED.search(text):
        if raised["kind"] == "MemoryError":
            return MemoryError(raised["text"])
        if raised["number"]:
            return OSError(int(raised["number"]), os.strerror(int(raised["number"])), raised["path"])
        named = getattr(builtins, raised["kind"], None)
        return OSError(raised["text"]) if isinstance(named, type) and issubclass(named, OSError) else None
    if exhausted := re.search(r"OOM when allocating tensor with shape\S* and type \w+", text):
        return MemoryError(exhausted[0])
    return None


def kind(value: Any) -> str:
    """Return `value` as an error message shows it: short, and as YAML would write it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@contextlib.contextmanager
def _own_temporary_files() -> Iterator[None]:
    """Have Python's `tempfile`, which libraries use, make its files in a folder that this process owns."""
    before = tempfile.tempdir
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # no room, or no right: then they lie where they would have been
            folder = stack.enter_context(make_scratch(tempfile.gettempdir(), TEMPORARY))
            tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def _find_stream(error: OSError) -> str:
    """Return what an error that names no file is about: standard output, if that fails again, or else this program."""
    again = _release(sys.stdout, "\n")
    return "standard output" if again and again.errno == error.errno else sys.argv[0]


def _release(stream: TextIO, text: str = "") -> OSError | None:
    """Write what waits in `stream`, and `text`. Where that fails, drop it and return the error.

    Or Python would try again, and fail, when it ends.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        return error
    return None


def _join(text: str) -> str:
    return " ".join(text.split())
