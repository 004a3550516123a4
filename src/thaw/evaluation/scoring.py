"""Scores and their intervals, from labels and logits. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats
import sklearn.metrics


def score(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return {photos, accuracy, loss, precision, recall, f1} of one part.

    `labels` (n,) int, `logits` (n, classes) float. Loss is the mean cross-entropy in nats; precision, recall and F1
    are macro means over the classes, zero where undefined; all but the loss lie in [0, 1].
    """
    classes = range(logits.shape[1])
    predicted = logits.argmax(axis=1)
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=classes, average="macro", zero_division=0
    )
    log_probabilities = scipy.special.log_softmax(logits.astype(np.float64), axis=1)
    return {
        "photos": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }


def score_classes(labels: np.ndarray, logits: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Return a DataFrame with a row per class: class, precision, recall, f1 in [0, 1], photos."""
    precision, recall, f1, photos = sklearn.metrics.precision_recall_fscore_support(
        labels, logits.argmax(axis=1), labels=range(len(classes)), zero_division=0
    )
    return pd.DataFrame({"class": classes, "precision": precision, "recall": recall, "f1": f1, "photos": photos})


def tabulate_predictions(
    ids: np.ndarray, also: Mapping[str, Any], labels: np.ndarray, logits: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """Return a row per photo: id, the columns `also`, actual, predicted, and p_CLASS, the probability of each class.

    `ids` (n,) str, `labels` (n,) int and `logits` (n, classes) float are those of the photos; probabilities have five
    digits.
    """
    probabilities, names = scipy.special.softmax(logits.astype(np.float64), axis=1).round(5), np.array(classes)
    table = {"id": ids, **also, "actual": names[labels], "predicted": names[logits.argmax(axis=1)]}
    return pd.DataFrame({**table, **{f"p_{label}": probabilities[:, i] for i, label in enumerate(classes)}})
