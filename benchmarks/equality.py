"""Trains one run twice at full size, from the store and from the records, and compares what comes out.

    ./run python benchmarks/equality.py

MobileNet with its last 10 layers open and a new head, on the records of the real job; needs what compare.py needs.
Writes equality.json: validation accuracy after each epoch both ways, and how far the weights are apart.
"""

import json
import pathlib

import keras
import numpy as np
from rows import BATCH, ROWS

from thaw import activations, networks, unfreezing
from thaw.activations import Images
from thaw.compute import configure
from thaw.params import load, run
from thaw.publishing import write_json
from thaw.resuming import Unfinished
from thaw.training import Phase, Training, fit

RECORDS = "data/records"
EPOCHS = 5
ROW = next(row for row in ROWS if row.name == "MobileNet, last 10 layers")


def main():
    params = load()
    configure(params.compute, 1)
    images = [Images(RECORDS, "train"), Images(RECORDS, "validation")]
    phase = Phase.model_validate({"optimizer": {"name": "adam", "learning_rate": 1e-4}, "epochs": EPOCHS})
    accuracies, weights = {}, {}
    for way, stored in (("store", True), ("records", False)):
        keras.utils.set_random_seed(1)
        head = networks.Head(dense=[], dropout=0.0, batch_norm=False)
        network = networks.build_classifier(ROW.architecture, 1, params.image.size, head, 5)
        network.backbone.load_weights(f"models/pretrained/{ROW.backbone}.weights.h5")
        opened = unfreezing.find_open_layers(network.backbone, ROW.architecture, ROW.opens)
        unfreezing.open_up(network.backbone, opened, "inference")
        before = [weight.numpy() for weight in network.model.trainable_weights]
        backbone = {"name": ROW.backbone, "architecture": ROW.architecture}
        description = {"batch_norm": "inference", "stored": stored, "backbone": backbone}
        cut = unfreezing.find_cut(network.backbone, opened)
        tail, (train, validation) = activations.open_run(network, description, cut, images, params)
        assert isinstance(train, activations.Source) == stored, "the store has no room"
        settings = Training(seed=1, batch_size=BATCH)
        history = fit(tail, [train], validation, phase, settings, Unfinished(None, None))
        accuracies[way] = history.validation_accuracy.tolist()
        weights[way] = [weight.numpy() for weight in network.model.trainable_weights]
    moved = max(float(abs(after - old).max()) for after, old in zip(weights["store"], before, strict=True))
    apart = max(float(abs(a - b).max()) for a, b in zip(weights["store"], weights["records"], strict=True))
    result = {
        "run": ROW.name,
        "epochs": EPOCHS,
        "validation_accuracy": accuracies,
        "largest_distance_trained": float(np.round(moved, 8)),
        "largest_difference": float(np.round(apart, 8)),
    }
    write_json(pathlib.Path(__file__).with_name("equality.json"), result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    run(main)
