"""The whole of params.yaml: every section's class, and what must hold between sections.

Nothing here imports TensorFlow, so a fault is reported within a second.
"""

import re
import types
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from thaw.architectures.table import ARCHITECTURES
from thaw.base.errors import InputError, kind
from thaw.base.names import BASELINE, PARTS, PRETRAINED
from thaw.base.sections import Compute, Section, validate
from thaw.comparison.sections import Report
from thaw.config.salvaging import FAULTY, Unread, find_hidden, find_section, salvage
from thaw.config.unseen import UNSEEN, find_unseen
from thaw.explanation.sections import Explain
from thaw.export.sections import Export
from thaw.networks.sections import Head, find_faults, find_smallest_size
from thaw.photos.sections import Dataset
from thaw.records.sections import Image
from thaw.split.sections import Split
from thaw.training.sections import BaselineRun, FinetuneRun, Folds, FrozenRun, Replicates, Training
from thaw.weights.sections import Backbone

NAME = "[a-z0-9][a-z0-9_-]*"  # of a backbone or run: what a file name, a stage of DVC and an override may have in it
# File systems take names of 255 bytes. The longest that is made of a name is KEY.weights.h5 with 27 characters more,
# while DVC moves it.
MOST_CHARACTERS = 200


class Params(NamedTuple):
    """The checked parameters, a field per section."""

    dataset: Dataset
    split: Split
    image: Image
    compute: Compute
    training: Training
    backbones: dict[str, Backbone]
    baseline_cnn: BaselineRun | None  # None leaves it out
    frozen: dict[str, FrozenRun]
    finetune: dict[str, FinetuneRun]
    report: Report
    replicates: dict[str, Replicates] = {}  # run -> how often it is trained
    folds: dict[str, Folds] = {}
    export: dict[str, Export] = {}
    explain: dict[str, Explain] = {}

    @property
    def runs(self) -> dict[str, BaselineRun | FrozenRun | FinetuneRun]:
        """The runs of the table by name: the baseline, where there is one, then those of `frozen` and `finetune`."""
        baseline = {BASELINE: self.baseline_cnn} if self.baseline_cnn else {}
        return {**baseline, **self.frozen, **self.finetune}

    def find_phases(self, run: str) -> tuple[str, list[FrozenRun | FinetuneRun]]:
        """Return (what the first phase starts from, as ``pretrained/BACKBONE``, the phases that lead to `run`).

        The phases are the frozen run that it starts from, if there is one, and the run itself. Raises KeyError where
        `run` is no entry of `frozen` or `finetune`.
        """
        if run in self.frozen:
            return PRETRAINED + self.frozen[run].backbone, [self.frozen[run]]
        tuned = self.finetune[run]
        if tuned.start not in self.frozen:
            return tuned.start, [tuned]
        before = self.frozen[tuned.start]
        return PRETRAINED + before.backbone, [before, tuned]

    def find_place(self, run: str) -> str:
        """Return where `run` of the table stands in params.yaml, as ``finetune.mobilenet-blocks-4``."""
        return run if run == BASELINE else f"{'frozen' if run in self.frozen else 'finetune'}.{run}"

    def find_timed(self, run: str) -> str:
        """Return the run whose latency is measured for `run`: the first whose network is the same.

        The runs are taken in the order of `runs`. A network is a backbone and a head, compared by value, and whether it
        sees mirror images too; that of baseline_cnn is its own. Raises KeyError where there is no such run.
        """
        network = self._find_network(run)
        return next(name for name in self.runs if self._find_network(name) == network)

    def _find_network(self, run: str) -> tuple[str, Head | None, bool] | None:
        """Return (``pretrained/BACKBONE``, head, flip_test) of a run; None for baseline_cnn."""
        if run == BASELINE:
            return None
        start, phases = self.find_phases(run)
        return start, phases[0].head, phases[-1].flip_test


SECTIONS: dict[str, Any] = {  # name -> a Section or an annotated union of Sections
    "dataset": Dataset,
    "split": Split,
    "image": Image,
    "compute": Compute,
    "training": Training,
    "baseline_cnn": BaselineRun | None,
    "report": Report,
}

ENTRIES: dict[str, type[Section]] = {  # name -> entry
    "backbones": Backbone,
    "frozen": FrozenRun,
    "finetune": FinetuneRun,
    "replicates": Replicates,
    "folds": Folds,
    "export": Export,
    "explain": Explain,
}


def check(document: Mapping[Any, Any], file: str) -> Params:
    """Return the Params in `document`, the mapping that `file` holds.

    Raises InputError with every fault, a line each, in the tone of
    ``params.yaml: finetune.resnet50-blocks-10.unfreeze.blocks: must be 1 to 16 for resnet50 (got 20)``.
    """
    values, faults = examine(document, file)
    if faults:
        raise InputError("\n".join(faults))
    return Params(**values)


def examine(document: Mapping[Any, Any], file: str) -> tuple[dict[str, Any], list[str]]:
    """Return (values, faults): the checked sections of `document` by name, and a line for each fault, as `check` has.

    A section with a fault is not among the values; an entry with one is None.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    known = [*SECTIONS, *ENTRIES]
    for key in document:
        if key not in known:
            faults.append(f"{file}: {_shorten(key)}: no such section; there are {', '.join(known)}")
    for key, cls in SECTIONS.items():
        if key not in document:
            faults.append(f"{file}: {key}: must be given")
            continue
        value, found = validate(cls, document[key], f"{file}: {key}")
        if not found:
            values[key] = value
        elif section := find_section(cls):
            found += find_hidden(section, document[key], f"{file}: {key}")
        faults += dict.fromkeys(found)
    for key, cls in ENTRIES.items():
        values[key], entries = {}, document.get(key)
        if not isinstance(entries, dict):
            faults.append(f"{file}: {key}: must be a mapping of names (got {kind(entries)})")
            continue
        for name, entry in entries.items():
            fault = _check_name(name)
            if fault:
                faults.append(f"{file}: {key}.{_shorten(name)}: {fault}")
                continue
            value, found = validate(cls, entry, f"{file}: {key}.{name}")
            values[key][name] = value
            faults += dict.fromkeys([*found, *find_hidden(cls, entry, f"{file}: {key}.{name}")] if found else [])
    faults += [
        f"{file}: {_shorten(path)}: must have another name than {' and '.join(UNSEEN)}, by which DVC's run cache does "
        "not tell one value from another"
        for path in find_unseen(document)
    ]
    faults += _check_references(_complete(values, document), document, file)
    return values, [write_plainly(fault) for fault in faults]


def _complete(values: Mapping[str, Any], document: Mapping[Any, Any]) -> dict[str, Any]:
    """Return `values` with what can be read of sections and entries that have a fault: it hides no other fault."""
    found: dict[str, Any] = dict(values)
    sections: dict[str, type[Section]] = {"split": Split, "image": Image, BASELINE: BaselineRun}
    for key, section in sections.items():
        if key not in values:
            found[key] = salvage(section, document.get(key))
    for key, cls in ENTRIES.items():
        if not isinstance(document.get(key), dict):
            found[key] = Unread(cls)
            continue
        found[key] = {
            name: salvage(cls, document[key][name]) if entry is None else entry for name, entry in values[key].items()
        }
    return found


def write_plainly(text: str) -> str:
    """Return `text` as one line that a terminal shows as it is: line ends and control characters are escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _check_name(name: object) -> str | None:
    """Return what is wrong with the name of a backbone or run, or None."""
    if not isinstance(name, str):
        return f"a name must be text, in quotes where YAML takes it for something else (got {kind(name)})"
    if not re.fullmatch(NAME, name):
        return f"a name must be of a-z, 0-9, - and _ (got {kind(name)})"
    if len(name) > MOST_CHARACTERS:
        return f"a name must have at most {MOST_CHARACTERS} characters (got {len(name)})"
    return None


def _shorten(key: object) -> str:
    """Return a key as the place of a fault shows it."""
    text = str(key)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_references(values: dict[str, Any], document: Mapping[Any, Any], file: str) -> Iterator[str]:
    """Yield the faults between entries; what has a fault of its own is FAULTY here and is not looked at again."""
    backbones, frozen, finetune = (values[key] for key in ("backbones", "frozen", "finetune"))
    for key in ("backbones", "frozen"):
        if document.get(key) == {}:
            yield f"{file}: {key}: must have at least one entry"
    yield from _check_sizes(values, file)
    yield from _check_shares(values, file)
    names = [BASELINE, *frozen, *finetune]  # with the baseline also where it is left out: its stages are not
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{file}: {name}: a run's name must be given once, over baseline_cnn, frozen and finetune"
    for name, run in frozen.items():
        if run.backbone is not FAULTY and run.backbone not in backbones:
            yield _say_unknown(f"{file}: frozen.{name}.backbone", backbones, run.backbone)
    for name, run in finetune.items():
        yield from _check_finetune(run, values, f"{file}: finetune.{name}")
    heads = {f"{file}: {BASELINE}": values[BASELINE]} if values[BASELINE] else {}
    heads |= {f"{file}: frozen.{name}": run for name, run in frozen.items()}
    for place, run in heads.items():
        if run.layer_decay not in (None, FAULTY):
            yield f"{place}.layer_decay: must be left out, no block of a backbone trains (got {kind(run.layer_decay)})"
    for section in ("replicates", "folds"):
        yield from _check_repetitions(section, values, file)
    runs = names if values[BASELINE] else names[1:]
    for section in ("export", "explain"):
        for name in values[section]:
            if not (name in runs or name in frozen or name in finetune):  # of an Unread section any name may be
                yield _say_unknown(f"{file}: {section}.{name}", runs, name)
    for name, export in values["export"].items():
        backbone = _find_backbone(name, values)
        asked = export.formats is not FAULTY and "onnx" in export.formats
        if asked and backbone and not ARCHITECTURES[backbone.architecture].onnx:
            yield (
                f"{file}: export.{name}.formats: must be of saved_model, litert for {backbone.architecture}, which has "
                "operations that the converter to ONNX does not know (got 'onnx')"
            )


def _check_finetune(run: FinetuneRun, values: dict[str, Any], place: str) -> Iterator[str]:
    """Yield the faults between the fine-tuned run at `place` and what it starts from."""
    backbones, frozen = values["backbones"], values["frozen"]
    if run.start is FAULTY:
        return
    if run.start.startswith(PRETRAINED):
        key, allowed = run.start.removeprefix(PRETRAINED), backbones
        if run.head is None:
            yield f"{place}.head: must be given with from: {run.start}"
    else:
        key, allowed = run.start, frozen
        if run.head is not None:
            yield f"{place}.head: must be left out, the head is that of {run.start}"
    if key not in allowed:
        choices = [*frozen, *(PRETRAINED + backbone for backbone in backbones)]
        yield _say_unknown(f"{place}.from", choices, run.start)
        return
    if allowed is frozen:
        key = frozen[key].backbone
    backbone = backbones.get(key)
    if not backbone or backbone.architecture is FAULTY:
        return
    if not ARCHITECTURES[backbone.architecture].batch_norm and run.batch_norm not in ("inference", FAULTY):
        yield (
            f"{place}.batch_norm: must be inference for {key}, which has no BatchNorm layers: all modes are the same "
            f"(got {kind(run.batch_norm)})"
        )
    if run.unfreeze not in (None, FAULTY):
        for at, message, value in find_faults(_forget_faulty(run.unfreeze), backbone.architecture, key):
            yield f"{place}.unfreeze.{at}: {message} (got {kind(value)})"


def _forget_faulty(section: Any) -> Any:
    """Return what is salvaged of a Section with None in the place of what is FAULTY; one without a fault as it is."""
    if not isinstance(section, types.SimpleNamespace):
        return section
    known = {name: None if value is FAULTY else _forget_faulty(value) for name, value in vars(section).items()}
    return types.SimpleNamespace(**known)


def _check_repetitions(section: str, values: dict[str, Any], file: str) -> Iterator[str]:
    """Yield the faults between the entries of `section` and the runs that they name."""
    frozen, finetune = values["frozen"], values["finetune"]
    for name, repetition in values[section].items():
        if name not in frozen and name not in finetune:
            yield _say_unknown(f"{file}: {section}.{name}", [*frozen, *finetune], name)
            continue
        start = finetune[name].start if name in finetune else name
        if start is FAULTY:
            continue
        run = frozen.get(start)
        backbone = run.backbone if run else start.removeprefix(PRETRAINED)
        known = run or start.startswith(PRETRAINED)
        if known and FAULTY not in (backbone, repetition.backbone) and repetition.backbone != backbone:
            place = f"{file}: {section}.{name}.backbone"
            yield f"{place}: must be that of the run, {backbone} (got {kind(repetition.backbone)})"
        phases = [phase for phase in (run, finetune.get(name)) if phase]
        if section == "folds" and any(phase.early_stopping not in (None, FAULTY) for phase in phases):
            # A fold has no photos but those to train on and those to score.
            yield f"{file}: folds.{name}: must be of a run without early_stopping: it would choose on what it scores"


def _check_sizes(values: dict[str, Any], file: str) -> Iterator[str]:
    """Yield the faults of images too small for the networks that see them."""
    needs = {}
    for name, backbone in values["backbones"].items():
        if backbone.architecture is FAULTY:
            continue
        smallest = ARCHITECTURES[backbone.architecture].smallest
        needs[name] = smallest
        size = backbone.pretraining.size if backbone.pretraining not in (None, FAULTY) else smallest
        if size is not FAULTY and size < smallest:
            yield f"{file}: backbones.{name}.pretraining.size: must be at least {smallest} for {name} (got {size})"
    network: Any = values[BASELINE].network if values[BASELINE] else FAULTY
    if network is not FAULTY and network.filters is not FAULTY:
        needs[BASELINE] = find_smallest_size(network)
    image = values["image"]
    for name, smallest in needs.items():
        if image.size is not FAULTY and image.size < smallest:
            yield f"{file}: image.size: must be at least {smallest} for {name} (got {image.size})"


def _check_shares(values: dict[str, Any], file: str) -> Iterator[str]:
    """Yield the faults of shares that are asked for though the parts come with the photos, or are not where not."""
    if "dataset" not in values:
        return
    given = getattr(values["dataset"], "parts", None)
    for part in PARTS:
        share = getattr(values["split"], part)
        if given and share not in (None, FAULTY):
            yield f"{file}: split.{part}: must be left out with dataset.parts: {given} (got {kind(share)})"
        if not given and share is None:
            yield f"{file}: split.{part}: must be given"


def _find_backbone(run: str, values: dict[str, Any]) -> Backbone | None:
    """Return the backbone of `run`; None where it has none, or a fault of another kind hides it."""
    start = values["finetune"][run].start if run in values["finetune"] else run
    name: object = None
    if start in values["frozen"]:
        name = values["frozen"][start].backbone
    elif isinstance(start, str):
        name = start.removeprefix(PRETRAINED)
    backbone: Backbone | None = values["backbones"].get(name) if isinstance(name, str) else None
    return backbone if backbone and backbone.architecture is not FAULTY else None


def _say_unknown(place: str, choices: Collection[str], received: object) -> str:
    return f"{place}: must be one of {', '.join(choices) or 'no entry, there is none'} (got {kind(received)})"
