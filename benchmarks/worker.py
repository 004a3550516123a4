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
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rows import BATCH, RATE, SEED, Row, build_row, choose_slice, find_limit, find_row, make_phase

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.quiet import keras, tf
from thaw.base.sections import Compute
from thaw.config.loading import load
from thaw.networks import costs, cutting
from thaw.networks.classifiers import Network
from thaw.networks.plan import Plan
from thaw.records import reading
from thaw.store.opening import Asked, open_run
from thaw.store.prefixes import Images
from thaw.store.sources import Batches, Source
from thaw.training.loop import fit
from thaw.training.resuming import Unfinished
from thaw.training.runs import measure_peak_memory
from thaw.training.sections import Training

OTHER_ORDERS = 50_000  # added to the seed of an order: that of no epoch here

Reply = Callable[..., str]  # writes what it is given as a JSON object, waits, and returns the word that comes


def main() -> None:
    """Be the side and the row that the command line names."""
    side, row = sys.argv[1], find_row(sys.argv[2])
    replies = os.fdopen(os.dup(1), "w")  # what Keras prints goes elsewhere
    os.dup2(2, 1)

    def reply(**document: Any) -> str:
        document["peak_mib"] = round(measure_peak_memory() / 2**20)
        print(json.dumps(document), file=replies, flush=True)
        word = sys.stdin.readline().strip()
        if not word:
            sys.exit()
        return word

    params = load()
    configure(params.compute, SEED)
    network, plan = build_row(row, params.image.size)
    if side == "naive":
        train_naively(network, plan, reply)
    else:
        train_with_thaw(row, network, plan, params.compute, reply)


def train_naively(network: Network, plan: Plan, reply: Reply) -> None:
    """Train the whole network with Keras `fit`; a turn is a slice of an epoch with its validation."""
    model = cutting.build_tail(network, network.backbone.operations[0], plan.batch_norm)
    counts = reading.read_index(paths.RECORDS)["counts"]
    flops = costs.count_run_flops(network, plan.cut)
    steps = choose_slice(flops.prefix + flops.training_step, counts["train"])
    scored = max(1, round(steps * counts["validation"] / counts["train"]))
    model.compile(
        optimizer=keras.optimizers.Adam(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock: dict[str, float] = {}

    def start(*_: object) -> None:
        clock.update(wall=time.perf_counter(), cpu=time.process_time())

    def stop(*_: object) -> None:
        wall, cpu = time.perf_counter() - clock["wall"], time.process_time() - clock["cpu"]
        reply(wall=wall, cpu=cpu, train=steps * BATCH, validation=scored * BATCH)

    reply()
    model.fit(
        reading.read_batches(paths.RECORDS, "train", BATCH, order=1).repeat(),
        validation_data=reading.read_batches(paths.RECORDS, "validation", BATCH),
        steps_per_epoch=steps,
        validation_steps=scored,
        epochs=1000,
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=start, on_epoch_end=stop)],
    )


class Slice:
    """The first `count` photos of each epoch's order of a source.

    Of less than an epoch, `first` has the seconds of its first batch on both clocks, rehearsed before the epoch in
    another order: nothing is read ahead of it, or it fills what shuffles, once for each epoch however long it is.
    `rehearsal` has the seconds of all that the epoch is not.
    """

    def __init__(self, source: Batches, count: int) -> None:
        self.source, self.count = source, count
        self.first: dict[str, float] = {"wall": 0, "cpu": 0}
        self.rehearsal = self.first

    @property
    def labels(self) -> np.ndarray:
        """The labels of the whole source, (n,) int64."""
        return self.source.labels

    def read_batches(self, batch_size: int, order: int | None = None) -> tf.data.Dataset:
        """Return the batches (inputs, labels) of the slice; `order` seeds the shuffling of the whole source."""
        batches = self.source.read_batches(batch_size, order)
        if self.count == len(self.labels):
            return batches
        if order is not None:
            wall, cpu = time.perf_counter(), time.process_time()
            rehearsed = iter(self.source.read_batches(batch_size, order + OTHER_ORDERS))
            next(rehearsed)
            self.first = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            del rehearsed  # waits for what is read ahead
            self.rehearsal = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        return batches.take(-(-self.count // batch_size))


class Turns(Unfinished):
    """Keeps the state as a real run does, and waits for the next turn after each epoch."""

    def __init__(self, folder: pathlib.Path, reply: Reply, train: Slice, validation: Slice) -> None:
        super().__init__(folder, ["benchmark", sys.argv])
        self.reply, self.train, self.validation = reply, train, validation
        self.cpu = time.process_time()

    def keep(self, variables: Sequence[keras.Variable], rows: list[dict[str, Any]]) -> None:
        """Keep the state, reply with what the epoch took, and wait."""
        start, rehearsal = time.perf_counter(), self.train.rehearsal
        super().keep(variables, rows)
        kept = time.perf_counter() - start
        # The rehearsal of the first batch is no part of an epoch.
        wall, cpu = rows[-1]["seconds"] - rehearsal["wall"], time.process_time() - self.cpu - rehearsal["cpu"]
        photos = {"train": self.train.count, "validation": self.validation.count}
        self.reply(wall=wall, cpu=cpu, first=self.train.first, kept=kept, **photos)
        self.cpu = time.process_time()


def train_with_thaw(row: Row, network: Network, plan: Plan, compute: Compute, reply: Reply) -> None:
    """Train as thaw does; the first turn is the pass that fills the store, each other one a slice of an epoch."""
    reply()
    images = [Images(paths.RECORDS, "train"), Images(paths.RECORDS, "validation")]
    flops, counts = costs.count_run_flops(network, plan.cut), reading.read_index(paths.RECORDS)["counts"]
    store = pathlib.Path(os.environ["THAW_STORE"])
    while True:
        start, cpu_start = time.perf_counter(), time.process_time()
        tail, opened = open_run(network, plan, images, Asked(compute))
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
        stored = isinstance(opened[0], Source)
        limit = find_limit(row, flops, (counts["train"], counts["validation"])) if stored else 1.0
        if reply(wall=wall, cpu=cpu, stored=stored, limit=limit) != "again":
            break
        if not row.filled:
            shutil.rmtree(store)
    steps = choose_slice(flops.training_step + (0 if stored else flops.prefix), counts["train"])
    of_train = min(steps * BATCH, counts["train"])
    of_validation = max(BATCH, round(of_train * counts["validation"] / counts["train"]))
    train, validation = Slice(opened[0], of_train), Slice(opened[1], of_validation)
    turns = Turns(store / "unfinished", reply, train, validation)
    fit(tail, [train], validation, make_phase(1000), Training(seed=SEED, batch_size=BATCH), turns)


if __name__ == "__main__":
    main()
