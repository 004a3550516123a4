"""./run thaw advise PHOTOS: what to unfreeze for a folder of photos, found in minutes by a race."""

import functools
import hashlib
import pathlib
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.names import PARTS
from thaw.base.progress import say
from thaw.cli.best import describe_best, fill
from thaw.cli.estimating import count_run_flops
from thaw.cli.options import find_folder
from thaw.cli.preset import find_cache, find_environment
from thaw.cli.workspaces import hold_workspace, make_workspace, run_table, say_report
from thaw.comparison.pairs import Evidence, read_evidence
from thaw.comparison.results import Run, read_results
from thaw.comparison.words import say_count
from thaw.config.checking import Params, check
from thaw.config.loading import load, read_yaml
from thaw.config.presets import ROOT
from thaw.photos.folder import list_class_folders
from thaw.photos.given import Given, holds_parts

TABLE = pathlib.Path(__file__).with_name("advise.yaml")
WORKSPACES = ROOT / ".thaw" / "advise"


class Size(NamedTuple):
    """How much a table does."""

    pixels: int  # a side of the photos
    epochs: int  # of the winner of each race
    backbones: int  # of those of TABLE, the first so many


# The most thorough first. Without a budget the second, which is TABLE as it stands.
SIZES = (Size(224, 15, 2), Size(160, 10, 2), Size(160, 10, 1), Size(128, 6, 1))
USUAL = SIZES[1]
# What a table takes beside arithmetic: seconds for the start of each stage, and for decoding and preparing a photo.
START, STAGES, PHOTO = 7.0, {1: 10, 2: 15}, 0.02


def advise(photos: str, budget: str | None) -> None:
    """Run a small table on the class folders of `photos` and print what to unfreeze, how sure that is and where it is.

    `budget` are the minutes that it may take, as text; without it the usual size is run, however long it takes. Raises
    InputError where the folder cannot be used, or no size fits.
    """
    minutes = _read_budget(budget)
    place = f"advise: {photos}"
    folder = find_folder(photos, place)
    given = Given(in_folders=holds_parts(folder))
    count = len(list_class_folders(folder, place, given))
    size, seconds = choose_size(count, minutes)
    backbones = say_count(size.backbones, "backbone")
    say(f"advise: {count:,} photos at {size.pixels} pixels, {backbones}: about {seconds / 60:.0f} minutes")
    workspace = WORKSPACES / name_workspace(folder)
    with hold_workspace(workspace, f"./run thaw advise {photos}"):
        make_workspace(workspace, make_document(folder, size, given.in_folders), ROOT, find_cache(ROOT))
        run_table(workspace, environment=find_environment(ROOT))
        evidence = read_evidence(read_results(load(workspace / paths.PARAMS), workspace), workspace)
        print(f"\n{describe_advice(evidence, workspace)}")


def make_document(photos: pathlib.Path, size: Size, in_parts: bool = False) -> dict[str, Any]:
    """Return the parameters of a table of that Size on the photos of a folder, which may hold them in their parts."""
    document: dict[str, Any] = read_yaml(TABLE)
    kept = list(document["backbones"])[: size.backbones]
    document["dataset"] = {"source": "folder", "path": str(photos), "digest": None}
    if in_parts:
        document["dataset"]["parts"] = "folders"
        document["split"] = {key: value for key, value in document["split"].items() if key not in PARTS}
    document["image"]["size"] = size.pixels
    document["backbones"] = {name: document["backbones"][name] for name in kept}
    document["frozen"] = {name: run for name, run in document["frozen"].items() if run["backbone"] in kept}
    document["finetune"] = {
        name: {**run, "epochs": size.epochs} for name, run in document["finetune"].items() if run["from"] in kept
    }
    return document


def choose_size(photos: int, minutes: float | None) -> tuple[Size, float]:
    """Return (the most thorough Size whose table fits in so many `minutes`, the seconds that it takes, estimated).

    None for `minutes` takes the usual size. Raises InputError where none fits.
    """
    rate = measure_rate()
    seconds = {size: estimate(photos, size, rate) for size in SIZES}
    if minutes is None:
        return USUAL, seconds[USUAL]
    for size in SIZES:
        if seconds[size] <= 60 * minutes:
            return size, seconds[size]
    least = min(seconds.values()) / 60
    raise InputError(
        f"advise: --budget: {photos:,} photos take about {least:.1f} minutes at least on this machine (got {minutes:g})"
    )


def estimate(photos: int, size: Size, rate: float) -> float:
    """Return about how many seconds the table of a Size takes for so many `photos`; `rate` is FLOPs a second."""
    return START * STAGES[size.backbones] + photos * (PHOTO + count_flops(size) / rate)


@functools.cache
def count_flops(size: Size) -> float:
    """Return the FLOPs of the races and trainings of a Size for each photo of the folder; loads TensorFlow."""
    params = check(make_document(pathlib.Path("photos"), size), TABLE.name)
    return sum(count_run_flops(name, params) for name in params.finetune)


def measure_rate() -> float:
    """Return how many FLOPs of training this machine does in a second, by some steps of the first backbone of TABLE."""
    import numpy as np

    from thaw.base.determinism import configure  # loads TensorFlow
    from thaw.base.quiet import keras
    from thaw.networks.classifiers import build_classifier
    from thaw.networks.costs import count_training_flops

    params = check(read_yaml(TABLE), TABLE.name)
    configure(params.compute, params.training.seed)
    (backbone, *_), (frozen, *_) = params.backbones.values(), params.frozen.values()
    network = build_classifier(backbone.architecture, backbone.width, USUAL.pixels, frozen.head, 2)
    network.model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.zeros((params.training.batch_size, USUAL.pixels, USUAL.pixels, 3), np.float32)
    labels = np.zeros(len(images), np.int64)
    network.model.train_on_batch(images, labels)  # builds the graph
    start, steps = time.perf_counter(), 3
    for _ in range(steps):
        network.model.train_on_batch(images, labels)
    seconds = time.perf_counter() - start
    flops = count_training_flops(network.backbone.operations, network.backbone.layers)
    return steps * len(images) * flops / seconds


def describe_advice(evidence: Evidence, workspace: pathlib.Path) -> str:
    """Return what to unfreeze, how sure that is, and where model and report of the table at `workspace` are."""
    results, best = evidence.results, evidence.best
    run = next(run for run in results.runs if run.name == best)
    lines = [say_advice(run, load(workspace / paths.PARAMS)), *describe_best(evidence)]
    races = [f"  {name}: {_say_race(race)}" for name, race in results.races.items()]
    if races:
        lines.append("What the races tried, with the validation accuracy of each, in %:\n" + "\n".join(races))
    lines.append(
        f"The model: {workspace / paths.find_weights(best)}\n"
        f"What it says of other photos, in {workspace}:\n\n    {ROOT / 'run'} thaw predict PHOTO\n\n"
        + say_report(workspace)
    )
    return fill([*lines, *results.notes])


def say_advice(run: Run, params: Params) -> str:
    """Return the sentence that says what to unfreeze, where `run` is the best of the table."""
    if run.backbone is None:
        return "None of the pretrained networks is better than a small CNN from scratch: look at the photos first."
    architecture = params.backbones[run.backbone].architecture
    opened = run.unfrozen.removesuffix(" (by a race)")
    if run.kind == "frozen" or opened.startswith("nothing"):
        return f"Unfreeze nothing of {architecture}: train a head on it."
    whole = "the whole of" if opened == "all" else f"the {opened} of"
    return f"Unfreeze {whole} {architecture}, from a trained head on."


def name_workspace(photos: pathlib.Path) -> str:
    """Return the name of the workspace of the photos in a folder: another folder has another one."""
    name = re.sub(r"[^a-z0-9]+", "-", photos.name.lower()).strip("-")[:40]
    return f"{name or 'photos'}-{hashlib.sha256(str(photos).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _say_race(race: Mapping[str, Any]) -> str:
    told = [f"{name} {100 * found['validation_accuracy']:.1f}" for name, found in race["candidates"].items()]
    return f"{', '.join(told)}: {race['chosen']}, for {100 * race['share']:.0f} % of the cost of training them all"


def _read_budget(budget: str | None) -> float | None:
    if budget is None:
        return None
    try:
        minutes = float(budget)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < 1e6:
        raise InputError(f"advise: --budget: must be a number of minutes above 0 (got {budget!r})")
    return minutes
