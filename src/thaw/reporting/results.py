"""What the stages found, read from the files that git tracks, for the runs that the parameters name."""

import json
import pathlib
import urllib.parse
from typing import NamedTuple

import pandas as pd

from thaw.names import BASELINE, PRETRAINED
from thaw.params import InputError
from thaw.publishing import read_json
from thaw.scoring import find_interval

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Run(NamedTuple):
    """One row of the comparison."""

    name: str
    kind: str  # baseline, frozen or finetuned
    backbone: str | None  # an entry of `backbones`
    start: str | None  # the frozen run that a fine-tuned one goes on from
    thaws: str  # in words
    epochs: tuple[int, ...]  # of each phase, the frozen one first
    unfreeze: dict | None = None  # what was set of thaw.unfreezing.Unfreeze, for a fine-tuned one
    optimizer: str = ""  # of the last phase, with its rate: ``adam 0.0001``

    @property
    def training(self):
        """The epochs in words: ``15``, or ``5 + 15``."""
        return " + ".join(str(epochs) for epochs in self.epochs)


class Results(NamedTuple):
    """Everything that the report tells, but for times."""

    dataset: str  # in words
    download: dict
    split: dict
    preprocess: dict
    runs: list[Run]  # those that have been run
    listed: list[Run]  # all that the parameters name
    weights: dict[str, dict]  # backbone -> where its weights come from
    marks: dict[str, str]  # run -> the mark of its footnote, or ""
    notes: list[str]  # the footnotes, each with its mark
    scores: dict[str, dict]  # run -> the document of its evaluation
    part: str  # the part that counts: test, or validation where the split has no test part

    def has(self, run):
        """Tell whether a Run of `listed` has been run."""
        return run.name in self.scores

    @property
    def waiting(self):
        """The Runs that have not been run yet."""
        return [run for run in self.listed if not self.has(run)]


def read_results(params, folder="."):
    """Return the Results of the runs in `params` (thaw.schema.Params) from the metrics below `folder`.

    A run without an evaluation counts as not run yet. Raises InputError, naming the file and the command that makes it,
    where that holds for all of them or something else is missing.
    """
    folder, listed = pathlib.Path(folder), list_runs(params)
    runs = [run for run in listed if (folder / f"metrics/evaluate/{run.name}.json").exists()] or listed[:1]
    needed = {run.backbone for run in runs if run.backbone}
    paths = {run.backbone: folder / f"metrics/weights/{run.backbone}.json" for run in listed if run.backbone}
    weights = {
        name: read_metrics(path, "weights", name) for name, path in paths.items() if name in needed or path.exists()
    }
    scores = {run.name: read_metrics(folder / f"metrics/evaluate/{run.name}.json", run.name) for run in runs}
    tested = [run.name for run in runs if "test" in scores[run.name]]
    if tested and len(tested) < len(runs):
        name = next(run.name for run in runs if run.name not in tested)
        raise InputError(
            f"{folder / f'metrics/evaluate/{name}.json'}: must have scores on test, as {tested[0]} has (got none): "
            "./run dvc repro"
        )
    marks, notes = mark_weights({name: document for name, document in weights.items() if name in needed})
    return Results(
        dataset=name_dataset(params.dataset),
        download=read_metrics(folder / "metrics/download.json", "download"),
        split=read_metrics(folder / "metrics/split.json", "split"),
        preprocess=read_metrics(folder / "metrics/preprocess.json", "preprocess"),
        runs=runs,
        listed=listed,
        weights=weights,
        marks={run.name: marks.get(run.backbone, "") for run in runs},
        notes=notes,
        scores=scores,
        part="test" if tested else "validation",
    )


def list_runs(params):
    """Return the runs of `params`: the baseline, then for each backbone its frozen runs, each before those from it.

    What starts from a pretrained backbone with a head of its own comes last of its backbone.
    """
    baseline = params.baseline_cnn
    words = _name_optimizer(baseline)
    runs = [Run(BASELINE, "baseline", None, None, "all (from scratch)", (baseline.epochs,), optimizer=words)]
    starts = [(frozen.backbone, name) for name, frozen in params.frozen.items()]
    starts += [
        (run.start.removeprefix(PRETRAINED), run.start)
        for run in params.finetune.values()
        if run.start.startswith(PRETRAINED)
    ]
    backbones = list(dict.fromkeys(backbone for backbone, _ in starts))
    for backbone, start in sorted(dict.fromkeys(starts), key=lambda pair: backbones.index(pair[0])):
        frozen = params.frozen.get(start)
        before = (frozen.epochs,) if frozen else ()
        if frozen:
            words = _name_optimizer(frozen)
            runs.append(Run(start, "frozen", backbone, None, describe_thaw(None), before, optimizer=words))
        for name, run in params.finetune.items():
            if run.start == start:
                unfreeze = run.unfreeze.model_dump(exclude_unset=True)
                thaws, epochs, words = describe_thaw(unfreeze), (*before, run.epochs), _name_optimizer(run)
                runs.append(Run(name, "finetuned", backbone, start if frozen else None, thaws, epochs, unfreeze, words))
    return runs


def describe_thaw(unfreeze):
    """Return in words what an `unfreeze` mapping (or None) opens, as in ``last 4 blocks and stages conv4, conv5``."""
    asked = {key: value for key, value in (unfreeze or {}).items() if value is not None and value != []}
    if "all" in asked:
        return "all"
    words = []
    for key in ("layers", "blocks"):
        if key in asked:
            words.append(f"last {asked[key]} {key}" if asked[key] != 1 else f"last {key[:-1]}")
    if "from_layer" in asked:
        words.append(f"from layer {asked['from_layer']}")
    if "stages" in asked:
        words.append(f"stage{'s' * (len(asked['stages']) > 1)} {', '.join(asked['stages'])}")
    return " and ".join(words) or "nothing (head only)"


def name_dataset(dataset):
    """Return in words what section `dataset` names; a folder of this machine stays unnamed."""
    if dataset.source == "tfds":
        return dataset.name
    if dataset.source == "archive":
        return pathlib.PurePosixPath(urllib.parse.urlsplit(dataset.url).path).name
    return {"folder": "a folder of photos", "sample": "the drawn sample"}[dataset.source]


def mark_weights(weights):
    """Return ({backbone: mark}, notes): a footnote for each kind of weights that Keras does not vouch for.

    `weights` is {backbone: the document of its weights}, in the order in which marks are given.
    """
    marks, notes = {}, {}
    for backbone, document in weights.items():
        note = _describe_origin(document)
        if note:
            marks[backbone] = notes.setdefault(note, str(len(notes) + 1).translate(SUPERSCRIPTS))
    return marks, [f"{mark} {note}" for note, mark in notes.items()]


def rank_runs(results):
    """Return the names of the runs, the best on validation first; of equals, the one that trains fewer parameters."""

    def key(run):
        scores = results.scores[run.name]
        return -scores["validation"]["accuracy"], scores["trainable_parameters"]

    return [run.name for run in sorted(results.runs, key=key)]


def find_run_interval(scores, part):
    """Return (low, high), in [0, 1], of the 95 % interval (Wilson) of the accuracy on `part` in a run's `scores`."""
    return find_interval(scores[part]["accuracy"], scores[part]["photos"])


def read_classes(name, part, folder="."):
    """Return the scores of each class on `part` as a DataFrame: class, precision, recall, f1 in [0, 1], photos."""
    table = read_plot(pathlib.Path(folder) / f"plots/classes/{name}.csv", dtype={"class": str})
    return table[table["part"] == part]


def read_metrics(path, *keys):
    """Return what stands under `keys` in the JSON file at `path`; raises InputError where it cannot be had."""
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise _missing(path) from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: must be JSON (line {error.lineno}: {error.msg}); ./run dvc repro makes it") from None
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            raise InputError(f"{path}: must have the key {'.'.join(keys)}; ./run dvc repro makes it")
        document = document[key]
    return document


def read_plot(path, **options):
    """Return the CSV table at `path`; a class named NA stays text. Raises InputError where there is none."""
    try:
        return pd.read_csv(path, keep_default_na=False, **options)
    except FileNotFoundError:
        raise _missing(path) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: must be a CSV table ({str(error).strip()}); ./run dvc repro makes it") from None


def _name_optimizer(phase):
    return f"{phase.optimizer.name} {phase.optimizer.learning_rate:g}"


def _missing(path):
    return InputError(f"{path}: no such file; ./run dvc repro makes it")


def _describe_origin(document):
    """Return the footnote that a backbone's weights ask for, or None for the file that Keras publishes."""
    if document["weights"] == "sample":
        return "rests on weights made here: a backbone trained on drawn flowers of other classes, not on ImageNet"
    if document["weights"] == "random":
        return "rests on weights made here: random numbers, trained on nothing"
    if document["official"] is None:
        return "Keras publishes no hash for the file of these weights; dvc.lock pins the one that came"
    if document["official"]:
        return None
    if document["weights"] == "imagenet":
        return "rests on weights that are not the file that Keras publishes: a stand-in from the mirror"
    return "rests on weights that are not the file that Keras publishes: a file named in params.yaml"
