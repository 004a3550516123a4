"""Revisions of the project: the files of one, laid out in a folder of their own."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from thaw.base.errors import InputError

HEAD = "HEAD"  # the last commit


WORK_TREE = None  # stands for what is in the work tree and not ignored by git, committed or not


# The user's settings that would change what git prints or writes here.
SETTINGS = ("core.autocrlf=false", "core.eol=lf", "log.showSignature=false", "i18n.logOutputEncoding=UTF-8")


NOT_FOUND = 1  # the status of git where it looked and there is none; of all else it is 128


def find_commit(revision: str) -> str:
    """Return the hash of the commit that `revision` names in the repository of the working directory.

    Raises InputError where it names none, or git fails.
    """
    done = _ask_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode == NOT_FOUND or (done.returncode and not done.stderr):
        raise InputError(
            f"{revision}: must name a commit of this repository, as a branch, tag or hash does (git fetch gets those "
            "of another; a shallow clone lacks the older ones)"
        )
    return _take(done)


def describe(revision: str | None) -> str:
    """Return what a reader calls `revision`: its short hash and subject, or ``the work tree``."""
    if revision is WORK_TREE:
        return "the work tree"
    return run_git("show", "--no-patch", "--format=%h (%s)", find_commit(revision))


def list_alternatives() -> tuple[dict[str, str], list[str]]:
    """Return ({name: hash}, notes) of the last commit, under HEAD, and the DVC experiments that start at it, by name.

    DVC keeps each as refs/exps/AB/CDEF…/NAME, where ABCDEF… is the commit at which it starts. The notes are git's on
    those that it passed over. There are none where git does not track the dvc.yaml of the working directory, and before
    the first commit. Raises InputError where git cannot tell.
    """
    tracked = _ask_git("ls-files", "--error-unmatch", "dvc.yaml")
    if tracked.returncode == NOT_FOUND or _says_that_there_is_no_repository(tracked):
        return {}, []
    _take(tracked)
    last = _ask_git("log", "--max-count=1", "--format=%H")
    if "does not have any commits yet" in last.stderr:
        return {}, []
    head = _take(last)
    layout = "--format=%(refname:lstrip=4) %(objectname)"
    listed = _ask_git("for-each-ref", "--sort=refname", layout, f"refs/exps/{head[:2]}/{head[2:]}/")
    lines = _take(listed).splitlines()
    notes = [f"git for-each-ref: {line}" for line in listed.stderr.splitlines()]
    return {HEAD: head} | {name: commit for name, commit in (line.split(" ") for line in lines)}, notes


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
    return _take(_ask_git(*arguments, **options))


def _ask_git(*arguments: str, env: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
    """Run git with SETTINGS, messages in English; raises InputError where there is no git."""
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    try:
        return subprocess.run(
            ["git", *settings, *arguments],
            env={**env, "LC_ALL": "C"},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise InputError("git: must be installed: this reads what it keeps of the project") from None


def _take(done: subprocess.CompletedProcess[str]) -> str:
    """Return what git printed, without the last line's end; raises InputError with its message where it failed."""
    if done.returncode:
        raise InputError(f"git {done.args[1 + 2 * len(SETTINGS)]}: {' '.join(done.stderr.split()) or 'failed'}")
    return done.stdout.removesuffix("\n")


def _says_that_there_is_no_repository(done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether git failed because no folder upwards is a repository: one here that it cannot read is no reason."""
    return "not a git repository (or any" in done.stderr and not os.path.lexists(".git")
