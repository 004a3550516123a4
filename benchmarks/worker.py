"""One side of one row, in a process of its own: does a turn whenever its standard input says so.

    python benchmarks/worker.py naive|thaw NAME_OF_A_ROW

Replies are JSON lines: after the preparation, and after each turn. The word `again` empties the store and has the turn
that filled it done once more.
"""

import json
import os
import pathlib
import shutil
import sys
import time

import keras
from rows import BATCH, ROWS, choose_slice, find_limit

from thaw import activations, costs, networks, records, unfreezing
from thaw.activations import Images
from thaw.compute import configure
from thaw.params import load
from thaw.resuming import Unfinished
from thaw.training import Phase, Training, fit, measure_peak_memory

RECORDS = "data/records"
OTHER_ORDERS = 50_000  # added to the seed of an order: that of no epoch here
ADAM = {"name": "adam", "learning_rate": 1e-4}


def main():
    side, row = sys.argv[1], next(row for row in ROWS if row.name == sys.argv[2])
    replies = os.fdopen(os.dup(1), "w")  # what Keras prints goes elsewhere
    os.dup2(2, 1)

    def reply(**document):
        document["peak_mib"] = round(measure_peak_memory() / 2**20)
        print(json.dumps(document), file=replies, flush=True)
        word = sys.stdin.readline().strip()
        if not word:
            sys.exit()
        return word

    params = load()
    configure(params.compute, 1)
    network = networks.build_classifier(
        row.architecture, 1, params.image.size, networks.Head(dense=[], dropout=0.0, batch_norm=False), 5
    )
    network.backbone.load_weights(f"models/pretrained/{row.backbone}.weights.h5")
    opened = unfreezing.find_open_layers(network.backbone, row.architecture, row.opens)
    unfreezing.open_up(network.backbone, opened, row.batch_norm)
    cut = unfreezing.find_cut(network.backbone, opened)
    {"naive": train_naively, "thaw": train_with_thaw}[side](row, network, cut, params, reply)


def train_naively(row, network, cut, params, reply):
    """Keras `fit` on the whole network; a turn is a slice of an epoch with its validation."""
    model = networks.take_apart(network, network.backbone.operations[0], row.batch_norm).tail
    counts = records.read_index(RECORDS)["counts"]
    flops = costs.count_run_flops(network, cut)
    steps = choose_slice(flops.prefix + flops.training_step, counts["train"])
    scored = max(1, round(steps * counts["validation"] / counts["train"]))
    model.compile(
        optimizer=keras.optimizers.Adam(ADAM["learning_rate"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = {}

    def start(*_):
        clock.update(wall=time.perf_counter(), cpu=time.process_time())

    def stop(*_):
        wall, cpu = time.perf_counter() - clock["wall"], time.process_time() - clock["cpu"]
        reply(wall=wall, cpu=cpu, train=steps * BATCH, validation=scored * BATCH)

    reply()
    model.fit(
        records.read_batches(RECORDS, "train", BATCH, order=1).repeat(),
        validation_data=records.read_batches(RECORDS, "validation", BATCH),
        steps_per_epoch=steps,
        validation_steps=scored,
        epochs=1000,
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=start, on_epoch_end=stop)],
    )


class Turns(Unfinished):
    """Keeps the state as a real run does, and waits for the next turn after each epoch."""

    def __init__(self, folder, reply, source, photos):
        super().__init__(folder, ["benchmark", sys.argv])
        self.reply, self.source, self.photos = reply, source, photos
        self.cpu = time.process_time()

    def keep(self, variables, rows):
        start, rehearsal = time.perf_counter(), self.source.rehearsal
        super().keep(variables, rows)
        kept = time.perf_counter() - start
        train, validation = self.photos
        # The rehearsal of the first batch is no part of an epoch.
        wall, cpu = rows[-1]["seconds"] - rehearsal["wall"], time.process_time() - self.cpu - rehearsal["cpu"]
        self.reply(wall=wall, cpu=cpu, first=self.source.first, kept=kept, train=train, validation=validation)
        self.cpu = time.process_time()


def train_with_thaw(row, network, cut, params, reply):
    """thaw's own training; the first turn is the pass that fills the store, each other one a slice of an epoch."""
    reply()
    description = {
        "batch_norm": row.batch_norm,
        "stored": activations.is_worth_storing(network, cut, row.epochs),
        "backbone": {"name": "of the benchmark", "architecture": row.architecture},
    }
    images = [Images(RECORDS, "train"), Images(RECORDS, "validation")]
    alone = params._replace(frozen={}, finetune={})  # fill for no other run
    flops, counts = costs.count_run_flops(network, cut), records.read_index(RECORDS)["counts"]
    word = "again"
    while word == "again":
        start, cpu = time.perf_counter(), time.process_time()
        tail, sources = activations.open_run(network, description, cut, images, alone)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        stored = not isinstance(sources[0], activations.Pixels)
        limit = find_limit(row, flops, (counts["train"], counts["validation"])) if stored else 1.0
        word = reply(wall=wall, cpu=cpu, stored=stored, limit=limit)
        if word == "again" and not row.filled:
            shutil.rmtree(os.environ["THAW_STORE"])
    steps = choose_slice(flops.training_step + (0 if stored else flops.prefix), counts["train"])
    photos = [min(steps * BATCH, counts["train"])]
    photos.append(max(BATCH, round(photos[0] * counts["validation"] / counts["train"])))
    sources = [Slice(source, count) for source, count in zip(sources, photos, strict=True)]
    phase = Phase.model_validate({"optimizer": ADAM, "epochs": 1000})
    turns = Turns(pathlib.Path(os.environ["THAW_STORE"]) / "unfinished", reply, sources[0], photos)
    fit(tail, sources[:1], sources[1], phase, Training(seed=1, batch_size=BATCH), turns)


class Slice:
    """The first `count` photos of each epoch's order of a source.

    Of less than an epoch, `first` has the seconds of its first batch on both clocks, rehearsed before the epoch in
    another order: nothing is read ahead of it, or it fills what shuffles, once for each epoch however long it is.
    `rehearsal` has the seconds of all that the epoch is not.
    """

    def __init__(self, source, count):
        self.source, self.count = source, count
        self.first = self.rehearsal = {"wall": 0, "cpu": 0}

    def read_batches(self, batch_size, order=None):
        batches = self.source.read_batches(batch_size, order)
        if self.count == len(self.source.labels):
            return batches
        if order is not None:
            wall, cpu = time.perf_counter(), time.process_time()
            rehearsed = iter(self.source.read_batches(batch_size, order + OTHER_ORDERS))
            next(rehearsed)
            self.first = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            del rehearsed  # waits for what is read ahead
            self.rehearsal = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        return batches.take(-(-self.count // batch_size))


if __name__ == "__main__":
    main()
