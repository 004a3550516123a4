"""What params.yaml says of a network: its head, the baseline CNN, what is unfrozen."""

from typing import Annotated, Any, Literal, Self

import pydantic

from thaw.architectures.table import ARCHITECTURES
from thaw.base.sections import Section

BatchNorm = Literal["frozen", "inference", "batch"]

Width = Annotated[int, pydantic.Field(ge=1, le=65_536)]

Dropout = Annotated[float, pydantic.Field(ge=0, lt=1, json_schema_extra={"unit": "share"})]


class Auto(Section):
    """Key of [`unfreeze`](#unfreeze): the stage tries several cuts and trains on from the best.

    Every candidate trains for an epoch, or as many as have 20 steps, from where the run starts, as it would in a
    training of its own; the one with the highest validation accuracy, the cheaper of equals, trains to the end.
    """

    blocks: Annotated[list[Annotated[int, pydantic.Field(ge=0)]], pydantic.Field(min_length=1)] | None = pydantic.Field(
        default=None,
        description="candidates, each the last so many blocks and what follows them; 0 for the head alone. Without it "
        "every number that the backbone has, and 0",
        json_schema_extra={"unit": "blocks"},
    )
    all: bool = pydantic.Field(default=True, description="whether the whole backbone is a candidate, too")

    @pydantic.model_validator(mode="after")
    def _something_to_choose_from(self) -> Self:
        blocks = self.blocks or []
        if len(set(blocks)) < len(blocks):
            raise ValueError("must name each number of blocks once")
        if self.blocks is not None and len(blocks) + self.all < 2:
            raise ValueError("must have at least two candidates")
        return self


class Unfreeze(Section):
    """Key of an entry of [`finetune`](#finetune).

    At least one key; several mean their union, but `auto` stands alone. Layers are counted as Keras lists them, those
    without weights included. What a backbone does not have is a fault that lists what it has.
    """

    # The published reports count layers so, too. What follows the last block (the closing convolution of the
    # MobileNetV2 and V3 families) is unfrozen with that block. The head always trains.
    layers: Annotated[int, pydantic.Field(ge=1)] | None = pydantic.Field(
        default=None, description="the last so many", json_schema_extra={"unit": "layers"}
    )
    from_layer: Annotated[int, pydantic.Field(ge=0)] | None = pydantic.Field(
        default=None, description="all but the first so many", json_schema_extra={"unit": "layers"}
    )
    blocks: Annotated[int, pydantic.Field(ge=1)] | None = pydantic.Field(
        default=None, description="the last so many, and what follows them", json_schema_extra={"unit": "blocks"}
    )
    stages: Annotated[list[str], pydantic.Field(min_length=1)] | None = pydantic.Field(
        default=None,
        description="by name: `conv2` to `conv5` of ResNet50 and DenseNet121, `entry`, `middle` and `exit` of "
        "Xception, `grid35`, `grid17` and `grid8` of InceptionV3, `stride2` to `stride32` of the others "
        "(MobileNetV3Small, ConvNeXtTiny and NASNetMobile begin with `stride4`)",
    )
    all: Literal[True] | None = pydantic.Field(default=None, description="the whole backbone")
    auto: Auto | None = pydantic.Field(default=None, description="what a race over several cuts finds best")

    @pydantic.model_validator(mode="after")
    def _something(self) -> Self:
        given = self.model_dump(exclude_none=True)
        if not given:
            raise ValueError("must have at least one of layers, from_layer, blocks, stages, all, auto")
        if "auto" in given and len(given) > 1:
            raise ValueError("must have auto or other keys, not both")
        return self


def find_faults(unfreeze: Unfreeze, architecture: str, name: str) -> list[tuple[str, str, Any]]:
    """Return (key, message, value) for each value of `unfreeze` that the architecture does not have.

    `name` is what the message calls the backbone.
    """
    row = ARCHITECTURES[architecture]
    faults: list[tuple[str, str, Any]] = []
    for key, low, high in (("layers", 1, row.layers), ("from_layer", 0, row.layers - 1), ("blocks", 1, row.blocks)):
        value = getattr(unfreeze, key)
        if value is not None and not low <= value <= high:
            faults.append((key, f"must be {low} to {high} for {name}", value))
    for blocks in (unfreeze.auto and unfreeze.auto.blocks) or []:
        if blocks > row.blocks:
            faults.append(("auto.blocks", f"must be 0 to {row.blocks} for {name}", blocks))
    for stage in unfreeze.stages or []:
        if stage not in row.stages:
            faults.append(("stages", f"must be of {', '.join(row.stages)} for {name}", stage))
    return faults


class Head(Section):
    """Key of an entry of [`frozen`](#frozen) or [`finetune`](#finetune).

    The classifier, a unit for each class, comes behind the hidden layers.
    """

    dense: list[Width] = pydantic.Field(
        description="of each hidden layer, ReLU; `[]` for no hidden layer", json_schema_extra={"unit": "units"}
    )
    dropout: Dropout = pydantic.Field(
        description="of the outputs of each hidden layer that a training step leaves out; of the pooled features where "
        "there is no hidden layer"
    )
    batch_norm: bool = pydantic.Field(description="whether BatchNorm stands between each hidden layer and its ReLU")


class BaselineNetwork(Section):
    """Key of [`baseline_cnn`](#baseline_cnn)."""

    filters: list[Width] = pydantic.Field(
        min_length=1,
        description="of each 3×3 valid convolution; ReLU and 2×2 max pooling follow it",
        json_schema_extra={"unit": "filters"},
    )
    dense: Width = pydantic.Field(
        description="of the hidden layer behind them, ReLU", json_schema_extra={"unit": "units"}
    )
    dropout: Dropout = pydantic.Field(description="of the hidden layer's outputs that a training step leaves out")


def find_smallest_size(settings: BaselineNetwork) -> int:
    """Return the least size of image, in pixels a side, that leaves the baseline CNN's last pooling one pixel."""
    size = 1
    for _ in settings.filters:
        size = 2 * size + 2  # 2x2 pooling halves, the 3x3 valid convolution takes two
    return size
