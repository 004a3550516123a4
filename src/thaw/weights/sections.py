"""Entries of section `backbones` of params.yaml."""

from typing import Annotated, Self

import pydantic

from thaw.architectures.table import ARCHITECTURES
from thaw.base.sections import Section, Seed, one_of


class Pretraining(Section):
    """Key of an entry of [`backbones`](#backbones).

    The species are other ones than those of `source: sample`.
    """

    photos_per_class: int = pydantic.Field(
        ge=2, le=10_000, description="to draw of each species", json_schema_extra={"unit": "photos"}
    )
    size: int = pydantic.Field(
        ge=32, le=512, description="width and height of each", json_schema_extra={"unit": "pixels"}
    )
    batch_size: int = pydantic.Field(
        ge=1, le=1024, description="in a training step", json_schema_extra={"unit": "photos"}
    )
    learning_rate: float = pydantic.Field(
        gt=0, le=1, description="of Adam, the highest: it rises to it shortly and falls as a cosine"
    )
    epochs: int = pydantic.Field(
        ge=1, le=1000, description="passes over the drawn flowers", json_schema_extra={"unit": "epochs"}
    )


class Backbone(Section):
    """A mapping of names to pretrained networks without their classifiers; at least one.

    `width` is 1 with `weights: imagenet`. `seed` is given with `weights: sample` and `weights: random` and with no
    other, `pretraining` with `weights: sample` alone.
    """

    architecture: Annotated[str, one_of(ARCHITECTURES)] = pydantic.Field(
        description="the network, of `keras.applications`; the minimalistic MobileNetV3 are rows of their own"
    )
    width: float = pydantic.Field(
        gt=0,
        le=2,
        description="on the published number of filters of every convolution",
        json_schema_extra={"unit": "factor"},
    )
    weights: str = pydantic.Field(
        description="`imagenet`: the file that Keras publishes. `sample`: trained here, on drawn flowers. `random`: "
        "not trained. Or the path of an `.h5` file with the network's weights, its classifier left out; `./run` "
        "lists what is in it before DVC starts, so that a change is seen"
    )
    seed: Seed | None = pydantic.Field(default=None, description="of the first weights and of the drawn flowers")
    pretraining: Pretraining | None = pydantic.Field(default=None, description="how `weights: sample` is trained")
    preprocessing: Annotated[str, one_of(["own", "rescaled", *ARCHITECTURES])] = pydantic.Field(
        default="own",
        description="`own` is right. The others are mistakes to make on purpose: `rescaled` divides the pixels by 255 "
        "first, the name of an architecture takes that one's preprocessing",
    )

    @pydantic.field_validator("weights")
    @classmethod
    def _known(cls, weights: str) -> str:
        if weights not in ("imagenet", "sample", "random") and not weights.endswith(".h5"):
            raise ValueError("must be imagenet, sample, random or the path of a .h5 file")
        return weights

    @pydantic.model_validator(mode="after")
    def _seed_where_drawn(self) -> Self:
        if (self.seed is not None) != (self.weights in ("sample", "random")):
            raise ValueError("seed must be given with weights sample and random, and with no other")
        return self

    @pydantic.model_validator(mode="after")
    def _pretraining_of_the_sample(self) -> Self:
        if (self.pretraining is not None) != (self.weights == "sample"):
            raise ValueError("pretraining must be given with weights sample, and with no other")
        return self

    @pydantic.model_validator(mode="after")
    def _width_of_imagenet(self) -> Self:
        if self.weights == "imagenet" and self.width != 1:
            raise ValueError("width must be 1.0 with weights imagenet")
        return self
