"""What a trained run looks at in the photos of the part that counts, and which of them it finds alike."""

import pathlib
from typing import NamedTuple

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.names import PARTS
from thaw.base.progress import track
from thaw.explanation.embedding import embed
from thaw.explanation.gradcam import coarsen, halve, look, scale
from thaw.explanation.sections import Explain
from thaw.networks.classifiers import Network
from thaw.networks.descriptions import RunDescription
from thaw.records import reading

BATCH = 32
MOST_CELLS = 14  # a side of a stored map: one of the baseline CNN may have fifty, and git keeps the tables


class Explained(NamedTuple):
    """A row for each photo of the part, in the order of its records."""

    maps: pd.DataFrame  # id, part, predicted, height, width, and m_0 … : the cells, row by row, whole numbers 0 to 100
    embedding: pd.DataFrame  # id, part, actual, predicted, x, y


def explain(
    network: Network, description: RunDescription, records: pathlib.Path | str, options: Explain, seed: int
) -> Explained:
    """Return the maps (Grad-CAM, of the predicted class) and the places (t-SNE) of the photos of the last part.

    That is test, or validation where the split has no test part. Raises InputError where the network gives features
    that are no numbers, as one does whose training diverged.
    """
    index = reading.read_index(records)
    part = [part for part in PARTS if index["counts"][part]][-1]
    labels, ids = reading.read_labels(records, part)
    name, halves, batches = description["run"], halve(network), reading.read_batches(records, part, BATCH)
    steps = -(-len(labels) // BATCH)
    seen = [look(halves, pixels) for pixels, _ in track(batches, f"{name}: maps", steps, "batches")]
    logits, maps, pooled = (np.concatenate(arrays) for arrays in zip(*seen, strict=True))
    if not np.isfinite(pooled).all():
        raise InputError(
            f"{paths.find_weights(name)}: must give features that are finite numbers: the training diverged; leave "
            f"{name} out of `explain` in {paths.PARAMS}"
        )
    names, maps = np.array(index["classes"]), coarsen(maps, MOST_CELLS)
    facts = pd.DataFrame({"id": ids, "part": part, "predicted": names[logits.argmax(axis=1)]})
    cells = np.rint(100 * scale(maps)).astype(int).reshape(len(maps), -1)
    columns = pd.DataFrame(cells, columns=[f"m_{cell}" for cell in range(cells.shape[1])])
    places = embed(pooled, options.perplexity, seed)
    embedding = facts.assign(actual=names[labels], x=places[:, 0], y=places[:, 1])
    return Explained(
        pd.concat([facts.assign(height=maps.shape[1], width=maps.shape[2]), columns], axis=1),
        embedding[["id", "part", "actual", "predicted", "x", "y"]],
    )
