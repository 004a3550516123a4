"""A small disk, another user, and programs that are killed, for the tests."""

import codecs
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

SOURCE = pathlib.Path(__file__).parents[1] / "src"
ANOTHER = 65_534  # a user without rights, and without an entry anywhere


def run_code(code: str, *arguments: Any, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python code that imports thaw, in a process of its own; return what it printed and its status."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **variables}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def run_on_disk(
    folder: pathlib.Path | str, options: str, code: str, *arguments: Any, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code as `run_code` does, with a disk of its own at `folder`, which it sees alone.

    `options` are those of mount for a tmpfs, as ``size=1m``; or ``ro`` for what is in `folder`, read-only.
    """
    script = 'mount -t tmpfs -o "$2" none "$1"' if options != "ro" else 'mount --bind -o ro "$1" "$1"'
    rights = ["--map-root-user"] if os.geteuid() else []
    command = ["unshare", "--mount", *rights, "sh", "-c", script + ' && shift 2 && exec "$@"', "sh", folder, options]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **variables}
    command += [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@contextlib.contextmanager
def as_another_user(folder: pathlib.Path) -> Iterator[None]:
    """Let this process be another user meanwhile, who may go into `folder` and what lies above it."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    for above in (folder, *folder.parents):
        if above.stat().st_uid == 0 and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    codecs.lookup("cp437")  # which zipfile needs: that user may have no right to read Python's own modules
    os.setresuid(ANOTHER, ANOTHER, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
