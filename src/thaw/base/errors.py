"""Errors that the user can mend, in words."""

import errno
import pathlib
import sys
from collections.abc import Callable
from typing import Any


class InputError(Exception):
    """What the user gave cannot be used. The text names the key, file or row, what was received and what is allowed."""


def run_program(main: Callable[[], None]) -> None:
    """Run a program's `main`; an error that the user can mend is one line, without a traceback, and status 1."""
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(f"{error.filename or pathlib.Path.cwd()}: no space left on the disk; make some, then run it again")
    except KeyboardInterrupt:
        sys.exit(130)


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
