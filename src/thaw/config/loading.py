"""params.yaml: reading it, and reporting what is wrong with it.

The classes that type its sections are in the package that each configures; `thaw.config.checking` puts them together.
"""

import io
import pathlib
from collections.abc import Iterable
from typing import Any

import ruamel.yaml

from thaw.base.errors import InputError, kind
from thaw.base.paths import PARAMS
from thaw.config.checking import Params, check, write_plainly

# Far above what a table needs, far below what YAML can be made to cost.
MOST_BYTES = 2**20
MOST_LEVELS = 50
MOST_NODES = 100_000  # an alias counts as all that it stands for
MOST_CHARACTERS = 3000  # of a value: Python writes no whole number of more than 4,300 digits


def load(path: str | pathlib.Path = PARAMS) -> Params:
    """Return the checked parameters of the file at `path`; raises InputError with every fault of it, a line each."""
    return check(read_yaml(path), pathlib.Path(path).name)


def read_yaml(path: str | pathlib.Path) -> dict[Any, Any]:
    """Return the mapping in the YAML 1.2 file at `path`; raises InputError where there is none, or too large a one."""
    path = pathlib.Path(path)
    text = _read_text(path)
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    try:
        _check_size(yaml.parse(text), path.name)
        document = yaml.load(text)
    except ruamel.yaml.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = write_plainly((error.problem or error.context or "").split("\n")[0])
        raise InputError(f"{path.name}: line {mark.line + 1}, column {mark.column + 1}: {problem}") from None
    except (ruamel.yaml.error.YAMLError, ValueError, KeyError) as error:  # the last two: a date of a 13th month
        raise InputError(f"{path.name}: must be YAML: {write_plainly(str(error))}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path.name}: must be a mapping of sections (got {kind(document)})")
    return document


def _read_text(path: pathlib.Path) -> str:
    """Return the text of the file at `path`; raises InputError where it is no file of UTF-8 text."""
    try:
        if not path.is_file() and path.exists():
            raise InputError(f"{path.name}: must be a file")
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(f"{path.name}: must have at most {MOST_BYTES:,} bytes (got {size:,})")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path.name}: no such file in {path.absolute().parent}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: must be UTF-8 text (byte {error.start} is not)") from None
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read: {error.strerror}") from None


def _check_size(events: Iterable[Any], name: str) -> None:
    """Raise InputError where the document of these parser events is too deep, too large, or holds itself.

    What an alias stands for counts each time: a few lines of aliases of aliases are a document of any size.
    """
    sizes: dict[str, int] = {}  # of what has an anchor; 0 while it is open
    inside: list[tuple[str | None, int]] = [(None, 0)]  # what is open: its anchor, and its nodes so far
    for event in events:
        place = f"{name}: line {event.start_mark.line + 1}"
        anchor, size = getattr(event, "anchor", None), 0
        if isinstance(event, ruamel.yaml.events.CollectionStartEvent):
            if anchor is not None:
                sizes[anchor] = 0
            inside.append((anchor, 1))
            if len(inside) > MOST_LEVELS:
                raise InputError(f"{place}: must have at most {MOST_LEVELS} levels, one in the other")
            continue
        if isinstance(event, ruamel.yaml.events.CollectionEndEvent):
            anchor, size = inside.pop()
        elif isinstance(event, ruamel.yaml.events.ScalarEvent):
            size = 1
            if len(event.value) > MOST_CHARACTERS:
                raise InputError(f"{place}: a value must have at most {MOST_CHARACTERS:,} characters")
        elif isinstance(event, ruamel.yaml.events.AliasEvent):
            size = sizes.get(anchor or "", 1)
            if size == 0:
                raise InputError(f"{place}: {write_plainly(str(anchor))} must not hold itself")
        else:
            continue  # begin and end of the document
        if anchor is not None:
            sizes[anchor] = size
        inside[-1] = inside[-1][0], inside[-1][1] + size
        if inside[-1][1] > MOST_NODES:
            raise InputError(f"{place}: must hold at most {MOST_NODES:,} values, what aliases stand for included")


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
