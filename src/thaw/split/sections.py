"""Section `split` of params.yaml."""

import pydantic

from thaw.base.sections import Section, Seed


class Split(Section):
    """Which photos train, which validate and which test. Every class has its share of every part.

    The three shares add up to 1, and a class must have photos enough to be in every part.
    """

    seed: Seed = pydantic.Field(description="of the draw")
    train: float = pydantic.Field(
        gt=0, lt=1, description="of the photos, to train on", json_schema_extra={"unit": "share"}
    )
    validation: float = pydantic.Field(
        gt=0, lt=1, description="of the photos, to choose among runs by", json_schema_extra={"unit": "share"}
    )
    test: float = pydantic.Field(
        ge=0,
        lt=1,
        description="of the photos, scored once; 0 makes no test part",
        json_schema_extra={"unit": "share"},
    )
    near_duplicate_bits: int = pydantic.Field(
        ge=0,
        le=16,
        description="photos whose 64-bit perceptual hashes differ in at most so many bits stay in one part, and so "
        "does a chain of them that is not large",
        json_schema_extra={"unit": "bits"},
    )

    @pydantic.field_validator("test")
    @classmethod
    def _check_sum(cls, test: float, info: pydantic.ValidationInfo) -> float:
        if "train" in info.data and "validation" in info.data:
            total = info.data["train"] + info.data["validation"] + test
            if abs(total - 1) > 1e-9:
                raise ValueError(f"must add up to 1 with train and validation, which makes {total:.10g} in all")
        return test
