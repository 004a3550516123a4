"""One trained run, scored once on every part."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from thaw.base.names import PARTS
from thaw.evaluation import scoring
from thaw.networks import forward
from thaw.networks.classifiers import Network, find_answering
from thaw.networks.descriptions import RunDescription
from thaw.networks.plan import plan_trained
from thaw.records import reading
from thaw.store.opening import Asked, open_run
from thaw.store.prefixes import Images
from thaw.store.sources import Batches, Pixels

BATCH = 32


class Evaluation(NamedTuple):
    """What scoring a run made."""

    scores: dict[str, Any]  # by part, the last one first: what evaluation.scoring.score gives, to six digits
    classes: pd.DataFrame  # a row for each class and part
    predictions: pd.DataFrame  # a row for each photo of validation and test


def evaluate(network: Network, description: RunDescription, records: pathlib.Path | str, asked: Asked) -> Evaluation:
    """Score a trained network on every part of the records."""
    index = reading.read_index(records)
    parts = [part for part in PARTS if index["counts"][part]]
    images = [Images(records, part) for part in parts]
    sources: Sequence[Batches]
    if description.get("flip_test"):  # nothing is stored of mirror images
        tail, sources = find_answering(network, description), [Pixels(*chosen) for chosen in images]
    else:
        tail, sources = open_run(network, plan_trained(network, description), images, asked._replace(trained=True))
    classes, scores, by_class, predictions = index["classes"], {}, [], []
    for part, source in zip(parts, sources, strict=True):
        labels, ids = reading.read_labels(records, part)
        logits = forward.predict(tail, source.read_batches(BATCH), asked.compute)
        scores[part] = {key: round(value, 6) for key, value in scoring.score(labels, logits).items()}
        by_class.append(scoring.score_classes(labels, logits, classes).round(6).assign(part=part))
        if part != "train":
            predictions.append(scoring.tabulate_predictions(ids, {"part": part}, labels, logits, classes))
    return Evaluation({part: scores[part] for part in reversed(parts)}, pd.concat(by_class), pd.concat(predictions))
