"""Training: what a run is, its epochs, and what it leaves behind."""

import pathlib
import resource
import sys
import time
from typing import Annotated, Literal

import keras
import pandas as pd
import pydantic

from thaw import activations, costs, networks, records, unfreezing, views
from thaw.activations import Images
from thaw.names import BASELINE, PRETRAINED
from thaw.params import Section, Seed
from thaw.publishing import publish, read_json, write_json, write_table
from thaw.resuming import Unfinished
from thaw.unfreezing import BatchNorm, Unfreeze
from thaw.views import Augmentation
from thaw.waiting import time_waits

Rate = Annotated[float, pydantic.Field(gt=0, le=10)]


class Training(Section):
    """Section `training`: what all runs share."""

    seed: Seed  # of the head's first weights, dropout and the order of the photos
    batch_size: Annotated[int, pydantic.Field(ge=1, le=4096)]


class Sgd(Section):
    name: Literal["sgd"]
    learning_rate: Rate
    momentum: Annotated[float, pydantic.Field(ge=0, lt=1)]

    def build(self):
        return keras.optimizers.SGD(self.learning_rate, self.momentum)


class Adam(Section):
    name: Literal["adam"]
    learning_rate: Rate

    def build(self):
        return keras.optimizers.Adam(self.learning_rate)


class Phase(Section):
    """One stretch of training with one optimizer."""

    optimizer: Annotated[Sgd | Adam, pydantic.Field(discriminator="name")]
    epochs: Annotated[int, pydantic.Field(ge=1, le=10_000)]
    augmentation: Augmentation | None = None

    @property
    def views(self):
        """How many views of each training photo there are."""
        return self.augmentation.views if self.augmentation else 1


class BaselineRun(Phase):
    """Section `baseline_cnn`: a small CNN from scratch."""

    network: networks.BaselineNetwork


class FrozenRun(Phase):
    """An entry of section `frozen`: a new head on a frozen backbone."""

    backbone: str  # an entry of `backbones`
    head: networks.Head


class FinetuneRun(Phase):
    """An entry of section `finetune`: part of a backbone and the head, trained on."""

    start: str = pydantic.Field(alias="from")  # an entry of `frozen`, or pretrained/BACKBONE for a new head
    unfreeze: Unfreeze
    batch_norm: BatchNorm = "inference"
    head: networks.Head | None = None  # with pretrained/BACKBONE


class Scores(keras.metrics.Metric):
    """Accuracy and macro precision, recall and F1 over the batches seen, as scikit-learn defines them (zero where
    undefined).

    Labels (b,) int, logits (b, classes) float32; the result is a mapping of four numbers in [0, 1].
    """

    def __init__(self, classes):
        super().__init__(name="scores")
        self.classes = classes
        self.confusion = self.add_variable((classes, classes), initializer="zeros", name="confusion")

    def update_state(self, labels, logits, sample_weight=None):
        true = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), self.classes)
        predicted = keras.ops.one_hot(keras.ops.argmax(logits, axis=-1), self.classes)
        self.confusion.assign_add(keras.ops.matmul(keras.ops.transpose(true), predicted))

    def result(self):
        hits = keras.ops.diagonal(self.confusion)
        precision = keras.ops.divide_no_nan(hits, keras.ops.sum(self.confusion, axis=0))
        recall = keras.ops.divide_no_nan(hits, keras.ops.sum(self.confusion, axis=1))
        f1 = keras.ops.divide_no_nan(2 * precision * recall, precision + recall)
        return {
            "accuracy": keras.ops.divide_no_nan(keras.ops.sum(hits), keras.ops.sum(self.confusion)),
            **{name: keras.ops.mean(score) for name, score in (("precision", precision), ("recall", recall), ("f1", f1))},
        }

    def reset_state(self):
        self.confusion.assign(keras.ops.zeros_like(self.confusion))


def fit(model, train, validation, phase, training, unfinished):
    """Train `model` (inputs -> logits) for the epochs of `phase`; return a DataFrame with a row per epoch.

    `train` is a list of sources of batches, the views of the training images, used in rotation; `validation` is one
    source. Columns: `epoch` from 1; loss, accuracy and macro precision, recall and F1 as `train_*` (running, over the
    epoch as it trains) and `validation_*` (after it); `seconds`, the wall time of the epoch, validation included; and
    `waiting`, the seconds of the last epoch in which training or validation waited for data, and 0 for the others. The
    weights are those after the last epoch: no epoch is chosen. `unfinished` (resuming.Unfinished) keeps the state after
    each epoch, and a run goes on from what it kept.
    """
    classes = model.output_shape[-1]
    # Compiled is a model around the same layers: what is compiled itself is saved with its optimizer's state.
    model = keras.Model(model.inputs, model.outputs)
    model.compile(
        optimizer=phase.optimizer.build(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[Scores(classes)],
    )
    model.optimizer.build(model.trainable_variables)
    state = [*model.variables, *model.optimizer.variables]  # the seeds of dropout included
    one_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(model, "stop_training", True))
    rows = unfinished.resume(state)
    for epoch in range(len(rows), phase.epochs):
        start, waits = time.perf_counter(), []
        # The order of an epoch follows from its number alone.
        order = training.seed * 100_003 + epoch
        batches = train[epoch % len(train)].read_batches(training.batch_size, order)
        scored = validation.read_batches(training.batch_size)
        if epoch + 1 == phase.epochs:  # reading the clock takes a millisecond for each step: much, where a head trains
            batches, scored = time_waits(batches, waits), time_waits(scored, waits)
        log = model.fit(
            batches,
            validation_data=scored,
            initial_epoch=epoch,
            epochs=phase.epochs,
            callbacks=[one_epoch],
            shuffle=False,  # the batches come shuffled
            verbose=1 if sys.stdout.isatty() else 2,
        ).history
        names = {key: key.replace("val_", "validation_") if key.startswith("val_") else f"train_{key}" for key in log}
        scores = {names[key]: round(values[-1], 6) for key, values in log.items()}
        rows.append(
            {"epoch": epoch + 1, **scores, "seconds": time.perf_counter() - start, "waiting": sum(waits)}
        )
        unfinished.keep(state, rows)
    return pd.DataFrame(rows)


def train_baseline(run, params, folder):
    """Train the baseline CNN on the records at `folder`; write weights, description, history and timing."""
    index = records.read_index(folder)
    network = networks.build_baseline(run.network, index["size"], len(index["classes"]))
    description = {
        **_describe(BASELINE, index, network),
        "backbone": None,
        "network": run.network.model_dump(),
    }
    _train(BASELINE, network, None, description, run, params, folder)


def train_frozen(name, run, params, folder):
    """Train the new head of frozen run `name` on the pooled features of its pretrained backbone."""
    _train_with_backbone(name, run, PRETRAINED + run.backbone, None, "inference", params, folder)


def finetune(name, run, params, folder):
    """Train what fine-tuned run `name` opens, and the head, on from where its run `from` ended."""
    _train_with_backbone(name, run, run.start, run.unfreeze, run.batch_norm, params, folder)


def _train_with_backbone(name, run, start, unfreeze, batch_norm, params, folder):
    index = records.read_index(folder)
    before = read_json(f"models/{start}.json")
    head = before.get("head") or run.head.model_dump()
    backbone = before["backbone"]
    network = networks.build_described(backbone, index["size"], head, len(index["classes"]))
    # A pretrained file holds a backbone, a trained one the whole network.
    (network.model if "head" in before else network.backbone).load_weights(f"models/{start}.weights.h5")
    opened = unfreezing.find_open_layers(network.backbone, backbone["architecture"], unfreeze)
    unfreezing.open_up(network.backbone, opened, batch_norm)
    cut = unfreezing.find_cut(network.backbone, opened)
    description = {
        **_describe(name, index, network),
        "backbone": backbone,
        "head": head,
        "from": start,
        "unfreeze": unfreeze and unfreeze.model_dump(exclude_unset=True),
        "batch_norm": batch_norm,
        "cut": networks.name_cut(network, cut),
        "stored": activations.is_worth_storing(network, cut, run.epochs / run.views),
    }
    _train(name, network, cut, description, run, params, folder)


def _describe(name, index, network):
    return {
        "run": name,
        "size": index["size"],
        "classes": index["classes"],
        "trainable_parameters": networks.count_parameters(network.model.trainable_weights),
        "total_parameters": network.model.count_params(),
    }


def _train(name, network, cut, description, run, params, folder):
    start = time.perf_counter()
    photos = records.read_index(folder)["counts"]["train"]
    images = [Images(folder, "train", views.draw_boxes(run.augmentation, view, photos)) for view in range(run.views)]
    images.append(Images(folder, "validation"))
    tail, sources = activations.open_run(network, description, cut, images, params)
    trained, counted = ({id(w) for w in model.trainable_weights} for model in (tail, network.model))
    if trained != counted:
        raise RuntimeError(f"{name}: what is left behind the cut does not hold all that is to be trained, and no more")
    filled = time.perf_counter()
    unfinished = Unfinished(
        activations.find_unfinished(),
        [
            description,
            run.model_dump(mode="json", by_alias=True),
            params.training.model_dump(),
            params.compute.model_dump(),
            records.read_index(folder)["digest"],
            networks.digest_weights(network.model),
            type(sources[0]).__name__,
        ],
    )
    history = fit(tail, sources[:-1], sources[-1], run, params.training, unfinished)
    seconds, waiting = history.pop("seconds"), history.pop("waiting")
    with publish(f"models/{name}.weights.h5") as path:
        network.save(path)
    write_json(f"models/{name}.json", description)
    write_table(f"plots/history/{name}.csv", history)
    flops = costs.count_run_flops(network, cut)._asdict()
    document = {"epochs": run.epochs, "cut": description.get("cut", "pixels"), "flops": flops}
    write_json(f"metrics/train/{name}.json", {name: document})
    # Times stand apart from results: they differ from run to run, and no stage depends on them.
    write_json(
        f"metrics/timing/train/{name}.json",
        {
            name: {
                "seconds": {
                    "prefix": round(filled - start, 2),
                    "per_epoch": round(seconds.mean(), 3),
                    "training": round(seconds.sum(), 2),
                },
                "waiting_share": round(waiting.iloc[-1] / seconds.iloc[-1], 4),
                "batches_from": "records" if isinstance(sources[0], activations.Pixels) else "store",
                "peak_memory_mib": round(measure_peak_memory() / 2**20),
            }
        },
    )
    unfinished.discard()


def measure_peak_memory():
    """Return the peak resident memory of this process in bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():  # of this program alone: what getrusage tells begins with that of the process that started it
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
