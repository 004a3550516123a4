"""Section `image` of params.yaml, and key `augmentation` of a run."""

from typing import Annotated, Literal

import pydantic

from thaw.base.sections import Section, Seed

Views = Annotated[
    Annotated[int, pydantic.Field(ge=2, le=64), pydantic.Tag("number")]
    | Annotated[Literal["fresh"], pydantic.Tag("word")],
    pydantic.Discriminator(lambda value: "word" if isinstance(value, str) else "number"),
]

Change = Annotated[float, pydantic.Field(ge=0, le=1)]


class Colour(Section):
    """Key of [`augmentation`](#augmentation). Each photo of a view has factors of its own, uniform from 1 less the
    share to 1 plus the share.
    """

    brightness: Change = pydantic.Field(default=0.0, description="of every value", json_schema_extra={"unit": "share"})
    contrast: Change = pydantic.Field(
        default=0.0,
        description="of the distance of every value from the mean grey of the photo",
        json_schema_extra={"unit": "share"},
    )
    saturation: Change = pydantic.Field(
        default=0.0,
        description="of the distance of every value from the grey of its pixel",
        json_schema_extra={"unit": "share"},
    )


class Augmentation(Section):
    """Key of every run. With a number of views each photo has so many, one for each epoch by turns, so that what frozen
    layers make of them can be stored. With `views: fresh` every epoch draws a new one: nothing is stored, and the whole
    network runs in every epoch.
    """

    views: Views = pydantic.Field(
        description="of each photo: a number, the first being the photo as it is; or `fresh`, a new one in each epoch",
        json_schema_extra={"unit": "views"},
    )
    flip: bool = pydantic.Field(description="whether views are mirrored left to right, each with probability 1/2")
    crop: float = pydantic.Field(
        gt=0,
        le=1,
        description="of a side that a crop keeps at least; 1 crops nothing",
        json_schema_extra={"unit": "share"},
    )
    seed: Seed = pydantic.Field(
        description="of what is drawn; `fresh` views follow from `training.seed` and the epoch as well"
    )
    colour: Colour | None = pydantic.Field(
        default=None, description="how the colours of views change; without it they stay"
    )


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
