"""The state of a training that has not ended, kept after each epoch: a run that was killed goes on from there."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thaw.base.errors import explain
from thaw.base.files import publish
from thaw.base.progress import say
from thaw.base.quiet import keras, tf
from thaw.store.place import make_shared

# The arrays that stand among the numbered ones of the variables: JSON text, and the digest of all the others.
ROWS, DIGEST = "epochs", "sha256"


KEPT_FOR = 30 * 86_400  # seconds; a state that nothing went on from for so long goes when another training ends


class Unfinished:
    """The kept state of one training, a file of `folder` whose name is the digest of all that the training depends on.

    `inputs` is a JSON document of it; the code of thaw and the versions of the libraries are added here. `folder` None
    keeps nothing. A run can do without: what cannot be read or kept is said, and is no error.
    """

    def __init__(self, folder: pathlib.Path | None, inputs: Any) -> None:
        versions = [tf.__version__, keras.__version__, np.__version__]
        key = json.dumps([inputs, _digest_code(), versions], sort_keys=True)
        self.path = folder and folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
        self._told = False

    def resume(self, variables: Sequence[keras.Variable]) -> list[dict[str, Any]]:
        """Set the Keras `variables` to what was kept, if anything was; return the rows of the epochs that are done.

        All of it is checked before any variable is set: what is not, to the bit, what was kept of such variables counts
        as nothing.
        """
        if not self.path:
            return []
        try:
            values, rows = _read_state(self.path, variables)
        except FileNotFoundError:
            return []
        except Exception as error:  # what reads a damaged archive raises errors of many kinds
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
            say(f"{self.path}: cannot be read ({reason}); the training starts at its first epoch")
            return []
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        say(f"going on after epoch {len(rows)}, the last one that is kept")
        return rows

    def keep(self, variables: Sequence[keras.Variable], rows: list[dict[str, Any]]) -> None:
        """Keep the values of `variables` and `rows`, a JSON-ready row for each epoch, in place of what was kept.

        In one file, which replaces the one before at once: whenever the process is killed, one of them is there.
        """
        if not self.path:
            return
        arrays: dict[str, Any] = {str(i): variable.numpy() for i, variable in enumerate(variables)}
        arrays[ROWS] = np.array(json.dumps(rows))
        arrays[DIGEST] = np.array(_digest_state(self.path, arrays))
        try:
            make_shared(self.path.parent)
            with publish(self.path) as scratch:
                np.savez(scratch, **arrays)
        except OSError as error:
            if not self._told:
                say(f"{explain(error)}; the training goes on, and if it is stopped it starts at an earlier epoch")
            self._told = True

    def discard(self) -> None:
        """Forget the state: the training has ended and its outputs are there. What others left long ago goes too."""
        if not self.path:
            return
        with contextlib.suppress(OSError):
            _remove(self.path)
        for left in self.path.parent.glob("*"):
            with contextlib.suppress(OSError):  # its own training ends meanwhile, or it is another user's
                if time.time() - left.stat().st_mtime > KEPT_FOR:
                    _remove(left)


def _read_state(path: pathlib.Path, variables: Sequence[keras.Variable]) -> tuple[list[np.ndarray], list[Any]]:
    """Return (values of the variables, rows) that the file at `path` holds; raises an error where it does not."""
    with warnings.catch_warnings(action="ignore"), np.load(path) as kept:  # numpy warns of some damage, too
        arrays = {name: kept[name] for name in kept.files}
    if arrays.pop(DIGEST).item() != _digest_state(path, arrays):
        raise ValueError("not what was kept")
    values = [arrays[str(i)] for i in range(len(arrays) - 1)]
    for variable, value in zip(variables, values, strict=True):
        if (value.shape, value.dtype) != (tuple(variable.shape), np.dtype(variable.dtype)):
            raise ValueError("of other variables")
    rows = json.loads(arrays[ROWS].item())
    if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
        raise ValueError("of other epochs")
    return values, rows


def _digest_state(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the sha256, in hex, of the arrays of the state at `path`: names, types, shapes and values."""
    digest = hashlib.sha256(path.stem.encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _remove(path: pathlib.Path) -> None:
    """Remove the file or folder at `path`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _digest_code() -> str:
    """Return the sha256 of the modules of thaw that this process has imported, in hex."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.split(".")[0] == "thaw" and file:
            digest.update(name.encode() + b"\0" + pathlib.Path(file).read_bytes())
    return digest.hexdigest()
