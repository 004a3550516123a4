"""What a worker of a cluster needs of this workspace: the commit, and what differs from it here.

The code is that of the commit. params.yaml, dvc.lock, the listings of what lies outside the pipeline, and outputs that
git tracks go with each stage, as they are.
"""

import io
import pathlib
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from thaw.base.errors import InputError
from thaw.base.paths import PARAMS
from thaw.engine.order import LOCK
from thaw.engine.pipeline import Step

CODE = ("dvc.yaml", "src", "stages")  # where a file that git does not know counts, too
SHOWN = 3  # files that differ


class Commit(NamedTuple):
    """A commit, as workers get it."""

    name: str
    archive: bytes  # .tar.gz of its files


class State(NamedTuple):
    """What the workspace of a worker must have for a stage, besides the commit."""

    cleared: list[str]  # paths that are removed from it first
    files: bytes  # .tar of what comes in their place
    pulled: list[str]  # what the stage reads of DVC's cache


def read_commit(steps: Sequence[Step], inputs: str) -> Commit:
    """Return the commit that is checked out in the working directory; `inputs` is the folder of the listings.

    Raises InputError where that is not the top folder of a git repository with a commit, and where a file other than
    params.yaml, results and listings differs from the commit.
    """
    top = _git("rev-parse", "--show-toplevel")
    if top is None or pathlib.Path(top.decode().strip()) != pathlib.Path.cwd().resolve():
        raise InputError("--cluster: must be used in the top folder of a git repository: workers get its last commit")
    name = _git("rev-parse", "--verify", "--quiet", "HEAD")
    if name is None:
        raise InputError("--cluster: the git repository must have a commit: workers get the last one")
    made = [PARAMS, str(LOCK), inputs, *(path for step in steps for path in step.outs)]
    if differing := _list_differing(made, [*CODE, *(path for step in steps for path in step.reads)]):
        more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise InputError(
            f"--cluster: must be as in the last commit, which workers get: {', '.join(differing[:SHOWN])}{more} "
            f"(git commit; {PARAMS} and results may differ)"
        )
    archive = _git("archive", "--format=tar.gz", "HEAD")
    if archive is None:
        raise InputError("--cluster: git archive HEAD failed: workers get what it makes")
    return Commit(name.decode().strip(), archive)


def read_state(step: Step, steps: Iterable[Step], inputs: str) -> State:
    """Return the state of the working directory for `step`; `steps` has all that it reads from."""
    steps = list(steps)
    tracked = [path for each in steps for path in each.outs if path not in each.cached]
    cached = [path for each in steps for path in each.cached]
    # A folder that a stage reads must have the files of this one, and no other.
    read = [path for path in step.reads if _meets(path, tracked)]
    own = [path for path in step.outs if path not in step.cached]
    cleared = list(dict.fromkeys([PARAMS, str(LOCK), inputs, *read, *own]))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path in cleared:
            if pathlib.Path(path).exists():
                tar.add(path, path)
    return State(cleared, stream.getvalue(), [path for path in step.reads if _meets(path, cached)])


def is_below(path: str, others: Iterable[str]) -> bool:
    """Tell whether `path` is one of `others` or lies in one."""
    return any(pathlib.PurePath(path).is_relative_to(other) for other in others)


def _meets(path: str, others: Sequence[str]) -> bool:
    """Tell whether `path` is, contains or lies in one of `others`."""
    return is_below(path, others) or any(is_below(other, [path]) for other in others)


def _list_differing(made: Sequence[str], code: Sequence[str]) -> list[str]:
    """Return the files that differ from HEAD, but for `made` and .gitignore; of those new to git the ones in `code`."""
    status = _git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all") or b""
    differing = []
    for entry in status.decode("utf-8", "surrogateescape").split("\0"):
        state, path = entry[:2], entry[3:]
        counts = bool(path) and (state != "??" or is_below(path, code))
        if counts and not is_below(path, made) and pathlib.PurePath(path).name != ".gitignore":
            differing.append(path)
    return differing


def _git(*arguments: str) -> bytes | None:
    """Return what a git command prints, or None where it fails."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout
