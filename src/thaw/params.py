"""params.yaml: reading it, and saying what is wrong with it.

The classes that type its sections live beside the code that each configures; ``thaw.schema`` puts them together.
"""

import errno
import importlib
import io
import pathlib
import sys
from typing import Annotated

import pydantic
import ruamel.yaml

FILE = "params.yaml"

Seed = Annotated[int, pydantic.Field(ge=0, lt=2**31)]


class InputError(Exception):
    """What the user gave cannot be used. The text names the key, file or row, what was received and what is allowed."""


class Section(pydantic.BaseModel):
    """A typed mapping of params.yaml: unknown keys, wrong types, NaN and infinity are faults."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def load(path=FILE):
    """Return the checked parameters (`thaw.schema.Params`) of the file at `path`.

    Raises InputError with every fault of the file, a line each.
    """
    # Imported by name, because the check of the whole file is no input of a stage: it can stop one and do nothing
    # else. What a stage does follows from its own section, whose class is among the modules that dvc.yaml names.
    return importlib.import_module("thaw.schema").check(read_yaml(path), pathlib.Path(path).name)


def read_yaml(path):
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


def write_yaml(document):
    """Return `document` as YAML 1.2 text, keys in the order they have.

    Without anchors: `dvc exp run -S` would change every mapping that one of them stands for, or none.
    """
    yaml, stream = ruamel.yaml.YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.representer.ignore_aliases = lambda _: True
    yaml.dump(document, stream)
    return stream.getvalue()


def run(main):
    """Run a program's `main`: what the user can mend is told in words, without a traceback, and ends it with status 1."""
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(f"{error.filename or pathlib.Path.cwd()}: no space left on the disk; make some, then run it again")
    except KeyboardInterrupt:
        sys.exit(130)


def kind(value):
    """Return `value` as an error message shows it: short, and as YAML would write it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def validate(cls, value, place):
    """Return `(cls instance, [])`, or `(None, faults)` with a line for each fault of `value`.

    `cls` is a Section or an annotated union of Sections; `place` is where `value` stands, e.g. ``params.yaml: split``.
    """
    try:
        return pydantic.TypeAdapter(cls).validate_python(value), []
    except pydantic.ValidationError as error:
        return None, [_say(fault, value, place) for fault in error.errors(include_url=False)]


def _say(fault, value, place):
    """Return one line for one of pydantic's `errors()`."""
    keys, inner = [], value
    for position, key in enumerate(fault["loc"]):
        last = position == len(fault["loc"]) - 1
        if isinstance(inner, dict) and key in inner or isinstance(inner, list) and isinstance(key, int):
            inner = inner[key]
        elif not (last and fault["type"] == "missing"):
            continue  # the tag of a union, which is no key of the file
        keys.append(str(key))
    context, received = fault.get("ctx", {}), f" (got {kind(fault['input'])})"
    if fault["type"].startswith("union_tag"):
        keys.append(context["discriminator"].strip("'"))
        received = f" (got {kind(context.get('tag'))})"
    if fault["type"] == "missing":
        received = ""
    allowed = {
        "missing": "must be given",
        "extra_forbidden": "no such key",
        "literal_error": f"must be {context.get('expected')}",
        "union_tag_invalid": f"must be {context.get('expected_tags')}",
        "union_tag_not_found": "must be given",
        "greater_than": f"must be greater than {context.get('gt')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than": f"must be less than {context.get('lt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "int_type": "must be a whole number",
        "float_type": "must be a number",
        "finite_number": "must be a finite number",
        "bool_type": "must be true or false",
        "string_type": "must be text",
        "list_type": "must be a list",
        "dict_type": "must be a mapping",
        "model_type": "must be a mapping",
        "model_attributes_type": "must be a mapping",
        "string_pattern_mismatch": f"must match {context.get('pattern')}",
        "too_short": f"must have at least {context.get('min_length')} entries",
        "value_error": str(context.get("error")),
    }.get(fault["type"], fault["msg"])
    return f"{'.'.join([place, *keys])}: {allowed}{received}"
