"""params.yaml: reading it, and reporting what is wrong with it.

    ./run python -m thaw.config.loading

checks the file of the current folder and does nothing else; `./run` does so before `dvc repro` and `dvc exp run`. The
classes that type its sections are in the package that each configures; `thaw.config.checking` puts them together.
"""

import io
import pathlib
from typing import Any

import ruamel.yaml

from thaw.base.errors import InputError, kind, run_program
from thaw.base.paths import PARAMS
from thaw.config.checking import Params, check


def load(path: str | pathlib.Path = PARAMS) -> Params:
    """Return the checked parameters of the file at `path`; raises InputError with every fault of it, a line each."""
    return check(read_yaml(path), pathlib.Path(path).name)


def read_yaml(path: str | pathlib.Path) -> dict[Any, Any]:
    """Return the mapping in the YAML 1.2 file at `path`; raises InputError where there is none."""
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path.name}: no such file in {path.absolute().parent}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: must be UTF-8 text (byte {error.start} is not)") from None
    try:
        document = ruamel.yaml.YAML(typ="safe", pure=True).load(text)
    except ruamel.yaml.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join((error.problem or error.context or "").split("\n")[0].split())
        raise InputError(f"{path.name}: line {mark.line + 1}, column {mark.column + 1}: {problem}") from None
    except ruamel.yaml.error.YAMLError as error:
        raise InputError(f"{path.name}: must be YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path.name}: must be a mapping of sections (got {kind(document)})")
    return document


def write_yaml(document: dict[Any, Any]) -> str:
    """Return `document` as YAML 1.2 text, keys in the order they have.

    Without anchors: `dvc exp run -S` would change every mapping that one of them stands for, or none.
    """
    yaml: Any = ruamel.yaml.YAML(typ="safe", pure=True)
    stream = io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.representer.ignore_aliases = lambda _: True
    yaml.dump(document, stream)
    return stream.getvalue()


def main() -> None:
    """Check the params.yaml of the current folder."""
    load()


if __name__ == "__main__":
    run_program(main)
