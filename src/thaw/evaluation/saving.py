"""The files of an evaluated run."""

import pathlib
from collections.abc import Mapping
from typing import Any

from thaw.base import paths
from thaw.base.files import write_json, write_table
from thaw.evaluation.evaluating import Evaluation
from thaw.networks.descriptions import RunDescription


def save_evaluation(found: Evaluation, description: RunDescription, folder: pathlib.Path | str = ".") -> None:
    """Write the scores, tables and sizes of the run that `description` is of, below `folder`, the one of dvc.yaml."""
    folder, name = pathlib.Path(folder), description["run"]
    write_table(folder / paths.find_predictions(name), found.predictions)
    write_table(folder / paths.find_class_scores(name), found.classes)
    size = {
        "trainable_parameters": description["trainable_parameters"],
        "total_parameters": description["total_parameters"],
        "weights_bytes": (folder / paths.find_weights(name)).stat().st_size,
    }
    write_json(folder / paths.find_evaluation(name), {name: {**found.scores, **size}})
    write_json(folder / paths.find_headline(name), {name: summarize_scores(found.scores)})


def summarize_scores(scores: Mapping[str, Any]) -> dict[str, float]:
    """Return the headline of a run's `scores`, by part: its accuracies, and macro F1 on the part that counts.

    That is test, or validation where the split has no test part. All are in [0, 1].
    """
    headline = {part: scores[part]["accuracy"] for part in ("validation", "test") if part in scores}
    return {**headline, "f1": scores[list(headline)[-1]]["f1"]}
