"""The entry of params.yaml that a stage runs for."""

import os

from thaw.base.errors import InputError


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
