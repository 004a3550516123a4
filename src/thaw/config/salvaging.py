"""What can be read of mappings of params.yaml that have a fault: it hides no other fault.

pydantic checks what must hold between the keys of a mapping once each key is right by itself, one rule after the other
until one is broken, and what must hold between mappings needs those keys, too. Here all of it is looked for with the
keys that are right.
"""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, get_args

import pydantic

from thaw.base.errors import kind
from thaw.base.sections import Section

FAULTY: Final = object()  # stands for a value that has a fault of its own, where others are compared with it


class Unread(dict[str, Any]):
    """Stands for a section that is no mapping of names to `cls`: whatever is looked up there may be in it."""

    def __init__(self, cls: type[Section]) -> None:
        super().__init__()
        self._entry = salvage(cls, None)

    def __contains__(self, _name: object) -> bool:
        return True

    def __getitem__(self, _name: str) -> Any:
        return self._entry

    def get(self, _name: str, _default: Any = None) -> Any:
        """Return what stands for an entry of which nothing is known."""
        return self._entry


class _Unknown(Exception):
    """A rule asks for a value that has a fault."""


class _Known:
    """What a rule of a Section sees of a mapping: asking for a value that is FAULTY raises _Unknown."""

    def __init__(self, value: dict[str, Any], salvaged: types.SimpleNamespace) -> None:
        self.model_fields_set = set(value)
        self._salvaged = salvaged

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._salvaged, name)
        if found is FAULTY:
            raise _Unknown
        return found

    def model_dump(self, exclude_none: bool) -> dict[str, Any]:
        """Return the values by key, FAULTY ones among them."""
        return {key: value for key, value in vars(self._salvaged).items() if not (exclude_none and value is None)}


def salvage(cls: type[Section], value: object) -> Any:
    """Return what stands for a `cls` with the fields of `value` that are valid by themselves, the others FAULTY.

    A field that is a Section and has a fault in some of its keys is salvaged in turn.
    """
    entry = value if isinstance(value, dict) else {}
    found: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        key = field.alias or name
        if key not in entry:
            found[name] = FAULTY if field.is_required() or entry is not value else field.get_default()
            continue
        annotation: Any = Annotated[
            field.annotation, pydantic.Field(discriminator=field.discriminator), *field.metadata
        ]
        try:
            found[name] = pydantic.TypeAdapter(annotation).validate_python(entry[key], strict=True)
        except pydantic.ValidationError:
            inner = find_section(field.annotation)
            found[name] = salvage(inner, entry[key]) if inner and isinstance(entry[key], dict) else FAULTY
    return types.SimpleNamespace(**found)


def find_hidden(cls: type[Section], value: object, place: str) -> Iterator[str]:
    """Yield a line for each fault between keys of `value`, a `cls` with a fault: pydantic may not come to see it.

    `place` is where `value` stands, as in ``params.yaml: compute``.
    """
    if not isinstance(value, dict):
        return
    for name, field in cls.model_fields.items():
        inner, nested = find_section(field.annotation), value.get(field.alias or name)
        if inner and isinstance(nested, dict) and not _is_valid(inner, nested):
            yield from find_hidden(inner, nested, f"{place}.{field.alias or name}")
    known = _Known(value, salvage(cls, value))
    for rule in cls.__pydantic_decorators__.model_validators.values():
        try:
            rule.func(known)
        except ValueError as error:
            yield f"{place}: {error} (got {kind(value)})"
        except _Unknown:
            pass


def find_section(annotation: Any) -> type[Section] | None:
    """Return the one Section that an annotation stands for, alone or with None; None where there is none, or more."""
    found = [
        each for each in (annotation, *get_args(annotation)) if isinstance(each, type) and issubclass(each, Section)
    ]
    return found[0] if len(found) == 1 else None


def _is_valid(cls: type[Section], value: object) -> bool:
    try:
        cls.model_validate(value)
    except pydantic.ValidationError:
        return False
    return True
