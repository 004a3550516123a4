"""The race of `unfreeze: {auto: …}`: every candidate trains for an epoch, and the one most often right goes on.

The first epochs of a candidate are those of a training of its own, so the winner ends as a run that names its cut
would, to the bit. Choosing by one epoch: T. Egele, F. Mohr, T. Viering and P. Balaprakash, The unreasonable
effectiveness of early discarding after one epoch in neural network hyperparameter optimization, Neurocomputing 597
(2024), 127964. By accuracy, and after STEPS steps at least: benchmarks/race.py. All start from a trained head: in five
or ten steps a deep cut falls behind it that is far ahead in the end, and its loss rises while its accuracy does, too.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from thaw.base.progress import say
from thaw.base.quiet import keras
from thaw.networks import costs
from thaw.networks.classifiers import Network
from thaw.networks.plan import Plan
from thaw.networks.sections import Unfreeze
from thaw.networks.unfreezing import list_candidates
from thaw.records import reading
from thaw.training import runs
from thaw.training.loop import fit
from thaw.training.resuming import Unfinished
from thaw.training.runs import Setting, Start, Trained
from thaw.training.sections import FinetuneRun

STEPS = 20  # that each candidate trains for at least, in whole epochs


class Epochs(NamedTuple):
    """Of a run with a race."""

    raced: int  # that each candidate trains for
    all: int  # that the winner trains for


class Tried(NamedTuple):
    """A candidate after its last epoch of the race."""

    loss: float  # on validation, nats
    accuracy: float  # on validation, in [0, 1]


class Price(NamedTuple):
    """What a candidate takes, in FLOPs and in seconds."""

    epoch: float  # FLOPs of an epoch over all training photos, with validation
    prefix: float  # FLOPs of computing what is stored, once; 0 where nothing is
    seconds: float  # of an epoch
    opening: float  # seconds until the first step


def finetune(name: str, run: FinetuneRun, start: Start, setting: Setting) -> Trained:
    """Train what fine-tuned run `name` unfreezes, and the head, on from `start`; a race chooses where it says `auto`.

    Its metrics then have what the race tried, and its timing the seconds of each candidate.
    """
    if run.auto is None:
        return runs.finetune(name, run, start, setting)
    candidates = list_candidates(run.auto, start.backbone["architecture"])
    photos = reading.read_index(setting.records)["counts"]["train"]
    raced = count_epochs(run, photos, setting.training.batch_size)
    prices: dict[str, Price] = {}
    states: list[Unfinished] = []

    def try_out(candidate: str, opened_run: FinetuneRun) -> Tried:
        opened = runs.open_from(name, opened_run, start, setting)
        state = runs.find_state(opened, opened_run, setting)
        rows = fit(
            opened.tail,
            opened.sources[:-1],
            opened.sources[-1],
            opened_run,
            setting.training,
            state,
            opened.about,
            raced,
        )
        states.append(state)
        prices[candidate] = _price(opened, rows["seconds"].iloc[0], setting)
        return read_tried(rows.iloc[-1])

    tried = race(run, candidates, setting.training.seed, try_out)
    chosen = choose(tried)
    epochs = Epochs(raced, run.epochs)
    reset(setting.training.seed)
    trained = runs.finetune(name, open_as(run, candidates[chosen]), start, setting)
    metrics = {**trained.metrics, "race": describe(tried, chosen, prices, epochs)}
    timing = {**trained.timing, "race": _time(prices, chosen, epochs)}
    return trained._replace(metrics=metrics, timing=timing, states=[*trained.states, *states])


def count_epochs(run: FinetuneRun, photos: int, batch_size: int) -> int:
    """Return for how many epochs a candidate of `run` trains on so many `photos`: STEPS steps, if the run has them."""
    return min(run.epochs, math.ceil(STEPS / math.ceil(photos / batch_size)))


def race(
    run: FinetuneRun,
    candidates: Mapping[str, Unfreeze | None],
    seed: int,
    try_out: Callable[[str, FinetuneRun], Tried],
) -> dict[str, Tried]:
    """Return what `try_out(name, run that opens it)` found for each of the `candidates`, in their order."""
    tried = {}
    for number, (candidate, unfreeze) in enumerate(candidates.items(), 1):
        reset(seed)
        tried[candidate] = found = try_out(candidate, open_as(run, unfreeze))
        say(
            f"race: {candidate} ({number} of {len(candidates)}): validation loss {found.loss:.4f}, accuracy "
            f"{found.accuracy:.4f}"
        )
    say(f"race: {choose(tried)} is chosen")
    return tried


def choose(tried: Mapping[str, Tried]) -> str:
    """Return the name of the candidate with the highest accuracy on validation; of equals the first, the cheapest.

    One whose loss is no number is the worst.
    """
    return min(tried, key=lambda name: (math.isnan(tried[name].loss), -tried[name].accuracy))


def open_as(run: FinetuneRun, unfreeze: Unfreeze | None) -> FinetuneRun:
    """Return `run` with another cut; None opens the head alone."""
    return run.model_copy(update={"unfreeze": unfreeze})


def read_tried(row: Any) -> Tried:
    """Return what `row`, the last of its history, says of a candidate."""
    return Tried(float(row["validation_loss"]), float(row["validation_accuracy"]))


def reset(seed: int) -> None:
    """Make this process as one that starts: names of layers count from one again, and so do random numbers."""
    policy = keras.config.dtype_policy()  # of `compute.precision`, which Keras would forget
    keras.utils.clear_session()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(seed)


def describe(tried: Mapping[str, Tried], chosen: str, prices: Mapping[str, Price], epochs: Epochs) -> dict[str, Any]:
    """Return what metrics say of a race.

    `share` is what the race cost of training every candidate to its end, and `share_trained` the same with the rest of
    the winner's training; both in FLOPs, with the stored activations computed once for all.
    """
    spent, whole, rest = _add_up(
        {name: float(price.epoch) for name, price in prices.items()},
        float(max(price.prefix for price in prices.values())),
        chosen,
        epochs,
    )
    return {
        "chosen": chosen,
        "epochs": epochs.raced,
        "share": round(spent / whole, 4),
        "share_trained": round((spent + rest) / whole, 4),
        "candidates": {
            name: {
                "validation_loss": round(found.loss, 6),
                "validation_accuracy": round(found.accuracy, 6),
                "epoch_flops": prices[name].epoch,
            }
            for name, found in tried.items()
        },
    }


def _time(prices: Mapping[str, Price], chosen: str, epochs: Epochs) -> dict[str, Any]:
    """Return what timing metrics say of a race: seconds, and the shares of `describe` in seconds."""
    opening = sum(price.opening for price in prices.values())
    spent, whole, rest = _add_up({name: price.seconds for name, price in prices.items()}, opening, chosen, epochs)
    return {
        "seconds": {name: round(price.seconds, 2) for name, price in prices.items()},
        "opening": round(opening, 2),
        "share": round(spent / whole, 4),
        "share_trained": round((spent + rest) / whole, 4),
    }


def _add_up(epoch: Mapping[str, float], once: float, chosen: str, epochs: Epochs) -> tuple[float, float, float]:
    """Return (cost of the race, of all candidates to their end, of the winner's other epochs)."""
    each = sum(epoch.values())
    return once + epochs.raced * each, once + epochs.all * each, (epochs.all - epochs.raced) * epoch[chosen]


def count_candidate(network: Network, plan: Plan, photos: Mapping[str, float], views: int) -> tuple[float, float]:
    """Return (FLOPs of an epoch, FLOPs of filling the store once, 0 where nothing is stored) of a candidate.

    `network` is unfrozen as `plan` says; `photos` has how many are in the parts `train` and `validation`, or their
    shares, and `views` is how many there are of each training photo.
    """
    flops = costs.count_run_flops(network, plan.cut)
    each_time = 0 if plan.stored else flops.prefix
    train = photos["train"] * (flops.training_step + each_time)
    validation = photos["validation"] * (flops.forward - flops.prefix + each_time)
    images = photos["train"] * views + photos["validation"]
    return train + validation, flops.prefix * images if plan.stored else 0


def _price(opened: runs.Opened, seconds: float, setting: Setting) -> Price:
    assert opened.plan is not None  # a fine-tuned run has a backbone
    photos = reading.read_index(setting.records)["counts"]
    epoch, prefix = count_candidate(opened.network, opened.plan, photos, len(opened.sources) - 1)
    return Price(epoch, prefix, float(seconds), opened.seconds)
