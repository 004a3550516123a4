"""What a phase may add to plain training, each against its formula, on small networks."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from small import plain_head
from thaw.base.errors import InputError
from thaw.base.quiet import keras, tf
from thaw.base.sections import validate
from thaw.networks import classifiers
from thaw.networks.backbones import find_blocks
from thaw.networks.classifiers import Network
from thaw.store.sources import Source
from thaw.training import loop, recipes
from thaw.training.recipes import About
from thaw.training.resuming import Unfinished
from thaw.training.sections import Phase, Training

SGD = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}
CLASSES = ("daisy", "rose", "tulip")
LABELS = np.arange(30) % 3


def make_phase(**keys: Any) -> Phase:
    return Phase.model_validate({"optimizer": SGD, "epochs": 4, **keys})


def make_model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])


def make_source(labels: np.ndarray = LABELS) -> Source:
    generator = np.random.default_rng(4)
    return Source(generator.normal(size=(len(labels), 6)).astype(np.float32), labels)


def fit(phase: Phase, about: About = About(), unfinished: Any = None, batch_size: int = 30) -> Any:  # noqa: B008
    """Train a small network on numbers; return (the model, its history)."""
    model, source, settings = make_model(), make_source(), Training(seed=1, batch_size=batch_size)
    return model, loop.fit(model, [source], source, phase, settings, unfinished or Unfinished(None, None), about)


def find_rates(schedule: Mapping[str, Any], steps: int) -> list[float]:
    rate = recipes.schedule_rate(make_phase(schedule=schedule, optimizer={**SGD, "learning_rate": 0.5}), steps)
    return [float(rate(step)) if callable(rate) else rate for step in range(steps)]


# The rate, as a share of 0.5, in steps 0 to 9.
RATES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "constant": ({"shape": "constant"}, [1.0] * 10),
    "constant behind a warm-up": ({"shape": "constant", "warmup": 0.4}, [0.25, 0.5, 0.75, 1.0] + [1.0] * 6),
    "linear": ({"shape": "linear"}, [1 - i / 10 for i in range(10)]),
    "linear down to a fifth": ({"shape": "linear", "end": 0.2}, [1 - 0.8 * i / 10 for i in range(10)]),
    "cosine": ({"shape": "cosine"}, [(1 + math.cos(math.pi * i / 10)) / 2 for i in range(10)]),
    "cosine behind a warm-up": (
        {"shape": "cosine", "warmup": 0.2}, [0.5, 1.0] + [(1 + math.cos(math.pi * i / 8)) / 2 for i in range(8)]),
}  # fmt: skip


@pytest.mark.parametrize("schedule, shares", RATES.values(), ids=RATES)
def test_the_rate_follows_its_schedule(schedule: dict[str, Any], shares: list[float]) -> None:
    np.testing.assert_allclose(find_rates(schedule, 10), 0.5 * np.array(shares), rtol=1e-5)


def test_the_schedule_ends_with_the_last_step_of_the_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 epochs of 30 photos in batches of 8: 16 steps."""
    asked = []
    monkeypatch.setattr(loop, "schedule_rate", lambda phase, steps, share: asked.append(steps) or share)
    fit(make_phase(schedule={"shape": "cosine"}), batch_size=8)
    assert asked == [16]


def test_smoothed_labels_give_each_class_its_share_of_the_loss() -> None:
    logits = np.array([[2.0, 0.5, -1.0]], np.float32)
    shares = np.array([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])
    expected = -(shares * np.log(np.exp(logits[0]) / np.exp(logits[0]).sum())).sum()
    found = recipes.build_loss(make_phase(label_smoothing=0.1), 3)(tf.constant([0]), tf.constant(logits))
    assert float(found[0]) == pytest.approx(expected, rel=1e-5)


def weigh(phase: Phase, labels: np.ndarray = LABELS) -> Any:
    return recipes.weigh_classes(phase, CLASSES, labels, "params.yaml: run")


def make_network() -> Network:
    return classifiers.build_classifier("MobileNet", 0.125, 32, plain_head(), 3)


def test_balanced_classes_weigh_the_same_in_all() -> None:
    labels = np.repeat([0, 1, 2], [20, 5, 5])
    weights = weigh(make_phase(class_weights="balanced"), labels)
    assert weights == {0: 30 / (3 * 20), 1: 30 / (3 * 5), 2: 30 / (3 * 5)}


def test_weights_of_classes_are_given_by_name() -> None:
    asked = {"tulip": 3.0, "daisy": 1.0, "rose": 2.0}
    assert weigh(make_phase(class_weights=asked)) == {0: 1.0, 1: 2.0, 2: 3.0}


def test_a_class_without_a_weight_is_one_line_that_names_it() -> None:
    with pytest.raises(
        InputError, match=r"^params\.yaml: run\.class_weights: .* daisy, rose, tulip \(not so: lily, rose, tulip\)$"
    ):
        weigh(make_phase(class_weights={"daisy": 1.0, "lily": 1.0}))


def test_a_class_of_weight_zero_point_one_is_learnt_as_if_it_had_a_tenth_of_the_photos() -> None:
    """In one step on all photos, whose gradient is the mean over them."""
    weighted, _ = fit(make_phase(epochs=1), About(class_weight={0: 1.0, 1: 0.1, 2: 1.0}))
    model, source = make_model(), make_source()
    with tf.GradientTape() as tape:
        losses = keras.ops.sparse_categorical_crossentropy(source.labels, model(source.inputs), from_logits=True)
        loss = keras.ops.sum(losses * np.where(source.labels == 1, 0.1, 1).astype(np.float32)) / 30
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, before, gradient in zip(weighted.get_weights(), model.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(weight, before - 0.1 * gradient, atol=1e-6)


def step(phase: Phase, norm: float = 1.0) -> tuple[Network, dict[int, float]]:
    """Take one step of `phase` on a whole MobileNet with gradients of ones times `norm`.

    Returns the network and how far each weight moved at most.
    """
    network = make_network()
    about = About(recipes.find_depths(network, "MobileNet"))
    weights = network.model.trainable_weights
    optimizer, before = (
        recipes.build_optimizer(phase, lambda share: 0.1 * share, about),
        [weight.numpy() for weight in weights],
    )
    optimizer.build(weights)
    optimizer.apply([norm * keras.ops.ones_like(weight) for weight in weights], weights)
    moved = {
        id(weight): float(np.abs(weight.numpy() - value).max()) for weight, value in zip(weights, before, strict=True)
    }
    return network, moved


def test_each_block_learns_at_a_share_of_the_rate_of_the_one_behind_it() -> None:
    network, moved = step(make_phase(layer_decay=0.5))
    ends = find_blocks(network.backbone, "MobileNet")
    operations = network.backbone.operations
    for weight in network.head.trainable_weights:
        assert moved[id(weight)] == pytest.approx(0.1, rel=1e-4)
    for back in (1, 2, 5):  # blocks from the last
        inside = operations[operations.index(ends[-back - 1]) + 1 : operations.index(ends[-back]) + 1]
        for weight in (weight for operation in inside for weight in operation.trainable_weights):
            assert moved[id(weight)] == pytest.approx(0.1 * 0.5**back, rel=1e-3)
    stem = next(operation for operation in operations if operation.weights)
    assert moved[id(stem.trainable_weights[0])] == pytest.approx(0.1 * 0.5 ** len(ends), rel=0.05)


@pytest.mark.parametrize("more", [{}, {"layer_decay": 1.0}], ids=["at one rate", "at a rate for each block"])
def test_the_gradients_of_a_step_together_have_at_most_the_norm_that_is_asked(more: dict[str, Any]) -> None:
    """Gradients of ones have the root of the number of weights as their norm."""
    network, moved = step(make_phase(clip_norm=0.5, **more))
    count = sum(math.prod(weight.shape) for weight in network.model.trainable_weights)
    for weight in network.head.trainable_weights:
        assert moved[id(weight)] == pytest.approx(0.1 * 0.5 / math.sqrt(count), rel=1e-2)


def test_weights_decay_and_biases_do_not() -> None:
    phase = make_phase(optimizer={"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.2})
    model = make_model()
    model.layers[0].bias.assign(np.ones(16))
    optimizer, kernel = (
        recipes.build_optimizer(phase, lambda share: 0.1 * share, About()),
        model.layers[0].kernel.numpy(),
    )
    optimizer.build(model.trainable_weights)
    optimizer.apply([keras.ops.zeros_like(weight) for weight in model.trainable_weights], model.trainable_weights)
    np.testing.assert_allclose(model.layers[0].kernel.numpy(), kernel * (1 - 0.1 * 0.2), rtol=1e-5)
    np.testing.assert_array_equal(model.layers[0].bias.numpy(), np.ones(16))


def list_weights_by_epoch(epochs: int, **keys: Any) -> list[list[np.ndarray]]:
    return [fit(make_phase(epochs=count, **keys))[0].get_weights() for count in range(1, epochs + 1)]


def test_the_result_is_the_moving_average_of_the_weights() -> None:
    """A step an epoch: the average is that of the weights after each."""
    plain = list_weights_by_epoch(3)
    expected = [0.75 * (0.75 * one + 0.25 * two) + 0.25 * three for one, two, three in zip(*plain, strict=True)]
    averaged, _ = fit(make_phase(epochs=3, average=0.75))
    for found, weight in zip(averaged.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, weight, atol=1e-6)


def test_what_is_validated_is_the_average() -> None:
    model, history = fit(make_phase(epochs=3, average=0.75))
    source = make_source()
    losses = keras.ops.sparse_categorical_crossentropy(source.labels, model(source.inputs), from_logits=True)
    assert history["validation_loss"].iloc[-1] == pytest.approx(float(keras.ops.mean(losses)), abs=2e-6)


def play(monkeypatch: pytest.MonkeyPatch, losses: Sequence[float]) -> None:
    """Let validation see these losses, an epoch each."""
    coming = iter(losses)
    real = keras.Model.fit

    def played(model: Any, *arguments: Any, **options: Any) -> Any:
        made = real(model, *arguments, **options)
        made.history["val_loss"] = [next(coming)]
        return made

    monkeypatch.setattr(keras.Model, "fit", played)


STOPPING = {"monitor": "validation_loss", "patience": 2}


def test_training_ends_after_so_many_epochs_without_a_better_one(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, [0.9, 0.5, 0.7, 0.5])
    _, history = fit(make_phase(epochs=10, early_stopping=STOPPING))
    assert list(history["validation_loss"]) == [0.9, 0.5, 0.7, 0.5]


def test_the_weights_are_those_of_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list_weights_by_epoch(2)[1]
    play(monkeypatch, [0.9, 0.5, 0.7, 0.6])
    model, _ = fit(make_phase(epochs=10, early_stopping=STOPPING))
    for found, weight in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, weight)


def test_an_epoch_whose_loss_is_no_number_is_never_the_best() -> None:
    stopping = make_phase(early_stopping=STOPPING).early_stopping
    assert stopping is not None
    rows = [{"validation_loss": math.nan}, {"validation_loss": 0.7}, {"validation_loss": math.nan}]
    assert recipes.find_best_epoch(rows, stopping) == 1


def test_accuracy_is_better_where_it_is_higher() -> None:
    stopping = make_phase(early_stopping={**STOPPING, "monitor": "validation_accuracy"}).early_stopping
    assert stopping is not None
    assert recipes.find_best_epoch([{"validation_accuracy": value} for value in (0.4, 0.6, 0.6)], stopping) == 1


RECIPES: dict[str, dict[str, Any]] = {
    "schedule": {"schedule": {"shape": "cosine", "warmup": 0.2}},
    "average": {"average": 0.9},
    "early stopping": {"early_stopping": {"monitor": "validation_loss", "patience": 9}},
    "average and early stopping": {
        "average": 0.9, "early_stopping": {"monitor": "validation_accuracy", "patience": 9}},
    "rates of layers": {"layer_decay": 0.8, "clip_norm": 1.0},
}  # fmt: skip


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(recipe, id=key, marks=() if key.startswith("average and") else pytest.mark.long)
        for key, recipe in RECIPES.items()
    ],
)
def test_a_training_that_was_stopped_goes_on_and_ends_with_the_same_weights(
    recipe: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase, keep = make_phase(optimizer={"name": "adam", "learning_rate": 0.01}, **recipe), Unfinished.keep

    class Stopped(Exception):
        pass

    def stop(unfinished: Any, variables: Any, rows: Any) -> None:
        keep(unfinished, variables, rows)
        if len(rows) == 2:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "keep", stop)
        with pytest.raises(Stopped):
            fit(phase, unfinished=Unfinished(tmp_path, "a"), batch_size=8)
    model, history = fit(phase, unfinished=Unfinished(tmp_path, "a"), batch_size=8)
    undisturbed, expected = fit(phase, batch_size=8)
    for found, weight in zip(model.get_weights(), undisturbed.get_weights(), strict=True):
        np.testing.assert_array_equal(found, weight)
    times = ["seconds", "waiting"]
    assert history.drop(columns=times).to_csv() == expected.drop(columns=times).to_csv()


VIEWS = {"views": 2, "flip": True, "crop": 0.8, "seed": 0}
# Keys of a phase that are wrong -> what the fault names.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a warm-up longer than the phase": ({"schedule": {"shape": "cosine", "warmup": 1.0}}, "schedule.warmup"),
    "a shape that there is none of": ({"schedule": {"shape": "step"}}, "schedule.shape"),
    "labels that say nothing": ({"label_smoothing": 1.0}, "label_smoothing"),
    "a bound of zero": ({"clip_norm": 0.0}, "clip_norm"),
    "a rate that grows with depth": ({"layer_decay": 1.5}, "layer_decay"),
    "an average that never moves": ({"average": 1.0}, "average"),
    "no patience": ({"early_stopping": {"monitor": "validation_loss", "patience": 0}}, "early_stopping.patience"),
    "a part that must not choose": (
        {"early_stopping": {"monitor": "test_loss", "patience": 1}},
        "early_stopping.monitor",
    ),
    "classes that do not count": ({"class_weights": {"daisy": 0.0}}, "class_weights"),
    "one view": ({"augmentation": {**VIEWS, "views": 1}}, "augmentation.views: must be at least 2 (got 1)"),
    "a word that is not fresh": ({"augmentation": {**VIEWS, "views": "new"}}, "augmentation.views: must be 'fresh'"),
    "a colour below black": ({"augmentation": {**VIEWS, "colour": {"contrast": 2.0}}}, "augmentation.colour.contrast"),
}


@pytest.mark.parametrize("keys, named", FAULTS.values(), ids=FAULTS)
def test_a_key_that_cannot_be_is_one_line_that_names_it(keys: dict[str, Any], named: str) -> None:
    _, (fault, *more) = validate(Phase, {"optimizer": SGD, "epochs": 1, **keys}, "params.yaml: frozen.a")
    assert fault.startswith(f"params.yaml: frozen.a.{named}") and "\n" not in fault and not more
