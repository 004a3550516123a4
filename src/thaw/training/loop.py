"""The loop over epochs."""

import sys
import time
from collections.abc import Sequence

import pandas as pd

from thaw.base.progress import log_output
from thaw.base.quiet import keras
from thaw.store.sources import Batches
from thaw.training.resuming import Unfinished
from thaw.training.scores import Scores
from thaw.training.sections import Adam, Phase, Sgd, Training
from thaw.training.waiting import time_waits


def build_optimizer(optimizer: Sgd | Adam) -> keras.optimizers.Optimizer:
    """Return the Keras optimizer that params.yaml asks for."""
    if isinstance(optimizer, Sgd):
        return keras.optimizers.SGD(optimizer.learning_rate, optimizer.momentum)
    return keras.optimizers.Adam(optimizer.learning_rate)


def fit(
    model: keras.Model,
    train: Sequence[Batches],
    validation: Batches,
    phase: Phase,
    training: Training,
    unfinished: Unfinished,
) -> pd.DataFrame:
    """Train `model` (inputs -> logits) for the epochs of `phase`; return a row per epoch.

    `train` is a list of sources of batches, the views of the training images, used in rotation; `validation` is one
    source. Columns: `epoch` from 1; loss, accuracy and macro precision, recall and F1 as `train_*` (running, over the
    epoch as it trains) and `validation_*` (after it); `seconds`, the wall time of the epoch, validation included; and
    `waiting`, the seconds of the last epoch in which training or validation waited for data, and 0 for the others. The
    weights are those after the last epoch: no epoch is chosen. `unfinished` keeps the state after
    each epoch, and a run goes on from what it kept.
    """
    classes = model.output_shape[-1]
    # Compiled is a model around the same layers: what is compiled itself is saved with its optimizer's state.
    model = keras.Model(model.inputs, model.outputs)
    model.compile(
        optimizer=build_optimizer(phase.optimizer),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[Scores(classes)],
    )
    model.optimizer.build(model.trainable_variables)
    state = [*model.variables, *model.optimizer.variables]  # the seeds of dropout included
    one_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(model, "stop_training", True))
    rows = unfinished.resume(state)
    for epoch in range(len(rows), phase.epochs):
        start = time.perf_counter()
        waits: list[float] = []
        # The order of an epoch follows from its number alone.
        order = training.seed * 100_003 + epoch
        batches = train[epoch % len(train)].read_batches(training.batch_size, order)
        scored = validation.read_batches(training.batch_size)
        if epoch + 1 == phase.epochs:  # reading the clock takes a millisecond for each step: much, where a head trains
            batches, scored = time_waits(batches, waits), time_waits(scored, waits)
        with log_output():
            log = model.fit(
                batches,
                validation_data=scored,
                initial_epoch=epoch,
                epochs=phase.epochs,
                callbacks=[one_epoch],
                shuffle=False,  # the batches come shuffled
                verbose=1 if sys.stderr.isatty() else 2,
            ).history
        names = {key: key.replace("val_", "validation_") if key.startswith("val_") else f"train_{key}" for key in log}
        scores = {names[key]: round(values[-1], 6) for key, values in log.items()}
        rows.append({"epoch": epoch + 1, **scores, "seconds": time.perf_counter() - start, "waiting": sum(waits)})
        unfinished.keep(state, rows)
    return pd.DataFrame(rows)
