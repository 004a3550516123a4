"""Trained networks as files: weights, and the document beside them."""

import pathlib
from typing import cast

from thaw.base import paths
from thaw.base.files import read_json
from thaw.networks.classifiers import Network, rebuild
from thaw.networks.descriptions import RunDescription
from thaw.networks.hdf5 import load_weights


def load_network(run: str, folder: pathlib.Path | str = ".") -> tuple[Network, RunDescription]:
    """Return the trained network of `run` below `folder`, the one of dvc.yaml, and the document that describes it.

    Raises DamagedFile where one of the files is damaged, or they are not of one network.
    """
    folder = pathlib.Path(folder)
    description = cast(RunDescription, read_json(folder / paths.find_description(run)))
    network = rebuild(description)
    load_weights(network.model, folder / paths.find_weights(run))
    return network, description
