"""Trains one run twice at full size, from the store and from the records, and compares what comes out.

    ./run python benchmarks/equality.py

MobileNet with its last 10 layers open and a new head, on the records of the real job; needs what compare.py needs.
Writes equality.json: validation accuracy after each epoch both ways, and how far the weights are apart.
"""

import json
import pathlib

import numpy as np
from rows import BATCH, SEED, build_row, find_row, make_phase

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import InputError, run_program
from thaw.base.files import write_json
from thaw.base.quiet import keras
from thaw.config.loading import load
from thaw.store.opening import Asked, open_run
from thaw.store.prefixes import Images
from thaw.store.sources import Source
from thaw.training.loop import fit
from thaw.training.resuming import Unfinished
from thaw.training.sections import Training

EPOCHS = 5
ROW = find_row("MobileNet, last 10 layers")


def main() -> None:
    """Train both ways and write what comes out."""
    params = load()
    configure(params.compute, SEED)
    images = [Images(paths.RECORDS, "train"), Images(paths.RECORDS, "validation")]
    settings = Training(seed=SEED, batch_size=BATCH)
    accuracies: dict[str, list[float]] = {}
    weights: dict[str, list[np.ndarray]] = {}
    for way, stored in (("store", True), ("records", False)):
        keras.utils.set_random_seed(SEED)
        network, plan = build_row(ROW, params.image.size)
        before = [weight.numpy() for weight in network.model.trainable_weights]
        tail, (train, validation) = open_run(network, plan._replace(stored=stored), images, Asked(params.compute))
        if isinstance(train, Source) != stored:
            raise InputError("THAW_STORE: must have room for the activations of the run; it must not be none")
        history = fit(tail, [train], validation, make_phase(EPOCHS), settings, Unfinished(None, None))
        accuracies[way] = history.validation_accuracy.tolist()
        weights[way] = [weight.numpy() for weight in network.model.trainable_weights]
    moved = _find_distance(weights["store"], before)
    apart = _find_distance(weights["store"], weights["records"])
    result = {
        "run": ROW.name,
        "epochs": EPOCHS,
        "validation_accuracy": accuracies,
        "largest_distance_trained": float(np.round(moved, 8)),
        "largest_difference": float(np.round(apart, 8)),
    }
    write_json(pathlib.Path(__file__).with_name("equality.json"), result)
    print(json.dumps(result, indent=2))


def _find_distance(weights: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Return the largest difference between two values of weights that stand at the same place."""
    return max(float(abs(weight - other).max()) for weight, other in zip(weights, others, strict=True))


if __name__ == "__main__":
    run_program(main)
