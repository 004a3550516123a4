"""The DVC remote, by which the machines of a cluster give data to one another."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

from dvc.config_schema import ExpPath, RelPath

from thaw.base.errors import InputError


def check_configured(repo: Any) -> None:
    """Raise InputError where the committed configuration of DVC names no default remote that other machines can find.

    `repo` is a dvc.repo.Repo. What .dvc/config.local and the user's own settings say stays on this machine.
    """
    config = repo.config.load_one("repo")
    name = config["core"].get("remote")
    if name is None or name not in config["remote"]:
        found = f"{name!r}, which it does not describe" if name else "none"
        raise InputError(
            f".dvc/config: core.remote: must name a remote, by which workers get and give data (got {found}): "
            "./run dvc remote add --default NAME URL, then git commit"
        )
    url = config["remote"][name]["url"]
    if isinstance(url, RelPath | ExpPath):
        raise InputError(
            f".dvc/config: remote {name!r}: url: must mean the same on every machine, an address or an absolute path "
            f"(got {str(url)!r}, which starts at this workspace or home folder)"
        )


@contextlib.contextmanager
def mark(repo: Any) -> Iterator[str]:
    """Have an empty file in the default remote meanwhile; give its name. Raises InputError where that cannot be."""
    name = f"thaw-{uuid.uuid4()}"
    _write(repo, name)
    try:
        yield name
    finally:
        _remove(repo, name)


def check_mark(repo: Any, name: str) -> None:
    """Raise InputError where the default remote has not the file `name`, or cannot be written."""
    with _name_faults():
        odb = repo.cloud.get_remote_odb(None, "push")
        seen = odb.fs.exists(odb.fs.join(odb.path, name))
    if not seen:
        raise InputError(f"the DVC remote {odb.path} is another one here: a file just written to it is not there")
    own = f"{name}-{uuid.uuid4()}"
    _write(repo, own)
    _remove(repo, own)


def _write(repo: Any, name: str) -> None:
    with _name_faults(), tempfile.TemporaryDirectory() as folder:
        empty = os.path.join(folder, name)
        open(empty, "wb").close()
        odb = repo.cloud.get_remote_odb(None, "push")
        odb.fs.makedirs(odb.path, exist_ok=True)
        odb.fs.put_file(empty, odb.fs.join(odb.path, name))


def _remove(repo: Any, name: str) -> None:
    with contextlib.suppress(Exception):  # not every storage removes
        odb = repo.cloud.get_remote_odb(None, "push")
        odb.fs.remove(odb.fs.join(odb.path, name))


@contextlib.contextmanager
def _name_faults() -> Iterator[None]:
    """Have what the library of a storage raises, each its own kind of error, become an InputError in one line."""
    try:
        yield
    except Exception as error:
        found: BaseException | None = error
        causes: list[str] = []
        while found is not None:
            if str(found) not in " ".join(causes):
                causes.append(str(found))
            found = found.__cause__
        text = ": ".join(filter(None, causes)) or type(error).__name__
        raise InputError(" ".join(f"the DVC remote cannot be used: {text}".split())) from None
