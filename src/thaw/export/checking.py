"""The files of an export against the Keras network that they were made of."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from thaw.base.errors import InputError
from thaw.export.files import File
from thaw.export.runtimes import Predict
from thaw.export.sections import Export
from thaw.records import reading

BATCH = 32  # photos predicted at a time
MOST_DIFFERENCE = 1e-4  # of a probability, that a file whose numbers are not quantised may differ by


class Part(NamedTuple):
    """What the Keras network says of the photos of one part."""

    labels: np.ndarray  # (n,) int
    probabilities: np.ndarray  # (n, classes) float32


def predict_parts(predict: Predict, records: pathlib.Path | str) -> dict[str, Part]:
    """Return {part: Part} of validation and, where there is one, test, predicted by `predict`."""
    counts = reading.read_index(records)["counts"]
    found = {}
    for part in ("validation", "test"):
        if counts[part]:
            made = [predict(images.numpy()) for images, _ in reading.read_batches(records, part, BATCH)]
            found[part] = Part(reading.read_labels(records, part)[0], np.concatenate(made))
    return found


def compare(expected: Mapping[str, Part], found: Mapping[str, Part]) -> dict[str, dict[str, float]]:
    """Return {part: {photos, accuracy, keras_accuracy, same, difference}} of a file, to six digits.

    `same` is the share of photos with the same answer, `difference` the largest one of a probability.
    """
    scores = {}
    for part, (labels, probabilities) in expected.items():
        own = found[part].probabilities
        answers, expected_answers = own.argmax(axis=1), probabilities.argmax(axis=1)
        values = {
            "accuracy": (answers == labels).mean(),
            "keras_accuracy": (expected_answers == labels).mean(),
            "same": (answers == expected_answers).mean(),
            "difference": np.abs(own - probabilities).max(),
        }
        scores[part] = {"photos": len(labels), **{key: round(float(value), 6) for key, value in values.items()}}
    return scores


def check(run: str, file: File, scores: Mapping[str, Mapping[str, Any]], settings: Export) -> None:
    """Raise InputError where the `scores` of a file, as `compare` returns them, are not those that it must have."""
    place = f"params.yaml: export.{run}"
    for part, score in scores.items():
        if file.quantize == "none" and not score["difference"] <= MOST_DIFFERENCE:
            raise InputError(
                f"{place}: {file.name} must differ from the Keras network by at most {MOST_DIFFERENCE:g} in every "
                f"probability on {part} (got {score['difference']:g})"
            )
    score = scores["validation"]
    lost = 100 * (score["keras_accuracy"] - score["accuracy"])
    if not round(lost, 3) <= settings.tolerance:
        raise InputError(
            f"{place}.tolerance: {file.name} must lose at most {settings.tolerance:g} points of accuracy on validation "
            f"against the Keras network (got {lost:.2f})"
        )
