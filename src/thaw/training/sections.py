"""What params.yaml says of runs."""

from typing import Annotated, Literal

import pydantic

from thaw.base.sections import Section, Seed
from thaw.networks.sections import Auto, BaselineNetwork, BatchNorm, Head, Unfreeze
from thaw.records.sections import Augmentation

Rate = Annotated[float, pydantic.Field(gt=0, le=10, description="the same in every step, unless `schedule` moves it")]

Count = Annotated[int, pydantic.Field(ge=2, le=100)]

PositiveWeight = Annotated[float, pydantic.Field(gt=0, le=1e6)]

ClassWeights = Annotated[
    Annotated[Literal["balanced"], pydantic.Tag("word")]
    | Annotated[dict[str, PositiveWeight], pydantic.Tag("mapping")],
    pydantic.Discriminator(lambda value: "mapping" if isinstance(value, dict) else "word"),
]

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


class AdamW(Section):
    """Adam with decoupled weight decay; its other settings are the defaults of Keras."""

    name: Literal["adamw"] = pydantic.Field(description="the optimizer")
    learning_rate: Rate
    weight_decay: float = pydantic.Field(
        ge=0,
        le=1,
        description="of a weight that each step takes away, times the learning rate; biases and what BatchNorm learns "
        "do not decay",
        json_schema_extra={"unit": "share"},
    )


class Schedule(Section):
    """How the learning rate moves over the steps of a phase; without it the rate is the same in every step."""

    shape: Literal["constant", "cosine", "linear"] = pydantic.Field(description="of the fall after the warm-up")
    warmup: float = pydantic.Field(
        default=0.0,
        ge=0,
        lt=1,
        description="of the steps, over which the rate rises from near 0",
        json_schema_extra={"unit": "share"},
    )
    end: float = pydantic.Field(
        default=0.0,
        ge=0,
        le=1,
        description="of the rate that is left at the last step; `constant` takes no notice",
        json_schema_extra={"unit": "share"},
    )


class EarlyStopping(Section):
    """When a phase ends before its epochs are over; the weights are then those of its best epoch.

    The epoch is chosen on validation, so the validation accuracy of the run is somewhat too high; that of test is not.
    """

    monitor: Literal["validation_loss", "validation_accuracy"] = pydantic.Field(description="what is watched")
    patience: int = pydantic.Field(
        ge=1,
        le=1000,
        description="epochs without a better one after which it ends",
        json_schema_extra={"unit": "epochs"},
    )


class Phase(Section):
    """One stretch of training with one optimizer."""

    optimizer: Sgd | Adam | AdamW = pydantic.Field(discriminator="name", description="how the weights move")
    epochs: int = pydantic.Field(
        ge=1,
        le=10_000,
        description="passes over the train part; the weights after the last one are the result",
        json_schema_extra={"unit": "epochs"},
    )
    augmentation: Augmentation | None = pydantic.Field(
        default=None, description="views of the photos to train on; without it they are seen as they are"
    )
    schedule: Schedule | None = pydantic.Field(default=None, description="how the learning rate moves")
    label_smoothing: float = pydantic.Field(
        default=0.0,
        ge=0,
        lt=1,
        description="of each label that is spread over all classes; the losses of the run are then of such labels",
        json_schema_extra={"unit": "share"},
    )
    class_weights: ClassWeights | None = pydantic.Field(
        default=None,
        description="of the photos of each class in the loss of training: `balanced` for photos / (classes · photos of "
        "the class), or a mapping of every class to its weight",
    )
    clip_norm: float | None = pydantic.Field(
        default=None, gt=0, le=1e6, description="largest norm of all gradients of a step together"
    )
    layer_decay: float | None = pydantic.Field(
        default=None,
        gt=0,
        le=1,
        description="of the learning rate of a block that the block before it learns at; the last block has this share "
        "of the head's rate",
        json_schema_extra={"unit": "share"},
    )
    average: float | None = pydantic.Field(
        default=None,
        ge=0,
        lt=1,
        description="of the moving average of the weights that each step keeps; validation and result are of the "
        "averaged weights",
        json_schema_extra={"unit": "share"},
    )
    early_stopping: EarlyStopping | None = pydantic.Field(default=None, description="when the phase ends early")

    flip_test: bool = pydantic.Field(
        default=False,
        description="whether the answer to a photo, wherever the trained run is scored or used, is the mean of the "
        "probabilities of the photo and of its mirror image; training takes no notice",
    )

    @property
    def passes(self) -> float:
        """How often the training sees each image as it is: its epochs over its views; fresh ones once."""
        views = self.augmentation.views if self.augmentation else 1
        return 1.0 if views == "fresh" else self.epochs / views


class BaselineRun(Phase):
    """A small CNN from scratch, to compare the others with. `baseline_cnn: null` leaves it out: nothing trains, and
    no page, table or test has it.
    """

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
    unfreeze: Unfreeze | None = pydantic.Field(description="what of the backbone trains; null for the head alone")
    batch_norm: BatchNorm = pydantic.Field(
        default="inference",
        description="of the unfrozen layers. `inference`: gamma and beta train, the statistics stay. `frozen`: these "
        "stay too. `batch`: they normalise by the batch, and the statistics move",
    )
    head: Head | None = pydantic.Field(
        default=None,
        description="given with `from: pretrained/…` and with no other: else it is that of the frozen run",
    )

    @property
    def auto(self) -> Auto | None:
        """The race that chooses what trains; None where the run says it."""
        return self.unfreeze.auto if self.unfreeze else None


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
        description="parts that the set is dealt into; at most the photos of a class, near duplicates and groups "
        "counted once"
    )
