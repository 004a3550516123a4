"""The state of a training that has not ended, kept after each epoch: a run that was killed goes on from there."""

import contextlib
import hashlib
import json
import pathlib
import shutil
import sys
import time
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from thaw.base.files import publish
from thaw.base.quiet import keras, tf

ROWS = "epochs"  # the array, of JSON text, that stands among the numbered ones of the variables


KEPT_FOR = 30 * 86_400  # seconds; a state that nothing went on from for so long goes when another training ends


class Unfinished:
    """The kept state of one training, a file of `folder` whose name is the digest of all that the training depends on.

    `inputs` is a JSON document of it; the code of thaw and the versions of the libraries are added here. `folder` None
    keeps nothing.
    """

    def __init__(self, folder: pathlib.Path | None, inputs: Any) -> None:
        versions = [tf.__version__, keras.__version__, np.__version__]
        key = json.dumps([inputs, _digest_code(), versions], sort_keys=True)
        self.path = folder and folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"

    def resume(self, variables: Sequence[keras.Variable]) -> list[dict[str, Any]]:
        """Set the Keras `variables` to what was kept, if anything was; return the rows of the epochs that are done."""
        if not self.path or not self.path.exists():
            return []
        try:
            with np.load(self.path) as kept:
                rows: list[dict[str, Any]] = json.loads(kept[ROWS].item())
                values = [kept[str(i)] for i in range(len(kept.files) - 1)]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            print(f"{self.path}: cannot be read; the training starts at its first epoch", file=sys.stderr, flush=True)
            return []
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        print(f"going on after epoch {len(rows)}, where an earlier run stopped", file=sys.stderr, flush=True)
        return rows

    def keep(self, variables: Sequence[keras.Variable], rows: list[dict[str, Any]]) -> None:
        """Keep the values of `variables` and `rows`, a JSON-ready row for each epoch, in place of what was kept.

        In one file, which replaces the one before at once: whenever the process is killed, one of them is there.
        """
        if not self.path:
            return
        with publish(self.path) as scratch:
            values: dict[str, Any] = {str(i): variable.numpy() for i, variable in enumerate(variables)}
            np.savez(scratch, **(values | {ROWS: json.dumps(rows)}))

    def discard(self) -> None:
        """Forget the state: the training has ended and its outputs are there. What others left long ago goes too."""
        if not self.path:
            return
        self.path.unlink(missing_ok=True)
        for left in self.path.parent.glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its own training ends meanwhile
                if time.time() - left.stat().st_mtime > KEPT_FOR:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()


def _digest_code() -> str:
    """Return the sha256 of the modules of thaw that this process has imported, in hex."""
    digest = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.split(".")[0] == "thaw" and file:
            digest.update(name.encode() + b"\0" + pathlib.Path(file).read_bytes())
    return digest.hexdigest()
