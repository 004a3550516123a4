"""The search for a learning rate: one short training in which the rate grows from step to step (Smith 2017).

Source: L. N. Smith, Cyclical learning rates for training neural networks, WACV 2017, arXiv 1506.01186, section 3.3.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from thaw.base.errors import InputError
from thaw.base.progress import track
from thaw.base.quiet import keras
from thaw.training.recipes import build_loss, build_optimizer
from thaw.training.runs import Opened
from thaw.training.sections import Phase, Training

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100  # the rates that are tried, a step each
SMOOTHING = 0.9  # of the mean loss that each step keeps
DIVERGED = 4.0  # times the lowest mean loss, at which the search ends
LEAST = 20  # steps without which nothing can be suggested


class Rates(NamedTuple):
    """What the search found."""

    table: pd.DataFrame  # a row a step: rate, loss (of the batch), smoothed (its moving mean)
    suggested: float  # the rate at which the mean loss falls steepest


def find_rate(opened: Opened, phase: Phase, training: Training) -> Rates:
    """Return the Rates of a run before its first step; its weights change.

    Step i of the STEPS has the learning rate LOWEST (HIGHEST / LOWEST)^(i / (STEPS - 1)), whatever rate and schedule
    `phase` has; a batch a step, in the order of training. Raises InputError where the loss is no number, or diverges,
    within the first LEAST steps.
    """
    tail, growth = opened.tail, (HIGHEST / LOWEST) ** (1 / (STEPS - 1))
    schedule = keras.optimizers.schedules.ExponentialDecay
    model = keras.Model(tail.inputs, tail.outputs)
    optimizer = build_optimizer(phase, lambda share: schedule(LOWEST * share, 1, growth), opened.about)
    model.compile(optimizer, build_loss(phase, model.output_shape[-1]))
    rows: list[dict[str, float]] = []
    mean, lowest = 0.0, math.inf
    for step, (inputs, labels) in track(enumerate(_yield_batches(opened, training)), "rates", STEPS, "steps"):
        model.reset_metrics()
        loss = float(model.train_on_batch(inputs, labels, class_weight=opened.about.class_weight))
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (step + 1))
        rows.append({"rate": LOWEST * growth**step, "loss": loss, "smoothed": smoothed})
        lowest = min(lowest, smoothed)
        if not smoothed <= DIVERGED * lowest or step + 1 == STEPS:
            break
    table = pd.DataFrame(rows)
    return Rates(table, suggest_rate(table))


def suggest_rate(table: pd.DataFrame) -> float:
    """Return the rate at which the mean loss falls steepest over the logarithm of the rate, of the `table` of a search.

    Only what lies before the lowest mean loss counts, and the first LEAST / 2 steps, in which it is of few batches, do
    not. Raises InputError where that leaves nothing.
    """
    smoothed = table["smoothed"].to_numpy()
    end = int(np.nanargmin(smoothed)) if np.isfinite(smoothed).any() else 0
    if end < LEAST:
        raise InputError(
            f"find-rate: must see the loss fall over {LEAST} steps or more (it is lowest after {end}, at the rate "
            f"{table['rate'].iloc[end]:.1e}): nothing can be suggested"
        )
    slopes = np.gradient(smoothed[: end + 1], np.log(table["rate"].to_numpy()[: end + 1]))
    start = LEAST // 2
    return float(table["rate"].iloc[start + int(np.argmin(slopes[start:]))])


def _yield_batches(opened: Opened, training: Training) -> Iterator[tuple[Any, Any]]:
    """Yield batches as the epochs of a training have them, without end."""
    views = opened.sources[:-1]
    for epoch in itertools.count():
        yield from views[epoch % len(views)].read_batches(training.batch_size, training.seed * 100_003 + epoch)
