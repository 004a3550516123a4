"""Trained networks as files: weights, and the document beside them."""

import pathlib
from typing import cast

from thaw.base import paths
from thaw.base.files import read_json
from thaw.networks.classifiers import Network, rebuild
from thaw.networks.descriptions import RunDescription


def load_network(run: str, folder: pathlib.Path | str = ".") -> tuple[Network, RunDescription]:
    """Return the trained network of `run` below `folder`, the one of dvc.yaml, and the document that describes it."""
    folder = pathlib.Path(folder)
    description = cast(RunDescription, read_json(folder / paths.find_description(run)))
    network = rebuild(description)
    network.model.load_weights(folder / paths.find_weights(run))
    return network, description
