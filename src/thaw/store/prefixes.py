"""Frozen prefixes and the images that go through them."""

import functools
import hashlib
import math
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from thaw.base.engines import describe_engine
from thaw.base.quiet import keras, tf
from thaw.base.sections import Compute
from thaw.networks import classifiers, cutting
from thaw.networks.classifiers import Network
from thaw.networks.plan import Opening, plan_run
from thaw.records import reading, views

FILL_BATCH = 32


class Prefix:
    """The frozen part of `network` up to and with `operation` of its backbone, as the store knows it."""

    def __init__(self, network: Network, operation: keras.Operation, architecture: str, compute: Compute) -> None:
        self.network, self.operation = network, operation
        self.model = cutting.build_prefixes(network, [operation])  # pixels -> activations
        self.architecture, self.compute = architecture, compute
        self.cut = cutting.name_cut(network, operation)

    @functools.cached_property
    def description(self) -> dict[str, Any]:
        """Everything of the prefix that its values depend on, as a JSON document."""
        return {
            "architecture": self.architecture,
            "cut": self.cut,
            "shape": list(self.model.output_shape[1:]),
            "weights": classifiers.digest_weights(self.model),
            # What the prefix makes of noise tells apart what else could change its values: an edit of the preprocessing
            # or of how the network is built, another version of a library.
            "noise": _digest_noise(self.model),
            # The last bits of the values depend on these.
            "compute": self.compute.describe(),
            "batch": FILL_BATCH,
            "versions": [tf.__version__, keras.__version__, *describe_engine(self.compute.forward)],
        }

    @property
    def bytes_per_image(self) -> int:
        """How many bytes the activations of one image take."""
        return 4 * math.prod(self.model.output_shape[1:])


class Images(NamedTuple):
    """Which images go through a prefix."""

    folder: pathlib.Path | str  # of the records
    part: str
    view: np.ndarray | None = None  # (n, 4 or 7), see thaw.records.views

    def describe(self) -> dict[str, Any]:
        """Return everything that the images depend on, as a JSON document."""
        digest = reading.read_index(self.folder)["digest"]
        return {"part": self.part, "records": digest, "view": None if self.view is None else _digest_view(self.view)}

    def count_photos(self) -> int:
        """Return how many images there are."""
        return int(reading.read_index(self.folder)["counts"][self.part])


def list_prefixes(network: Network, architecture: str, openings: Iterable[Opening], compute: Compute) -> list[Prefix]:
    """Return a Prefix for each cut of `network` that the Openings of runs ask for and that is worth storing."""
    found: dict[str, Prefix] = {}
    for opening in openings:
        plan = plan_run(network, architecture, opening)
        if plan.stored and plan.cut_name not in found:
            found[plan.cut_name] = Prefix(network, plan.cut, architecture, compute)
    return list(found.values())


def _digest_noise(model: keras.Model) -> str:
    """Return the sha256 of the activations of one fixed image of noise, in hex."""
    image = np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:])).astype(np.float32)
    return hashlib.sha256(model(image, training=False).numpy().tobytes()).hexdigest()


def _digest_view(view: np.ndarray) -> str:
    """Return the sha256 of the view and of what `views.show` makes of noise, which gives away an edit of it."""
    noise = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    row = [0.1, 0.9, 0.7, 0.2, 0.8, 1.3, 0.6][: view.shape[1]]
    shown = views.show(noise, np.array([row], np.float32))
    return hashlib.sha256(view.tobytes() + shown.numpy().tobytes()).hexdigest()
