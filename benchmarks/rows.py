"""The rows of the benchmark: which runs are compared, their networks, and the sides' slices of an epoch."""

from typing import NamedTuple

from thaw.base import paths
from thaw.base.names import PRETRAINED
from thaw.networks.classifiers import Network, build_classifier
from thaw.networks.costs import RunFlops
from thaw.networks.plan import Opening, Plan, plan_run, unfreeze
from thaw.networks.sections import BatchNorm, Head, Unfreeze
from thaw.training.sections import Phase

TURN = 2.4e12  # FLOPs of a turn: some twenty seconds on two cores, beside which the start of an epoch is little
SHORTEST = 5  # training batches of a turn
BATCH = 32
SEED = 1  # of every network's first weights, of dropout and of the order of the photos
RATE = 1e-4  # the learning rate of Adam
CLASSES = 5  # of TF-Flowers


class Row(NamedTuple):
    """One run: a backbone of params.yaml with imagenet weights, what is unfrozen of it, and its epochs."""

    name: str
    backbone: str
    architecture: str
    unfreeze: Unfreeze | None
    epochs: int
    filled: bool = False  # the store holds the activations already
    batch_norm: BatchNorm = "inference"

    @property
    def store(self) -> str:
        """The name of the row's store: a row that finds it filled has that of the row before it."""
        return self.name.removesuffix(", again").replace(" ", "-")

    @property
    def opening(self) -> Opening:
        """What the run asks of its backbone."""
        return Opening(self.unfreeze, self.batch_norm, self.epochs)


def _list_rows(backbone: str, architecture: str) -> list[Row]:
    rows = [
        Row("head only", backbone, architecture, None, 5),
        Row("head only, again", backbone, architecture, None, 5, filled=True),
        Row("last 10 layers", backbone, architecture, Unfreeze(layers=10), 15),
        Row("last 4 blocks", backbone, architecture, Unfreeze(blocks=4), 15),
        Row("last 40 layers", backbone, architecture, Unfreeze(layers=40), 15),
        Row("last 10 blocks", backbone, architecture, Unfreeze(blocks=10), 15),
    ]
    return [row._replace(name=f"{architecture}, {row.name}") for row in rows]


ROWS = [
    *_list_rows("mobilenet", "MobileNet"),
    # The store would not pay here: thaw takes the naive path, and must not be slower than it.
    Row("MobileNet, from layer 4", "mobilenet", "MobileNet", Unfreeze(from_layer=4), 15),
    *_list_rows("resnet50", "ResNet50"),
    # The largest run that a report published, with moving statistics: what takes the most memory.
    Row(
        "ResNet50, last 16 blocks, batch statistics",
        "resnet50",
        "ResNet50",
        Unfreeze(blocks=16),
        10,
        batch_norm="batch",
    ),
]


def find_row(name: str) -> Row:
    """Return the row called `name`; raises StopIteration where there is none."""
    return next(row for row in ROWS if row.name == name)


def build_row(row: Row, size: int) -> tuple[Network, Plan]:
    """Return the network of a row for images of `size` pixels a side, and its Plan.

    The backbone has its pretrained weights, the head is new, and what the row unfreezes is unfrozen.
    """
    head = Head(dense=[], dropout=0.0, batch_norm=False)
    network = build_classifier(row.architecture, 1, size, head, CLASSES)
    network.backbone.load_weights(paths.find_weights(PRETRAINED + row.backbone))
    plan = plan_run(network, row.architecture, row.opening)
    unfreeze(network, plan)
    return network, plan


def make_phase(epochs: int) -> Phase:
    """Return the Phase that every row trains with, for so many epochs."""
    return Phase.model_validate({"optimizer": {"name": "adam", "learning_rate": RATE}, "epochs": epochs})


def find_limit(row: Row, flops: RunFlops, counts: tuple[int, int]) -> float:
    """Return the ratio of the FLOPs of whole runs that the store allows.

    `flops` are those of the row, `counts` the photos of train and validation.
    """
    train, validation = counts
    tail = row.epochs * (train * flops.training_step + validation * (flops.forward - flops.prefix))
    naive = tail + row.epochs * (train + validation) * flops.prefix
    return naive / (tail + (0 if row.filled else (train + validation) * flops.prefix))


def choose_slice(flops_step: float, photos: int) -> int:
    """Return how many training batches a turn has: about TURN FLOPs, at most an epoch."""
    return min(max(SHORTEST, round(TURN / (flops_step * BATCH))), -(-photos // BATCH))
