"""What a stage is told and what it leaves: its entry of params.yaml, and outputs of a run that is left out."""

import os
from collections.abc import Iterable

from thaw.base.errors import InputError
from thaw.base.files import write_text


def find_key() -> str:
    """Return KEY of the stage ``NAME@KEY`` that this process runs for; DVC names the stage in the variable DVC_STAGE.

    So the key stands in no shell command, whatever is in it. Raises InputError where DVC does not run this process.
    """
    name = os.environ.get("DVC_STAGE", "")
    if "@" not in name:
        raise InputError(
            f"DVC_STAGE: must name a stage as STAGE@KEY: ./run dvc repro --single-item STAGE@KEY (got {name!r})"
        )
    return name.partition("@")[2]


def leave_out(paths: Iterable[str]) -> None:
    """Write at `paths` what stands for the outputs of a run that params.yaml leaves out: files with nothing in them.

    DVC knows no stage that may be absent, and asks for every output. A document is ``{}``, which gives `dvc exp show`
    no column; a table is the name of a column, ``left_out``, without a row; weights have no byte.
    """
    for path in paths:
        write_text(path, {"json": "{}\n", "csv": "left_out\n"}.get(path.rpartition(".")[2], ""))
