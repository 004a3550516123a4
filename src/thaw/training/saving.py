"""The files of a trained run."""

import pathlib

from thaw.base import paths
from thaw.base.files import publish, write_json, write_table
from thaw.training.runs import Trained


def save_training(trained: Trained, folder: pathlib.Path | str = ".") -> None:
    """Write what a training made below `folder`, the one of dvc.yaml; forget the states of the training after that."""
    folder, name = pathlib.Path(folder), trained.run
    with publish(folder / paths.find_weights(name)) as path:
        trained.network.save_weights(path)
    write_json(folder / paths.find_description(name), trained.description)
    write_table(folder / paths.find_history(name), trained.history)
    write_json(folder / paths.find_training(name), {name: trained.metrics})
    write_json(folder / paths.find_training_time(name), {name: trained.timing})
    for state in trained.states:
        state.discard()
