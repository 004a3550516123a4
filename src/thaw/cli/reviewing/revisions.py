"""Revisions of the project: the files of one, laid out in a folder of their own."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from thaw.base.errors import InputError

HEAD = "HEAD"  # the last commit


WORK_TREE = None  # stands for what is in the work tree and not ignored by git, committed or not


def find_commit(revision: str) -> str:
    """Return the hash of the commit that `revision` names in the repository of the working directory.

    Raises InputError where it names none.
    """
    try:
        return run_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except InputError:
        raise InputError(
            f"{revision}: must name a commit of this repository, as a branch, tag or hash does (git fetch gets those "
            "of another; a shallow clone lacks the older ones)"
        ) from None


def describe(revision: str | None) -> str:
    """Return what a reader calls `revision`: its short hash and subject, or ``the work tree``."""
    if revision is WORK_TREE:
        return "the work tree"
    return run_git("show", "--no-patch", "--format=%h (%s)", find_commit(revision))


def list_alternatives() -> dict[str, str]:
    """Return {name: hash} of the last commit, under HEAD, and the DVC experiments that start at it, sorted by name.

    DVC keeps each as refs/exps/AB/CDEF…/NAME, where ABCDEF… is the commit at which it starts. There are none where git
    does not track the dvc.yaml of the working directory.
    """
    try:
        run_git("ls-files", "--error-unmatch", "dvc.yaml")
        head = find_commit(HEAD)
    except InputError:
        return {}
    layout = "--format=%(refname:lstrip=4) %(objectname)"
    lines = run_git("for-each-ref", "--sort=refname", layout, f"refs/exps/{head[:2]}/{head[2:]}/").splitlines()
    return {HEAD: head} | {name: commit for name, commit in (line.split(" ") for line in lines)}


@contextlib.contextmanager
def check_out(revision: str | None) -> Iterator[pathlib.Path]:
    """Give a folder with the files of `revision`, or of the work tree, at and below the working directory.

    The repository stays as it is: index, work tree and objects. Raises InputError as `find_commit` does.
    """
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        scratch = pathlib.Path(temporary)
        environment = {**os.environ, "GIT_INDEX_FILE": str(scratch / "index")}
        if revision is WORK_TREE:
            index, objects = (pathlib.Path(run_git("rev-parse", "--git-path", name)) for name in ("index", "objects"))
            if index.exists():
                shutil.copyfile(index, scratch / "index")  # so that git reads only the files that changed
            (scratch / "objects").mkdir()
            environment["GIT_OBJECT_DIRECTORY"] = str(scratch / "objects")
            environment["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(objects.resolve())
            run_git("add", "--all", "--", ".", env=environment)
        else:
            run_git("read-tree", find_commit(revision), env=environment)
        run_git("checkout-index", "--all", f"--prefix={scratch / 'files'}/", env=environment)
        folder = scratch / "files" / run_git("rev-parse", "--show-prefix")
        folder.mkdir(parents=True, exist_ok=True)  # where it holds no file
        yield folder


def run_git(*arguments: str, **options: Any) -> str:
    """Return what git prints, without the last line's end; raises InputError with its message where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, **options)
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {' '.join(done.stderr.split()) or 'failed'}")
    return done.stdout.removesuffix("\n")
