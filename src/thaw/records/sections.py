"""Section `image` of params.yaml, and key `augmentation` of a run."""

import pydantic

from thaw.base.sections import Section, Seed


class Augmentation(Section):
    """Key of every run. Each photo has a fixed number of views, one for each epoch by turns, so that what frozen layers
    make of them can be stored.
    """

    views: int = pydantic.Field(
        ge=2,
        le=64,
        description="of each photo; the first is the photo as it is",
        json_schema_extra={"unit": "views"},
    )
    flip: bool = pydantic.Field(description="whether the others are mirrored left to right, each with probability 1/2")
    crop: float = pydantic.Field(
        gt=0,
        le=1,
        description="of a side that a crop keeps at least; 1 crops nothing",
        json_schema_extra={"unit": "share"},
    )
    seed: Seed = pydantic.Field(description="of the crops and mirrorings")


class Image(Section):
    """How photos are kept for training, as TFRecords."""

    size: int = pydantic.Field(
        ge=32,
        le=1024,
        description="width and height that every photo is resized to, whatever its proportions; at least what each "
        "backbone, and the baseline CNN, can take",
        json_schema_extra={"unit": "pixels"},
    )
    shards: int = pydantic.Field(ge=1, le=1000, description="for each part", json_schema_extra={"unit": "files"})
