"""The rows of the benchmark: which runs are compared, and the sides' slices of an epoch."""

from typing import NamedTuple

from thaw.unfreezing import Unfreeze

TURN = 2.4e12  # FLOPs of a turn: some twenty seconds on two cores, beside which the start of an epoch is little
SHORTEST = 5  # training batches of a turn
BATCH = 32


class Row(NamedTuple):
    """One run: a backbone of params.yaml with imagenet weights, what it opens, and its epochs."""

    name: str
    backbone: str
    architecture: str
    unfreeze: dict | None
    epochs: int
    filled: bool = False  # the store holds the activations already
    batch_norm: str = "inference"

    @property
    def store(self):
        """The folder of the row's store: a row that finds it filled has that of the row before it."""
        return self.name.removesuffix(", again").replace(" ", "-")

    @property
    def opens(self):
        return self.unfreeze and Unfreeze(**self.unfreeze)


def _list_rows(backbone, architecture):
    rows = [
        Row("head only", backbone, architecture, None, 5),
        Row("head only, again", backbone, architecture, None, 5, filled=True),
        Row("last 10 layers", backbone, architecture, {"layers": 10}, 15),
        Row("last 4 blocks", backbone, architecture, {"blocks": 4}, 15),
        Row("last 40 layers", backbone, architecture, {"layers": 40}, 15),
        Row("last 10 blocks", backbone, architecture, {"blocks": 10}, 15),
    ]
    return [row._replace(name=f"{architecture}, {row.name}") for row in rows]


ROWS = [
    *_list_rows("mobilenet", "MobileNet"),
    # The store would not pay here: thaw takes the naive path, and must not be slower than it.
    Row("MobileNet, from layer 4", "mobilenet", "MobileNet", {"from_layer": 4}, 15),
    *_list_rows("resnet50", "ResNet50"),
    # The largest run that a report published, with moving statistics: what takes the most memory.
    Row("ResNet50, last 16 blocks, batch statistics", "resnet50", "ResNet50", {"blocks": 16}, 10, batch_norm="batch"),
]


def find_limit(row, flops, counts):
    """Return the ratio of the FLOPs of whole runs that the store allows.

    `flops` is the costs.RunFlops of the row, `counts` the photos of train and validation.
    """
    train, validation = counts
    tail = row.epochs * (train * flops.training_step + validation * (flops.forward - flops.prefix))
    naive = tail + row.epochs * (train + validation) * flops.prefix
    return naive / (tail + (0 if row.filled else (train + validation) * flops.prefix))


def choose_slice(flops_step, photos):
    """Return how many training batches a turn has: about TURN FLOPs, at most an epoch."""
    return min(max(SHORTEST, round(TURN / (flops_step * BATCH))), -(-photos // BATCH))
