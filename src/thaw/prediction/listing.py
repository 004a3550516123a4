"""The files that paths on a command line, or on standard input, stand for."""

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from thaw.photos.places import CLOSED, FILE, FOLDER, LOST, NOTHING, find_kind

Fault = Callable[[str, str], None]  # is called with a path that is left out, and why


def list_files(paths: Iterable[str], report: Fault) -> Iterator[str]:
    """Yield the files that `paths` name: themselves, and those below a folder, in the order of their names.

    Below a folder hidden files and folders are passed over, links to folders are not followed, and what is no file
    (a pipe, a device) is left out. All else that cannot be read or is empty is reported.
    """
    for path in paths:
        try:
            kind = find_kind(pathlib.Path(path))
        except (OSError, ValueError) as error:  # the latter: a null byte
            report(path, getattr(error, "strerror", None) or str(error))
            continue
        if kind == FILE:
            yield path
        elif kind == FOLDER:
            yield from _walk(path, report)
        else:
            report(path, f"must be a file or a folder ({'there is none' if kind == NOTHING else f'it is {kind}'})")


def read_lines(stream: BinaryIO) -> Iterator[str]:
    """Yield the paths that `stream` has, a line each, as they come; empty lines are passed over."""
    for line in iter(stream.readline, b""):
        if path := line.rstrip(b"\r\n"):
            yield os.fsdecode(path)


def _walk(folder: str, report: Fault) -> Iterator[str]:
    """Yield the files below `folder`."""
    found = False

    def fail(error: OSError) -> None:
        nonlocal found
        found = True  # enough is said of the folder
        report(os.fsdecode(error.filename), error.strerror or "cannot be read")

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (os.path.join(place, name) for name in sorted(files) if not name.startswith(".")):
            # What is no file may be open for ever; what a lost link lacks is said when it is read.
            if find_kind(pathlib.Path(path)) in (FILE, LOST, CLOSED):
                found = True
                yield path
    if not found:
        report(folder, "has no files")
