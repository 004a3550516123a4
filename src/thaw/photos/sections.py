"""Section `dataset` of params.yaml."""

import re
from typing import Annotated, Literal, Self

import pydantic

from thaw.base.sections import Section, Seed

Digest = Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]

_SOURCE = pydantic.Field(description="the kind of source")

_DIGEST = pydantic.Field(
    description="sha256 of all photos and their classes, as `metrics/download.json` has it: other photos are then a "
    "fault. `null` accepts any"
)


class Parted(Section):
    """Parts and groups that come with the photos."""

    parts: Literal["folders", "csv"] | None = pydantic.Field(
        default=None,
        description="where the parts come from: `folders`, the class folders lie in `train`, `val` (or `valid`, "
        "`validation`) and, if there is one, `test`; `csv`, its column `part`. `null` draws them by "
        "[`split`](#split), whose shares are left out otherwise",
    )
    csv: str | None = pydantic.Field(
        default=None,
        min_length=1,
        description="of a CSV file with the column `file` (`CLASS/FILE`, below the folder of the photos) and `part`, "
        "`group` or both: the photos of a group stay together. It names every photo",
    )

    @pydantic.model_validator(mode="after")
    def _csv_of_the_parts(self) -> Self:
        if self.parts == "csv" and self.csv is None:
            raise ValueError("must have csv, the path of the file, with parts: csv")
        return self


class Archive(Parted):
    """A zip or tar file on the web, with a folder of JPEG, PNG, WebP, AVIF or HEIC files for each class in it.
    One folder around them is allowed.
    """

    source: Annotated[Literal["archive"], _SOURCE]
    url: str = pydantic.Field(pattern="^https?://[^/]+/.*[^/]$", description="address of the file")
    sha256: Digest = pydantic.Field(description="of the file: what comes must match")
    digest: Annotated[Digest | None, _DIGEST] = None


class Folder(Parted):
    """A folder of this machine, with a folder of JPEG, PNG, WebP, AVIF or HEIC files for each class in it.
    `./run` lists what is in it before DVC starts, so that a change is seen.
    """

    source: Annotated[Literal["folder"], _SOURCE]
    path: str = pydantic.Field(
        min_length=1, description="of the folder; starts at the folder of params.yaml, or at the home folder with `~`"
    )
    digest: Annotated[Digest | None, _DIGEST] = None


class Sample(Section):
    """Flowers of five classes, drawn by thaw itself, offline."""

    source: Annotated[Literal["sample"], _SOURCE]
    seed: Seed = pydantic.Field(description="of the drawing")
    photos_per_class: int = pydantic.Field(
        ge=2, le=10_000, description="to draw of each class", json_schema_extra={"unit": "photos"}
    )
    size: int = pydantic.Field(
        ge=32, le=512, description="width and height of each", json_schema_extra={"unit": "pixels"}
    )
    digest: Annotated[Digest | None, _DIGEST] = None


class Tfds(Section):
    """An image classification dataset of [TensorFlow Datasets](https://www.tensorflow.org/datasets), with the features
    `image` and `label`. All its splits are taken together.
    """

    source: Annotated[Literal["tfds"], _SOURCE]
    name: str = pydantic.Field(
        description="dataset and version, as `tf_flowers:3.0.1` or, with a configuration, `NAME/CONFIG:1.0.0`"
    )
    digest: Annotated[Digest | None, _DIGEST] = None

    @pydantic.field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w+(/[\w.+-]+)?:\d+\.\d+\.\d+", name, re.ASCII):
            raise ValueError("must be a TFDS dataset and its version, as in tf_flowers:3.0.1")
        return name


Dataset = Annotated[Tfds | Archive | Folder | Sample, pydantic.Field(discriminator="source")]
