"""Typed mappings of params.yaml, and one line for each fault in them.

docs/params.md is made of the classes: the docstring of a Section, in Markdown, says what the mapping is and what holds
between its keys; the `description` of a field says what the key means, and `unit` is what its numbers count.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, get_args

import pydantic
import pydantic_core
from pydantic_core import core_schema

from thaw.base.errors import kind

Seed = Annotated[int, pydantic.Field(ge=0, lt=2**31)]


class Section(pydantic.BaseModel):
    """A typed mapping of params.yaml: unknown keys, wrong types, NaN and infinity are faults."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def one_of(choices: Iterable[str]) -> pydantic.GetPydanticSchema:
    """Return an annotation of `str` that works as a Literal of `choices`, which the code computes."""
    schema = core_schema.literal_schema(list(choices))
    return pydantic.GetPydanticSchema(lambda _source, _handler: schema)


def validate(cls: Any, value: object, place: str) -> tuple[Any, list[str]]:
    """Return `(cls instance, [])`, or `(None, faults)` with a line for each fault of `value`.

    `cls` is a Section or an annotated union of Sections; `place` is where `value` stands, e.g. ``params.yaml: split``.
    """
    try:
        return pydantic.TypeAdapter(cls).validate_python(value), []
    except pydantic.ValidationError as error:
        mapping = "must be a mapping or null" if type(None) in get_args(cls) else "must be a mapping"
        return None, [_say(fault, value, place, mapping) for fault in error.errors(include_url=False)]


def _say(fault: pydantic_core.ErrorDetails, value: Any, place: str, mapping: str) -> str:
    """Return one line for one of pydantic's `errors()`; `mapping` says what the whole of `value` must be."""
    keys: list[str] = []
    inner: Any = value
    for position, key in enumerate(fault["loc"]):
        last = position == len(fault["loc"]) - 1
        inside = isinstance(inner, dict) and key in inner or isinstance(inner, list) and isinstance(key, int)
        if inside:
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
        "model_type": "must be a mapping" if keys else mapping,
        "model_attributes_type": "must be a mapping" if keys else mapping,
        "string_pattern_mismatch": f"must match {context.get('pattern')}",
        "too_short": f"must have at least {context.get('min_length')} entries",
        "value_error": str(context.get("error")),
    }.get(fault["type"], fault["msg"])
    return f"{'.'.join([place, *keys])}: {allowed}{received}"


class Forward(Section):
    """Key of [`compute`](#compute): what runs a pass that only goes forward.

    Such passes fill the store, score runs in stages `evaluate`, `replicate` and `crossvalidate`, and answer in `thaw
    predict` and `thaw serve`. Training, the validation after each of its epochs, `explain` and `export` are Keras's in
    any case. OpenVINO is an extra of the project: [how to install it, and what it costs](forward.md).
    """

    engine: Literal["keras", "openvino"] = pydantic.Field(
        default="keras", description="the graph of TensorFlow, or OpenVINO, which makes its own of it"
    )
    precision: Literal["float32", "bfloat16"] = pydantic.Field(
        default="float32",
        description="of the arithmetic: `bfloat16` needs OpenVINO and a processor that has it. What is stored and "
        "scored is float32 either way",
    )

    @pydantic.model_validator(mode="after")
    def _precision_of_the_engine(self) -> Self:
        if self.engine == "keras" and self.precision != "float32":
            raise ValueError("must have precision: float32 with engine: keras, or engine: openvino")
        return self


class Compute(Section):
    """What the arithmetic runs on. Every key changes the last bits of every trained weight, or more than these."""

    threads: int = pydantic.Field(
        ge=1,
        le=256,
        description="of TensorFlow, inside an operation and between operations, and of OpenVINO",
        json_schema_extra={"unit": "threads"},
    )
    onednn_isa: Literal["SSE41", "AVX", "AVX2", "AVX512_CORE", "DEFAULT"] = pydantic.Field(
        description="the widest instruction set that oneDNN may use in TensorFlow; `DEFAULT`: that of the machine"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = pydantic.Field(
        default="float32",
        description="the dtype policy of Keras: the mixed ones calculate in 16 bits and keep weights, logits, "
        "probabilities, losses and what is stored in 32, with `onednn_isa: DEFAULT`; for [GPUs](gpu.md) and processors "
        "that have such arithmetic",
    )
    forward: Forward = pydantic.Field(default=Forward(), description="what runs passes that only go forward")

    @pydantic.model_validator(mode="after")
    def _set_of_a_mixed_precision(self) -> Self:
        if self.precision != "float32" and self.onednn_isa != "DEFAULT":
            # With a narrower set than the processor's, TensorFlow 2.21 asks for kernels that oneDNN then has not.
            raise ValueError(f"must have onednn_isa: DEFAULT with precision: {self.precision}")
        return self

    @pydantic.model_validator(mode="after")
    def _engine_of_a_mixed_precision(self) -> Self:
        if self.precision != "float32" and self.forward.engine != "keras":
            raise ValueError("must have precision: float32 with forward.engine: openvino, whose precision is its own")
        return self

    def describe(self) -> dict[str, Any]:
        """Return the section as a JSON document, without keys that have their default: what rests on it stays."""
        return self.model_dump(exclude_defaults=True)

    def in_float32(self) -> Self:
        """Return the section with the precision float32."""
        return self.model_copy(update={"precision": "float32"})
