"""Evaluating one trained run on every part: scores and predictions."""

import pathlib

import numpy as np
import pandas as pd
import scipy.special

from thaw import activations, latency, networks, records, scoring
from thaw.activations import Images
from thaw.names import PARTS
from thaw.publishing import write_json, write_table

BATCH = 32


def evaluate(name, params, folder):
    """Score run `name` on the records at `folder`, once, and write its metrics, tables and timing.

    Predictions are of validation and test.
    """
    network, description = networks.load(name)
    index = records.read_index(folder)
    names = [part for part in PARTS if index["counts"][part]]
    images = [Images(folder, part) for part in names]
    cut = network.backbone and networks.find_cut(network, description)
    tail, sources = activations.open_run(network, description, cut, images, params, trained=True)
    classes, scores, by_class, predictions = index["classes"], {}, [], []
    for part, source in zip(names, sources, strict=True):
        labels, ids = records.read_labels(folder, part)
        logits = tail.predict(source.read_batches(BATCH), verbose=0)
        scores[part] = {key: round(value, 6) for key, value in scoring.score(labels, logits).items()}
        by_class.append(scoring.score_classes(labels, logits, classes).round(6).assign(part=part))
        if part != "train":
            predictions.append(_tabulate(part, ids, labels, logits, classes))
    predictions = pd.concat(predictions)
    write_table(f"plots/predictions/{name}.csv", predictions)
    write_table(f"plots/classes/{name}.csv", pd.concat(by_class))
    write_json(
        f"metrics/evaluate/{name}.json",
        {
            name: {
                **{part: scores[part] for part in reversed(names)},
                "trainable_parameters": description["trainable_parameters"],
                "total_parameters": description["total_parameters"],
                "weights_bytes": pathlib.Path(f"models/{name}.weights.h5").stat().st_size,
            }
        },
    )
    write_json(
        f"metrics/timing/evaluate/{name}.json", {name: {"ms_per_image": latency.measure_latency(network.model)}}
    )


def _tabulate(part, ids, labels, logits, classes):
    """Return a row per photo: id, part, actual, predicted, and the probability of each class."""
    probabilities = scipy.special.softmax(logits.astype(np.float64), axis=1).round(5)
    names = np.array(classes)
    table = {"id": ids, "part": part, "actual": names[labels], "predicted": names[logits.argmax(axis=1)]}
    return pd.DataFrame({**table, **{f"p_{label}": probabilities[:, i] for i, label in enumerate(classes)}})
