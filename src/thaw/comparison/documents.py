"""What the comparison reads of the documents that the stages write as JSON: their shapes, of which more keys may stand.

A document that was edited by hand, merged badly or damaged is a fault that names the file and the key.
"""

from typing import Annotated

import pydantic

from thaw.base.sections import Section

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Count = Annotated[int, pydantic.Field(ge=0)]


class Document(Section):
    """A mapping of which some keys are read; the others may be anything."""

    model_config = pydantic.ConfigDict(extra="allow")


class PartScores(Document):
    """The scores of a run on one part."""

    photos: int = pydantic.Field(ge=1)
    accuracy: Share


class Evaluation(Document):
    """metrics/evaluate/RUN.json."""

    train: PartScores
    validation: PartScores
    test: Annotated[PartScores, pydantic.Field(default=None)]  # where the split has such a part
    trainable_parameters: Count


class Flops(Document):
    """Floating-point operations for one image."""

    forward: float
    prefix: float
    training_step: float


class Trained(Document):
    """metrics/train/RUN.json."""

    flops: Flops | None = None


class Candidate(Document):
    """A candidate of a race after its first epoch."""

    validation_loss: float | None  # null where it was no number
    validation_accuracy: Share
    epoch_flops: Count


class Raced(Document):
    """What a race tried, in metrics/train/RUN.json."""

    chosen: Annotated[str, pydantic.Field(pattern=r"^(head|all|blocks-\d+)$")]
    epochs: Count
    share: Share
    share_trained: Share
    candidates: dict[str, Candidate]


class Seconds(Document):
    """Wall times of a training."""

    per_epoch: float | None = None


class Timed(Document):
    """metrics/timing/train/RUN.json."""

    seconds: Seconds | None = None


class Origin(Document):
    """metrics/weights/BACKBONE.json: where the first weights come from."""

    weights: str
    official: bool | None


class Best(Document):
    """metrics/summary.json."""

    best: str | None = None
    runs: Count | None = None


class Spread(Document):
    """A score over trainings; null where it was no number."""

    sd: float | None
    values: list[float | None]


class SeedsSpread(Spread):
    """A score on one part over seeds."""

    mean: float | None


class FoldsSpread(Spread):
    """A score over folds, and over the photos of all of them."""

    pooled: float | None


class Replicated(Document):
    """metrics/evaluate/replicates/RUN.json."""

    seeds: list[int]  # the first one is the table's own
    accuracy: dict[str, SeedsSpread]


class Crossvalidated(Document):
    """metrics/evaluate/folds/RUN.json."""

    accuracy: FoldsSpread


class ExportedPart(PartScores):
    """The scores of an exported file on one part."""

    keras_accuracy: Share
    same: Share
    difference: Share


class Exported(Document):
    """A file in metrics/evaluate/exports/RUN.json."""

    file: str
    bytes: Count
    validation: ExportedPart
    test: Annotated[ExportedPart, pydantic.Field(default=None)]  # where the split has such a part


REPETITIONS: dict[str, type[Document]] = {"replicates": Replicated, "folds": Crossvalidated}
