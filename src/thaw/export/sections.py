"""Section `export` of params.yaml."""

from typing import Annotated, Literal, Self

import pydantic

from thaw.base.sections import Section

Format = Literal["saved_model", "litert", "onnx"]
Quantize = Literal["none", "float16", "int8"]


def _name_once(values: list[str]) -> list[str]:
    if twice := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"must name each once, {twice[0]} is there twice")
    return values


class Export(Section):
    """A mapping of runs, of [`frozen`](#frozen) and [`finetune`](#finetune), or `baseline_cnn`, to the files that are
    made of each for use elsewhere ([export](export.md)); `{}` for none. A preset has those of its own file alone.
    """

    formats: Annotated[list[Format], pydantic.AfterValidator(_name_once)] = pydantic.Field(
        min_length=1, description="what is written; each once"
    )
    quantize: Annotated[list[Quantize], pydantic.AfterValidator(_name_once)] = pydantic.Field(
        default=["none"],
        min_length=1,
        description="the files of `litert`, one for each: with the weights as they are, with half the bits, or with "
        "weights and arithmetic of 8 bits. Left out where `formats` has no `litert`",
    )
    tolerance: float = pydantic.Field(
        default=1.0,
        ge=0,
        le=100,
        description="that a file may lose on validation against the Keras network; one that loses more is a fault",
        json_schema_extra={"unit": "points of accuracy"},
    )

    @pydantic.model_validator(mode="after")
    def _quantize_litert(self) -> Self:
        if "litert" not in self.formats and "quantize" in self.model_fields_set:
            raise ValueError("quantize must be left out without litert in formats")
        return self
