"""The files of an evaluated run."""

import pathlib

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
