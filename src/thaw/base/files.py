"""Files that are whole or not there: written beside their place, synced to the disk, then renamed into it.

DVC deletes a stage's outputs before it runs the stage. A stage that fails or is killed therefore leaves a whole output
or none; the last good one stays only where `publish` is used outside a DVC stage.
"""

import collections
import contextlib
import errno
import hashlib
import json
import math
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from thaw.base.errors import DamagedFile, find_cause
from thaw.base.scratch import make_scratch

if TYPE_CHECKING:
    import pandas as pd

SCRATCH = ".publishing-"  # begins the names of folders in which something is made, beside its place
OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)  # what a disk refuses, whoever writes
MADE_AGAIN = "./run dvc repro makes it"


@contextlib.contextmanager
def publish(path: str | pathlib.Path, sync: bool = True) -> Iterator[pathlib.Path]:
    """Give a path beside `path` to write a file or folder at; on leaving without an error it takes the place of `path`.

    Until then `path` is as it was, also when the body fails or is killed; what killed processes left beside it is
    removed. Without `sync` the disk may not hold all of it when the power fails: for what carries a checksum. Raises
    OSError that names `path`, or a file in it, where it cannot be written.
    """
    path = pathlib.Path(path)
    with name_errors(path), make_scratch(path.parent, SCRATCH) as scratch, contextlib.ExitStack() as undo:
        made = scratch / path.name  # the name is kept: some writers choose the format by its ending
        yield made
        if sync:
            sync_to_disk(made)
        if os.path.lexists(path) and (made.is_dir() or (path.is_dir() and not path.is_symlink())):
            replaced = pathlib.Path(tempfile.mkdtemp(dir=scratch), path.name)
            path.rename(replaced)  # no folder can be renamed over what is there
            undo.callback(replaced.rename, path)
        made.rename(path)
        undo.pop_all()


@contextlib.contextmanager
def name_errors(path: pathlib.Path) -> Iterator[None]:
    """Have what the system refuses while the file or folder at `path` is used raise an OSError that names it.

    numpy, h5py and others leave the name out, TensorFlow has errors of its own, and while `path` is published it is
    written at another place. Errors that name another file pass unchanged.
    """
    try:
        yield
    except Exception as error:
        cause = find_cause(error)
        if not isinstance(cause, OSError):
            raise
        if cause.filename is None and (cause.errno in OF_DISKS or type(cause) is OSError):
            # Without a number there is a text alone, which Python shows no more once there is a name.
            cause.strerror, cause.filename = cause.strerror or str(cause), str(path)
        elif isinstance(cause.filename, str | bytes):
            cause.filename = _find_published(os.fsdecode(cause.filename), path)
        if cause is error:
            raise
        raise cause from error


def _find_published(name: str, path: pathlib.Path) -> str:
    """Return what the file `name` will be called when `path` is published; all others keep their names."""
    parent = path.parent.absolute()
    file = pathlib.Path(name).absolute()
    if not file.is_relative_to(parent) or file == parent:
        return name
    scratch, *inside = file.relative_to(parent).parts
    return str(path.joinpath(*inside[2:])) if scratch.startswith(SCRATCH) else name


def sync_to_disk(path: pathlib.Path) -> None:
    """Have the disk hold the file, or every file of the folder, at `path`."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_text(path: str | pathlib.Path, text: str) -> None:
    """Publish `text` at `path`, as UTF-8."""
    with publish(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | pathlib.Path, document: Any) -> None:
    """Publish `document` at `path` as indented JSON: the same document gives the same bytes.

    JSON has no NaN and no infinity: both become null, as the loss of a run that diverged does.
    """
    write_text(path, json.dumps(_clear(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | pathlib.Path) -> Any:
    """Return the document in the JSON file at `path`; raises DamagedFile where it is none."""
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DamagedFile(f"{path}: must be JSON (line {error.lineno}: {error.msg}); {MADE_AGAIN}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise DamagedFile(f"{path}: must be JSON ({error}); {MADE_AGAIN}") from None


def write_table(path: str | pathlib.Path, table: "pd.DataFrame") -> None:
    """Publish `table` at `path` as CSV without its index; floats keep every digit that tells them apart."""
    from thaw.base.spreadsheets import guard  # loads pandas, as below: most who need this module write no table

    write_text(path, guard(table).to_csv(index=False, lineterminator="\n"))


def read_table(path: str | pathlib.Path, numbers: Sequence[str] = ()) -> "pd.DataFrame":
    """Return the CSV table at `path`: the columns named in `numbers` are int64, all others text.

    Text stays as it is written: an id of digits, a class named NA and an empty field are text, too. Raises DamagedFile
    where it is no table, lacks a column of `numbers`, or has a field there that is no whole number.
    """
    import pandas as pd

    from thaw.base.spreadsheets import release

    types: collections.defaultdict[str, type] = collections.defaultdict(lambda: str, dict.fromkeys(numbers, int))
    try:
        table = pd.read_csv(path, dtype=types, keep_default_na=False)
    except (ValueError, OverflowError) as error:  # as are all errors of pandas on what is no table
        raise DamagedFile(f"{path}: must be a CSV table ({' '.join(str(error).split())}); {MADE_AGAIN}") from None
    if missing := [name for name in numbers if name not in table.columns]:
        raise DamagedFile(f"{path}: must have the column {missing[0]}; {MADE_AGAIN}")
    return release(table)


def digest_of(path: str | pathlib.Path) -> str:
    """Return the sha256 of the file at `path`, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _clear(value: Any) -> Any:
    """Return `value`, of JSON's types, with None in the place of every NaN and infinity."""
    if isinstance(value, dict):
        return {key: _clear(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clear(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
