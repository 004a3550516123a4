"""What params.yaml says of runs."""

from typing import Annotated, Literal

import pydantic

from thaw.base.sections import Section, Seed
from thaw.networks.sections import BaselineNetwork, BatchNorm, Head, Unfreeze
from thaw.records.sections import Augmentation

Rate = Annotated[float, pydantic.Field(gt=0, le=10, description="the same in every step")]

Count = Annotated[int, pydantic.Field(ge=2, le=100)]

# dvc.yaml can name the file of a run's first weights only if the backbone stands in the entry itself.
OwnBackbone = Annotated[
    str, pydantic.Field(description="that of the run, so that DVC knows what the trainings start from")
]


class Training(Section):
    """What all runs share."""

    seed: Seed = pydantic.Field(
        description="of the first weights of heads and of the baseline CNN, of dropout, and of the order of the photos"
    )
    batch_size: int = pydantic.Field(
        ge=1, le=4096, description="in a training step", json_schema_extra={"unit": "photos"}
    )


class Sgd(Section):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = pydantic.Field(description="the optimizer")
    learning_rate: Rate
    momentum: float = pydantic.Field(
        ge=0, lt=1, description="of the step before that the next one keeps", json_schema_extra={"unit": "share"}
    )


class Adam(Section):
    """Adam; its other settings are the defaults of Keras."""

    name: Literal["adam"] = pydantic.Field(description="the optimizer")
    learning_rate: Rate


class Phase(Section):
    """One stretch of training with one optimizer."""

    optimizer: Sgd | Adam = pydantic.Field(discriminator="name", description="how the weights move")
    epochs: int = pydantic.Field(
        ge=1,
        le=10_000,
        description="passes over the train part; the weights after the last one are the result",
        json_schema_extra={"unit": "epochs"},
    )
    augmentation: Augmentation | None = pydantic.Field(
        default=None, description="views of the photos to train on; without it they are seen as they are"
    )

    @property
    def views(self) -> int:
        """How many views of each training photo there are."""
        return self.augmentation.views if self.augmentation else 1

    @property
    def passes(self) -> float:
        """How often the training sees each image as it is: its epochs over the views that it rotates."""
        return self.epochs / self.views


class BaselineRun(Phase):
    """The run that every table has: a small CNN from scratch."""

    network: BaselineNetwork = pydantic.Field(description="its layers")


class FrozenRun(Phase):
    """A mapping of names to runs that train a new head on a frozen backbone; at least one. No run has the name of
    another, in `frozen` and `finetune` together, or `baseline_cnn`.
    """

    backbone: str = pydantic.Field(description="an entry of [`backbones`](#backbones)")
    head: Head = pydantic.Field(description="what stands on the pooled features")


class FinetuneRun(Phase):
    """A mapping of names to runs that unfreeze part of a backbone and train it together with the head; `{}` for
    none.
    """

    start: str = pydantic.Field(
        alias="from",
        description="where it starts: an entry of [`frozen`](#frozen), or `pretrained/` and an entry of "
        "[`backbones`](#backbones) for a new head on that",
    )
    unfreeze: Unfreeze = pydantic.Field(description="what of the backbone trains")
    batch_norm: BatchNorm = pydantic.Field(
        default="inference",
        description="of the unfrozen layers. `inference`: gamma and beta train, the statistics stay. `frozen`: these "
        "stay too. `batch`: they normalise by the batch, and the statistics move",
    )
    head: Head | None = pydantic.Field(
        default=None,
        description="given with `from: pretrained/…` and with no other: else it is that of the frozen run",
    )


class Replicates(Section):
    """A mapping of runs, of [`frozen`](#frozen) and [`finetune`](#finetune), to how often each is trained with other
    seeds; `{}` for none. A preset has those of its own file alone.
    """

    backbone: OwnBackbone
    count: Count = pydantic.Field(
        description="seeds in all: `training.seed`, with which the table trains the run, and those that follow"
    )


class Folds(Section):
    """A mapping of runs, of [`frozen`](#frozen) and [`finetune`](#finetune), to be cross-validated over the whole set;
    `{}` for none. A preset has those of its own file alone.
    """

    backbone: OwnBackbone
    count: Count = pydantic.Field(
        description="parts that the set is dealt into; at most the photos of a class, near duplicates counted once"
    )
