"""Training the runs of the table: each takes what it reads and returns what it made."""

import contextlib
import pathlib
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import pandas as pd

from thaw.base import paths
from thaw.base.files import read_json
from thaw.base.machine import describe_processor
from thaw.base.names import BASELINE, PRETRAINED
from thaw.base.quiet import keras
from thaw.base.sections import Compute
from thaw.networks import classifiers, costs, hdf5
from thaw.networks.classifiers import Network
from thaw.networks.descriptions import BackboneDescription, PretrainedDescription, RunDescription
from thaw.networks.plan import Opening, Plan, plan_run, unfreeze
from thaw.records import reading, views
from thaw.store.opening import Asked, open_run
from thaw.store.place import find_unfinished
from thaw.store.prefixes import Images
from thaw.store.sources import Batches, Pixels
from thaw.training.loop import fit
from thaw.training.recipes import About, describe_training, find_best_epoch
from thaw.training.resuming import Unfinished
from thaw.training.sections import BaselineRun, FinetuneRun, FrozenRun, Training


class Setting(NamedTuple):
    """What all trainings of a stage share."""

    training: Training
    compute: Compute
    records: pathlib.Path | str  # the folder that preprocess wrote
    others: Sequence[Opening] = ()  # of the runs on the same backbone, for the store; changes no result


class Start(NamedTuple):
    """What the training of a run on a backbone starts from."""

    name: str  # a frozen run, or pretrained/BACKBONE
    description: PretrainedDescription | RunDescription
    weights: pathlib.Path  # of the backbone alone for pretrained/BACKBONE, else of the whole network

    @property
    def backbone(self) -> BackboneDescription:
        """What the backbone is."""
        found = self.description["backbone"]
        assert found is not None  # config checks that no run starts from the baseline CNN
        return found


class Opened(NamedTuple):
    """A run before its first step."""

    network: Network
    plan: Plan | None  # None for the baseline CNN
    description: RunDescription
    tail: keras.Model  # what trains, from the cut on
    sources: Sequence[Batches]  # its inputs: the views of the train part, then validation
    about: About
    seconds: float  # that it took to compute the inputs, or to find them in the store


class Trained(NamedTuple):
    """What the training of a run made."""

    run: str
    network: Network
    description: RunDescription
    history: pd.DataFrame  # a row per epoch, without what was measured in time
    metrics: dict[str, Any]
    timing: dict[str, Any]  # seconds and memory: they differ from run to run, and no stage depends on them
    states: Sequence[Unfinished]  # to be discarded once all of this is written


def read_start(name: str, folder: pathlib.Path | str = ".") -> Start:
    """Return the Start `name`, a frozen run or pretrained/BACKBONE, below `folder`, the one of dvc.yaml."""
    folder = pathlib.Path(folder)
    return Start(name, read_json(folder / paths.find_description(name)), folder / paths.find_weights(name))


def train_baseline(run: BaselineRun, setting: Setting) -> Trained:
    """Train the baseline CNN."""
    return train(open_baseline(run, setting), run, setting)


def train_frozen(name: str, run: FrozenRun, start: Start, setting: Setting) -> Trained:
    """Train the new head of frozen run `name` on the pooled features of its pretrained backbone."""
    return train(open_from(name, run, start, setting), run, setting)


def finetune(name: str, run: FinetuneRun, start: Start, setting: Setting) -> Trained:
    """Train what fine-tuned run `name` unfreezes, and the head, on from `start`."""
    return train(open_from(name, run, start, setting), run, setting)


def open_baseline(run: BaselineRun, setting: Setting) -> Opened:
    """Return the baseline CNN before its first step."""
    index = reading.read_index(setting.records)
    network = classifiers.build_baseline(run.network, index["size"], len(index["classes"]))
    description = _describe(BASELINE, index, network, run) | {"backbone": None, "network": run.network.model_dump()}
    return _open(network, None, cast(RunDescription, description), run, setting)


def open_from(name: str, run: FrozenRun | FinetuneRun, start: Start, setting: Setting) -> Opened:
    """Return run `name`, which starts from `start`, before its first step."""
    index = reading.read_index(setting.records)
    backbone, pretrained = start.backbone, start.name.startswith(PRETRAINED)
    head = _find_head(run) if pretrained else cast(RunDescription, start.description)["head"]
    network = classifiers.build_described(backbone, index["size"], head, len(index["classes"]))
    hdf5.load_weights(network.backbone if pretrained else network.model, start.weights)
    plan = plan_run(network, backbone["architecture"], find_opening(run))
    unfreeze(network, plan)
    unfrozen = plan.opening.unfreeze
    description = _describe(name, index, network, run) | {
        "backbone": backbone,
        "head": head,
        "from": start.name,
        "unfreeze": unfrozen and unfrozen.model_dump(exclude_unset=True),
        "batch_norm": plan.batch_norm,
        "cut": plan.cut_name,
        "stored": plan.stored,
    }
    return _open(network, plan, cast(RunDescription, description), run, setting)


def find_opening(run: FrozenRun | FinetuneRun) -> Opening:
    """Return what a run asks of its backbone."""
    if isinstance(run, FinetuneRun):
        return Opening(run.unfreeze, run.batch_norm, run.passes)
    return Opening(None, "inference", run.passes)


def _find_head(run: FrozenRun | FinetuneRun) -> dict[str, Any]:
    assert run.head is not None  # config checks that a run from pretrained/BACKBONE has one
    return run.head.model_dump()


def _describe(
    name: str, index: dict[str, Any], network: Network, run: BaselineRun | FrozenRun | FinetuneRun
) -> dict[str, Any]:
    described = {
        "run": name,
        "size": index["size"],
        "classes": index["classes"],
        "trainable_parameters": classifiers.count_parameters(network.model.trainable_weights),
        "total_parameters": network.model.count_params(),
    }
    return {**described, "flip_test": True} if run.flip_test else described


def _open(
    network: Network,
    plan: Plan | None,
    description: RunDescription,
    run: BaselineRun | FrozenRun | FinetuneRun,
    setting: Setting,
) -> Opened:
    start, name, index = time.perf_counter(), description["run"], reading.read_index(setting.records)
    about = describe_training(network, plan and plan.architecture, name, run, setting.records)
    drawn = views.draw_views(run.augmentation, run.epochs, setting.training.seed, index["counts"]["train"])
    images = [Images(setting.records, "train", view) for view in drawn]
    images.append(Images(setting.records, "validation"))
    tail, sources = open_run(network, plan, images, Asked(setting.compute, setting.others))
    behind, counted = ({id(w) for w in model.trainable_weights} for model in (tail, network.model))
    if behind != counted:
        raise RuntimeError(f"{name}: what is left behind the cut does not hold all that is to be trained, and no more")
    return Opened(network, plan, description, tail, sources, about, time.perf_counter() - start)


def train(opened: Opened, run: BaselineRun | FrozenRun | FinetuneRun, setting: Setting) -> Trained:
    """Train `run`, opened before its first step, to its end."""
    network, plan, description, tail, sources, about, prefix = opened
    state = find_state(opened, run, setting)
    history = fit(tail, sources[:-1], sources[-1], run, setting.training, state, about)
    seconds, waiting = history.pop("seconds"), history.pop("waiting")
    flops = costs.count_run_flops(network, plan and plan.cut)._asdict()
    timing = {
        "seconds": {
            "prefix": round(prefix, 2),
            "per_epoch": round(seconds.mean(), 3),
            "training": round(seconds.sum(), 2),
        },
        "waiting_share": round(waiting.iloc[-1] / seconds.iloc[-1], 4),
        "batches_from": "records" if isinstance(sources[0], Pixels) else "store",
        "peak_memory_mib": round(measure_peak_memory() / 2**20),
        "processor": describe_processor(),
    }
    metrics: dict[str, Any] = {"epochs": len(history), "cut": description.get("cut", "pixels"), "flops": flops}
    if run.early_stopping:
        metrics["restored_epoch"] = find_best_epoch(history.to_dict("records"), run.early_stopping) + 1
    return Trained(description["run"], network, description, history, metrics, timing, [state])


def find_state(opened: Opened, run: BaselineRun | FrozenRun | FinetuneRun, setting: Setting) -> Unfinished:
    """Return where the state of the training of `run`, opened before its first step, is kept."""
    return Unfinished(
        find_unfinished(),
        [
            opened.description,
            run.model_dump(mode="json", by_alias=True),
            setting.training.model_dump(),
            setting.compute.describe(),
            reading.read_index(setting.records)["digest"],
            classifiers.digest_weights(opened.network.model),
            type(opened.sources[0]).__name__,
        ],
    )


def measure_peak_memory() -> int:
    """Return the peak resident memory of this process in bytes."""
    with contextlib.suppress(OSError):  # of this program alone: getrusage begins with the peak of what started it
        for line in pathlib.Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
