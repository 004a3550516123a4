"""Section `split` of params.yaml."""

import pydantic

from thaw.base.sections import Section, Seed


class Split(Section):
    """Which photos train, which validate and which test. Every class has its share of every part.

    The three shares add up to 1, and a class must have photos enough to be in every part. All three are left out where
    the parts come with the photos, `parts` of [`dataset`](#dataset), and given where they do not.
    """

    seed: Seed = pydantic.Field(description="of the draw")
    train: float | None = pydantic.Field(
        default=None, gt=0, lt=1, description="of the photos, to train on", json_schema_extra={"unit": "share"}
    )
    validation: float | None = pydantic.Field(
        default=None,
        gt=0,
        lt=1,
        description="of the photos, to choose among runs by",
        json_schema_extra={"unit": "share"},
    )
    test: float | None = pydantic.Field(
        default=None,
        ge=0,
        lt=1,
        description="of the photos, scored once; 0 makes no test part",
        json_schema_extra={"unit": "share"},
    )
    near_duplicate_bits: int = pydantic.Field(
        ge=0,
        le=16,
        description="photos whose 64-bit perceptual hashes differ in at most so many bits stay in one part, and so "
        "does a chain of them that is not large. Of parts that come with the photos, such photos in two parts are told",
        json_schema_extra={"unit": "bits"},
    )

    @pydantic.field_validator("test")
    @classmethod
    def _check_sum(cls, test: float | None, info: pydantic.ValidationInfo) -> float | None:
        train, validation = info.data.get("train"), info.data.get("validation")
        if train is not None and validation is not None and test is not None:
            total = train + validation + test
            if abs(total - 1) > 1e-9:
                raise ValueError(f"must add up to 1 with train and validation, which makes {total:.10g} in all")
        return test
