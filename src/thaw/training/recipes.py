"""What a phase may add to plain training: schedules, layer-wise rates, clipping, weights of classes, averaged weights.

Where params.yaml leaves a key out, nothing of it is built, and training is what it is without this module.
"""

import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from thaw.base.errors import InputError
from thaw.base.quiet import keras, tf
from thaw.networks.backbones import find_before, find_blocks
from thaw.networks.classifiers import Network
from thaw.records import reading
from thaw.training.sections import AdamW, BaselineRun, EarlyStopping, FinetuneRun, FrozenRun, Phase, Sgd

UNDECAYED = ("bias", "gamma", "beta")  # what weight decay leaves alone, as in Goyal et al. 2017, arXiv 1706.02677


class About(NamedTuple):
    """What a training must know of its network and photos, beside the model."""

    depths: Mapping[int, int] = {}  # id of a weight of the backbone -> blocks from the head, 1 for the last
    class_weight: Mapping[int, float] | None = None  # label -> weight of its photos in the loss


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule behind a linear rise: step i of the first `steps` has (i + 1) / `steps` of the rate."""

    def __init__(self, rate: float, steps: int, then: Any) -> None:
        self.rate, self.steps, self.then = rate, steps, then

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the learning rate of a step, from 0 on."""
        step = keras.ops.cast(step, "float32")
        later = keras.ops.maximum(step - self.steps, 0.0)
        after = self.then(later) if callable(self.then) else self.then
        return keras.ops.where(step < self.steps, self.rate * (step + 1) / self.steps, after)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; nothing saves an optimizer by them."""
        return {"rate": self.rate, "steps": self.steps, "then": self.then}


class Layerwise(keras.optimizers.MultiOptimizer):
    """An optimizer for each depth, with one bound on the norm of all gradients together."""

    def __init__(
        self, optimizers: Mapping[int, keras.optimizers.Optimizer], depths: Mapping[int, int], clip: float | None
    ) -> None:
        super().__init__(lambda weight: optimizers[depths.get(id(weight), 0)])
        self.clip = clip

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Move the weights by `grads`."""
        if self.clip:
            grads, _ = tf.clip_by_global_norm(grads, self.clip)
        super().apply(grads, trainable_variables)


class Averaging(keras.callbacks.Callback):
    """Validates the moving average of the weights; `restore` puts back those that train.

    Keras leaves the average in the network when `fit` ends, which here is after every epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._raw: list[np.ndarray] = []

    def on_test_begin(self, logs: Any = None) -> None:
        """Keep the weights, and set them to their average."""
        weights = self.model.trainable_variables
        self._raw = [weight.numpy() for weight in weights]
        self.model.optimizer.finalize_variable_values(weights)

    def on_test_end(self, logs: Any = None) -> None:
        """Put back the weights."""
        self.restore()

    def restore(self) -> None:
        """Set the weights to what they were before validation."""
        for weight, value in zip(self.model.trainable_variables, self._raw, strict=True):
            weight.assign(value)


def describe_training(
    network: Network, architecture: str | None, name: str, phase: Phase, records: pathlib.Path | str
) -> About:
    """Return the About of a phase of run `name` on all of the train part; `architecture` is None without a backbone.

    Raises InputError, which names the key, where class weights are not those of the classes of the records.
    """
    depths = find_depths(network, architecture) if phase.layer_decay is not None and architecture else {}
    classes, labels = reading.read_index(records)["classes"], reading.read_labels(records, "train")[0]
    section = {BaselineRun: "", FrozenRun: "frozen.", FinetuneRun: "finetune."}[type(phase)]
    return About(depths, weigh_classes(phase, classes, labels, f"params.yaml: {section}{name}"))


def find_depths(network: Network, architecture: str) -> dict[int, int]:
    """Return {id of a trainable weight of the backbone: blocks from the head}, 1 for the last block."""
    passed = [find_before(network.backbone, end) for end in find_blocks(network.backbone, architecture)]
    depths = {}
    for operation in network.backbone.operations:
        behind = sum(id(operation) in before for before in passed)  # blocks that end here or later
        for weight in getattr(operation, "trainable_weights", ()):
            depths[id(weight)] = max(behind, 1)
    return depths


def weigh_classes(phase: Phase, classes: Sequence[str], labels: np.ndarray, place: str) -> dict[int, float] | None:
    """Return {label: weight} of the photos of each of the `classes` in the loss of a phase; None for equal ones.

    `labels` (n,) int are those of the photos to train on. Raises InputError, which begins with `place`, where the
    weights that are asked for are not those of the classes.
    """
    asked = phase.class_weights
    if asked is None:
        return None
    if asked == "balanced":
        found = compute_class_weight("balanced", classes=np.arange(len(classes)), y=labels)
        return dict(enumerate(map(float, found)))
    if set(asked) != set(classes):
        wrong = sorted(set(asked) ^ set(classes))
        raise InputError(
            f"{place}.class_weights: must name each class once: {', '.join(classes)} (not so: {', '.join(wrong)})"
        )
    return {label: asked[name] for label, name in enumerate(classes)}


def build_loss(phase: Phase, classes: int) -> Any:
    """Return the loss of a phase from labels (b,) int and logits (b, classes): cross-entropy in nats."""
    if not phase.label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    smoothed = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=phase.label_smoothing, reduction=None
    )

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return smoothed(keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), classes), logits)

    return loss


def build_optimizer(phase: Phase, rates: Callable[[float], Any], about: About) -> keras.optimizers.Optimizer:
    """Return the Keras optimizer of a phase; `rates(share)` is that share of its learning rate, as Keras takes one."""
    if phase.layer_decay is None:
        return _build_one(phase, rates(1.0), phase.clip_norm)
    optimizers = {
        depth: _build_one(phase, rates(phase.layer_decay**depth), None) for depth in sorted({0, *about.depths.values()})
    }
    return Layerwise(optimizers, about.depths, phase.clip_norm)


def _build_one(phase: Phase, rate: Any, clip: float | None) -> keras.optimizers.Optimizer:
    asked = phase.optimizer
    more: dict[str, Any] = {"global_clipnorm": clip} if clip else {}
    if phase.average is not None:
        more |= {"use_ema": True, "ema_momentum": phase.average}
    if isinstance(asked, Sgd):
        return keras.optimizers.SGD(rate, asked.momentum, **more)
    if isinstance(asked, AdamW):
        optimizer = keras.optimizers.AdamW(rate, weight_decay=asked.weight_decay, **more)
        optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
        return optimizer
    return keras.optimizers.Adam(rate, **more)


def schedule_rate(phase: Phase, steps: int, share: float = 1.0) -> Any:
    """Return a share of the learning rate of a phase of so many `steps`: a number, or a schedule of Keras.

    The warm-up takes `schedule.warmup` of the steps, rounded; what follows takes the others (cosine: Loshchilov and
    Hutter 2017, arXiv 1608.03983).
    """
    rate, schedule = phase.optimizer.learning_rate * share, phase.schedule
    if schedule is None:
        return rate
    rising = round(schedule.warmup * steps)
    left = max(steps - rising, 1)
    then: Any = rate
    if schedule.shape == "cosine":
        then = keras.optimizers.schedules.CosineDecay(rate, left, alpha=schedule.end)
    elif schedule.shape == "linear":
        then = keras.optimizers.schedules.PolynomialDecay(rate, left, rate * schedule.end)
    return WarmUp(rate, rising, then) if rising else then


def find_best_epoch(rows: Sequence[Mapping[str, Any]], stopping: EarlyStopping) -> int:
    """Return the number, from 0 on, of the epoch that is best by what is watched; of equals the first."""
    sign = 1 if stopping.monitor == "validation_loss" else -1
    values = [sign * row[stopping.monitor] for row in rows]
    return min(range(len(values)), key=lambda epoch: (math.isnan(values[epoch]), values[epoch], epoch))


def has_stopped(rows: Sequence[Mapping[str, Any]], stopping: EarlyStopping | None) -> bool:
    """Tell whether so many epochs have passed since the best one that the training ends."""
    if stopping is None or not rows:
        return False
    return len(rows) - 1 - find_best_epoch(rows, stopping) >= stopping.patience
