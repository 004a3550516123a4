"""Files that are whole or not there: written beside their place, synced to the disk, then renamed into it.

DVC deletes a stage's outputs before it runs the stage. A stage that fails or is killed therefore leaves a whole output
or none; the last good one stays only where `publish` is used outside a DVC stage.
"""

import collections
import contextlib
import hashlib
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

SCRATCH = ".publishing-"  # begins the names of folders in which something is made, beside its place


@contextlib.contextmanager
def publish(path: str | pathlib.Path, sync: bool = True) -> Iterator[pathlib.Path]:
    """Give a path beside `path` to write a file or folder at; on leaving without an error it takes the place of `path`.

    Until then `path` is as it was, also when the body fails or is killed. Without `sync` the disk may not hold all of
    it when the power fails: for what carries a checksum.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix=SCRATCH, dir=path.parent))
    try:
        # The name is kept: some writers choose the format by its ending.
        yield scratch / path.name
        if sync:
            sync_to_disk(scratch / path.name)
        if path.is_dir() and not path.is_symlink():
            path.rename(scratch / "replaced")  # a folder cannot be renamed over one that holds files
        (scratch / path.name).rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


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
    """Return the document in the JSON file at `path`."""
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def write_table(path: str | pathlib.Path, table: pd.DataFrame) -> None:
    """Publish `table` at `path` as CSV without its index; floats keep every digit that tells them apart."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_table(path: str | pathlib.Path, numbers: Sequence[str] = ()) -> pd.DataFrame:
    """Return the CSV table at `path`: the columns named in `numbers` are int64, all others text.

    Text stays as it is written: an id of digits, a class named NA and an empty field are text, too. Raises ValueError
    for a field of `numbers` that is no whole number.
    """
    types: collections.defaultdict[str, type] = collections.defaultdict(lambda: str, dict.fromkeys(numbers, int))
    return pd.read_csv(path, dtype=types, keep_default_na=False)


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
