"""The whole of params.yaml: every section's class, and what must hold between sections."""

import re
from typing import NamedTuple

from thaw.backbones import ARCHITECTURES
from thaw.compute import Compute
from thaw.datasets.sources import Dataset
from thaw.names import BASELINE, PRETRAINED
from thaw.networks import find_smallest_size
from thaw.params import FILE, InputError, kind, load, run, validate
from thaw.pretraining import Backbone
from thaw.records import Image
from thaw.repeating import Folds, Replicates
from thaw.splitting import Split
from thaw.training import BaselineRun, FinetuneRun, FrozenRun, Training
from thaw.unfreezing import find_faults


class Params(NamedTuple):
    """The checked parameters, a field per section."""

    dataset: Dataset
    split: Split
    image: Image
    compute: Compute
    training: Training
    backbones: dict[str, Backbone]
    baseline_cnn: BaselineRun
    frozen: dict[str, FrozenRun]
    finetune: dict[str, FinetuneRun]
    replicates: dict[str, Replicates] = {}  # run -> how often it is trained
    folds: dict[str, Folds] = {}


SECTIONS = {
    "dataset": Dataset,
    "split": Split,
    "image": Image,
    "compute": Compute,
    "training": Training,
    "baseline_cnn": BaselineRun,
}
ENTRIES = {  # name -> entry
    "backbones": Backbone,
    "frozen": FrozenRun,
    "finetune": FinetuneRun,
    "replicates": Replicates,
    "folds": Folds,
}


def check(document, file):
    """Return the Params in `document`, the mapping that `file` holds.

    Raises InputError with every fault, a line each, in the tone of
    ``params.yaml: finetune.resnet50-blocks-10.unfreeze.blocks: must be 1 to 16 for resnet50 (got 20)``.
    """
    faults, values = [], {}
    known = [*SECTIONS, *ENTRIES]
    for key in document:
        if key not in known:
            faults.append(f"{file}: {key}: no such section; there are {', '.join(known)}")
    for key, cls in SECTIONS.items():
        if key not in document:
            faults.append(f"{file}: {key}: must be given")
            continue
        values[key], found = validate(cls, document[key], f"{file}: {key}")
        faults += found
    for key, cls in ENTRIES.items():
        values[key], entries = {}, document.get(key)
        if not isinstance(entries, dict):
            faults.append(f"{file}: {key}: must be a mapping of names (got {kind(entries)})")
            continue
        for name, entry in entries.items():
            if not isinstance(name, str) or not re.fullmatch("[a-z0-9][a-z0-9_-]*", name):
                faults.append(f"{file}: {key}.{name}: a name must be of a-z, 0-9, - and _ (got {kind(name)})")
                continue
            value, found = validate(cls, entry, f"{file}: {key}.{name}")
            values[key][name] = value
            faults += found
    faults += _check_references(values, document, file)
    if faults:
        raise InputError("\n".join(faults))
    return Params(**values)


def _check_references(values, document, file):
    """Return the faults between entries; an entry with faults of its own is None here and is not looked at again."""
    faults = []
    backbones, frozen, finetune = (values[key] for key in ("backbones", "frozen", "finetune"))
    for key in ("backbones", "frozen"):
        if document.get(key) == {}:
            faults.append(f"{file}: {key}: must have at least one entry")
    faults += _check_sizes(values, file)
    runs = [BASELINE, *frozen, *finetune]
    for name in sorted({name for name in runs if runs.count(name) > 1}):
        faults.append(f"{file}: {name}: a run's name must be given once, over baseline_cnn, frozen and finetune")
    for name, run in frozen.items():
        if run and run.backbone not in backbones:
            faults.append(_say_unknown(f"{file}: frozen.{name}.backbone", backbones, run.backbone))
    for name, run in finetune.items():
        if not run:
            continue
        place = f"{file}: finetune.{name}"
        if run.start.startswith(PRETRAINED):
            key, allowed = run.start.removeprefix(PRETRAINED), backbones
            if run.head is None:
                faults.append(f"{place}.head: must be given with from: {run.start}")
        else:
            key, allowed = run.start, frozen
            if run.head is not None:
                faults.append(f"{place}.head: must be left out, the head is that of {run.start}")
        if key not in allowed:
            choices = [*frozen, *(PRETRAINED + backbone for backbone in backbones)]
            faults.append(_say_unknown(f"{place}.from", choices, run.start))
            continue
        if allowed is frozen:
            key = frozen[key] and frozen[key].backbone
        backbone = backbones.get(key)
        if backbone:
            for at, message, value in find_faults(run.unfreeze, backbone.architecture, key):
                faults.append(f"{place}.unfreeze.{at}: {message} (got {kind(value)})")
    return faults + [fault for section in ("replicates", "folds") for fault in _check_repetitions(section, values, file)]


def _check_repetitions(section, values, file):
    """Return the faults between the entries of `section` and the runs that they name."""
    frozen, finetune = values["frozen"], values["finetune"]
    for name, repetition in values[section].items():
        if name not in frozen and name not in finetune:
            yield _say_unknown(f"{file}: {section}.{name}", [*frozen, *finetune], name)
            continue
        start = finetune[name].start if finetune.get(name) else name
        run = frozen.get(start)
        backbone = run.backbone if run else start.removeprefix(PRETRAINED)
        known = run or start.startswith(PRETRAINED)  # what the run starts from has no fault of its own
        if repetition and known and repetition.backbone != backbone:
            place = f"{file}: {section}.{name}.backbone"
            yield f"{place}: must be that of the run, {backbone} (got {kind(repetition.backbone)})"


def _check_sizes(values, file):
    """Return the faults of images too small for the networks that see them."""
    needs = {}
    for name, backbone in values["backbones"].items():
        if backbone:
            smallest = ARCHITECTURES[backbone.architecture].smallest
            needs[name] = smallest
            size = backbone.pretraining and backbone.pretraining.size
            if size and size < smallest:
                yield f"{file}: backbones.{name}.pretraining.size: must be at least {smallest} for {name} (got {size})"
    if values.get(BASELINE):
        needs[BASELINE] = find_smallest_size(values[BASELINE].network)
    image = values.get("image")
    for name, smallest in needs.items():
        if image and image.size < smallest:
            yield f"{file}: image.size: must be at least {smallest} for {name} (got {image.size})"


def _say_unknown(place, choices, received):
    return f"{place}: must be one of {', '.join(choices) or 'no entry, there is none'} (got {kind(received)})"


if __name__ == "__main__":  # ./run checks the file before `dvc repro` and `dvc exp run`
    run(lambda: load(FILE))
