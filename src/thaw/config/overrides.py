"""What `dvc exp run -S KEY=VALUE` makes of params.yaml: DVC applies it when it has started, after every check."""

import contextlib
import io
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from thaw.base.errors import InputError
from thaw.base.paths import PARAMS
from thaw.config.checking import write_plainly
from thaw.config.loading import read_yaml


def may_override(arguments: Sequence[str]) -> bool:
    """Tell whether a word of the command may be -S or --set-param, whole, shortened or with others behind one dash."""
    return any(
        word.startswith("--s") or (word.startswith("-") and not word.startswith("--") and "S" in word)
        for word in arguments
    )


def read_overridden(arguments: Sequence[str]) -> Iterator[dict[Any, Any]]:
    """Yield params.yaml as each experiment of the dvc command `arguments` will have it: one, or one for each value.

    Raises InputError where DVC would refuse an override.
    """
    from dvc.cli.parser import get_main_parser
    from dvc.exceptions import DvcException
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            words = get_main_parser().parse_args(list(arguments)).set_param
        except (DvcException, SystemExit):
            words = []  # DVC will say what is wrong with the command, and do nothing
    overrides = [
        override
        for path, found in to_path_overrides(words).items()
        if os.path.normpath(path) == PARAMS
        for override in found
    ]
    if not overrides:
        yield read_yaml(PARAMS)
        return
    try:
        sweeps = get_hydra_sweeps({PARAMS: overrides})
        for sweep in sweeps:
            with tempfile.TemporaryDirectory() as folder:
                copy = pathlib.Path(folder) / PARAMS
                shutil.copyfile(PARAMS, copy)
                apply_overrides(copy, sweep[PARAMS])
                document = read_yaml(copy)
            yield document
    except (DvcException, HydraException, OmegaConfBaseException) as error:
        cause = str(error.__cause__ or error).strip().split("\n")[0]
        told = write_plainly(" ".join(overrides))
        raise InputError(f"-S {told}: must be KEY=VALUE, a key of {PARAMS}: {write_plainly(cause)}") from None
