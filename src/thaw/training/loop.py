"""The loop over epochs."""

import functools
import math
import sys
import time
from collections.abc import Sequence

import pandas as pd

from thaw.base.progress import log_output
from thaw.base.quiet import keras
from thaw.store.sources import Batches
from thaw.training.recipes import (
    About,
    Averaging,
    build_loss,
    build_optimizer,
    find_best_epoch,
    has_stopped,
    schedule_rate,
)
from thaw.training.resuming import Unfinished
from thaw.training.scores import Scores
from thaw.training.sections import Phase, Training
from thaw.training.waiting import time_waits


def fit(
    model: keras.Model,
    train: Sequence[Batches],
    validation: Batches,
    phase: Phase,
    training: Training,
    unfinished: Unfinished,
    about: About = About(),  # noqa: B008
    until: int | None = None,
) -> pd.DataFrame:
    """Train `model` (inputs -> logits) for the epochs of `phase`, or `until` so many of them; return a row per epoch.

    `train` is a list of sources of batches, the views of the training images, used in rotation; `validation` is one
    source. Columns: `epoch` from 1; loss, accuracy and macro precision, recall and F1 as `train_*` (running, over the
    epoch as it trains) and `validation_*` (after it); `seconds`, the wall time of the epoch, validation included; and
    `waiting`, the seconds of the last epoch in which training or validation waited for data, and 0 for the others. The
    weights are those after the last epoch: no epoch is chosen, unless `phase` has early stopping. `unfinished` keeps
    the state after each epoch, and a run goes on from what it kept. `about` is what the recipe of `phase` needs.
    A training `until` an epoch is one that another call goes on from; the weights that it leaves are of no use.
    """
    classes = model.output_shape[-1]
    steps = phase.epochs * math.ceil(len(train[0].labels) / training.batch_size)
    # Compiled is a model around the same layers: what is compiled itself is saved with its optimizer's state.
    model = keras.Model(model.inputs, model.outputs)
    model.compile(
        optimizer=build_optimizer(phase, functools.partial(schedule_rate, phase, steps), about),
        loss=build_loss(phase, classes),
        metrics=[Scores(classes)],
    )
    model.optimizer.build(model.trainable_variables)
    stopping = phase.early_stopping
    best = [keras.Variable(weight) for weight in model.weights] if stopping else []
    state = [*model.variables, *model.optimizer.variables, *best]  # the seeds of dropout included
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(model, "stop_training", True))]
    averaging = Averaging() if phase.average is not None else None
    if averaging:
        callbacks.append(averaging)
    rows = unfinished.resume(state)
    for epoch in range(len(rows), phase.epochs if until is None else until):
        if has_stopped(rows, stopping):
            break
        start = time.perf_counter()
        waits: list[float] = []
        # The order of an epoch follows from its number alone.
        order = training.seed * 100_003 + epoch
        batches = train[epoch % len(train)].read_batches(training.batch_size, order)
        scored = validation.read_batches(training.batch_size)
        # Reading the clock takes a millisecond for each step: much, where a head trains.
        if epoch + 1 == phase.epochs or stopping:
            batches, scored = time_waits(batches, waits), time_waits(scored, waits)
        with log_output():
            log = model.fit(
                batches,
                validation_data=scored,
                initial_epoch=epoch,
                epochs=phase.epochs,
                callbacks=callbacks,
                class_weight=about.class_weight,
                shuffle=False,  # the batches come shuffled
                verbose=1 if sys.stderr.isatty() else 2,
            ).history
        names = {key: key.replace("val_", "validation_") if key.startswith("val_") else f"train_{key}" for key in log}
        scores = {names[key]: round(values[-1], 6) for key, values in log.items()}
        rows.append({"epoch": epoch + 1, **scores, "seconds": time.perf_counter() - start, "waiting": sum(waits)})
        if stopping and find_best_epoch(rows, stopping) == epoch:  # after `fit`, averaged weights stand in the network
            _copy(model.weights, best)
        if averaging:
            averaging.restore()
        unfinished.keep(state, rows)
    if until is not None:
        return pd.DataFrame(rows[:until])
    if stopping:
        _copy(best, model.weights)
    elif averaging:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return pd.DataFrame(rows)


def _copy(source: Sequence[keras.Variable], target: Sequence[keras.Variable]) -> None:
    for one, other in zip(source, target, strict=True):
        other.assign(one)
