"""What the stages found, read from the files that git tracks, for the runs that the parameters name."""

import csv
import io
import pathlib
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from thaw.base import paths
from thaw.base.errors import InputError, kind
from thaw.base.files import MADE_AGAIN, read_json
from thaw.base.names import BASELINE, PARTS, PRETRAINED
from thaw.base.sections import validate
from thaw.base.spreadsheets import release
from thaw.comparison.documents import Document, Evaluation, Origin, Raced
from thaw.comparison.inference import wilson_interval
from thaw.comparison.sections import Report
from thaw.explanation.sections import Explain
from thaw.export.sections import Export
from thaw.photos.sections import Dataset
from thaw.training.sections import BaselineRun, FinetuneRun, Folds, FrozenRun, Phase, Replicates

MOST_SHOWN = 60  # runs that have a row in every table of the report, and a panel or a figure of their own

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Table(Protocol):
    """The sections of params.yaml that name the runs and what is repeated; thaw.config.checking.Params has them."""

    @property
    def dataset(self) -> Dataset:
        """Where the photos come from."""

    @property
    def baseline_cnn(self) -> BaselineRun | None:
        """The run from scratch; None leaves it out."""

    @property
    def frozen(self) -> Mapping[str, FrozenRun]:
        """The runs that train a head alone, by name."""

    @property
    def finetune(self) -> Mapping[str, FinetuneRun]:
        """The runs that unfreeze part of a backbone, by name."""

    @property
    def replicates(self) -> Mapping[str, Replicates]:
        """The runs that are trained with other seeds, by name."""

    @property
    def folds(self) -> Mapping[str, Folds]:
        """The runs that are cross-validated, by name."""

    @property
    def export(self) -> Mapping[str, Export]:
        """The runs that are exported, by name."""

    @property
    def explain(self) -> Mapping[str, Explain]:
        """The runs whose networks are explained, by name."""

    @property
    def report(self) -> Report:
        """What the report concludes by."""


class Run(NamedTuple):
    """One row of the comparison."""

    name: str
    kind: Literal["baseline", "frozen", "finetuned"]
    backbone: str | None  # an entry of `backbones`
    start: str | None  # the frozen run that a fine-tuned one goes on from
    unfrozen: str  # what is, as `describe_unfreeze` has it
    epochs: tuple[int, ...]  # of each phase, the frozen one first
    unfreeze: dict[str, Any] | None = None  # what was set of thaw.networks.sections.Unfreeze, for a fine-tuned one
    optimizer: str = ""  # of the last phase, with its rate: ``adam 0.0001``

    @property
    def training(self) -> str:
        """The epochs as text: ``15``, or ``5 + 15``."""
        return " + ".join(str(epochs) for epochs in self.epochs)


class Results(NamedTuple):
    """Everything that the report shows, but for times. A document is what a stage wrote as JSON."""

    dataset: str  # as `name_dataset` has it
    download: dict[str, Any]
    split: dict[str, Any]
    preprocess: dict[str, Any]
    runs: list[Run]  # those that have been run
    listed: list[Run]  # all that the parameters name
    weights: dict[str, dict[str, Any]]  # backbone -> the document of its weights
    marks: dict[str, str]  # run -> the mark of its footnote, or ""
    notes: list[str]  # the footnotes, each with its mark
    scores: dict[str, dict[str, Any]]  # run -> the document of its evaluation
    part: Literal["test", "validation"]  # the part that counts: validation where the split has no test part
    margin: float = 0.02  # of accuracy that a run may lose and still be as good as the best
    replicated: Sequence[str] = ()  # the runs that the parameters have trained with other seeds
    explained: Sequence[str] = ()  # those whose networks they have explained
    races: Mapping[str, dict[str, Any]] = {}  # run -> the document of its race, for those that have one

    def has(self, run: Run) -> bool:
        """Return whether a Run of `listed` has been run."""
        return run.name in self.scores

    @property
    def shown(self) -> list[Run]:
        """The Runs of `listed` that the report shows one by one: all or, of more than MOST_SHOWN, these.

        The best on validation, so many of them, the baseline, and the frozen runs that they start from.
        """
        if len(self.listed) <= MOST_SHOWN:
            return self.listed
        best = {BASELINE, *rank_runs(self)[:MOST_SHOWN]}
        best |= {run.start for run in self.runs if run.name in best and run.start}
        return [run for run in self.listed if run.name in best]

    @property
    def waiting(self) -> list[Run]:
        """The Runs that have not been run yet."""
        return [run for run in self.listed if not self.has(run)]


def read_results(params: Table, folder: str | pathlib.Path = ".", whole: bool = False) -> Results:
    """Return the Results of the runs in `params` from the metrics below `folder`.

    A run without an evaluation counts as not run yet; with `whole` one that lacks any of its files does, too. Raises
    InputError, naming the file and the command that makes it, where that holds for all of them or something else is
    missing.
    """
    folder, listed = pathlib.Path(folder), list_runs(params)
    missing = {run.name: find_missing(run, folder) for run in listed}
    runs = [
        run
        for run in listed
        if not missing[run.name] or (not whole and paths.find_evaluation(run.name) not in missing[run.name])
    ] or listed[:1]
    races = _read_races(runs, folder)
    runs, listed = ([_say_choice(run, races) for run in each] for each in (runs, listed))
    weights = _read_weights(runs, listed, folder)
    scores = {
        run.name: read_metrics(folder / paths.find_evaluation(run.name), run.name, shape=Evaluation) for run in runs
    }
    for document in scores.values():
        for part in PARTS:
            if part in document:
                document[part]["accuracy"] = float(restore_shares(document[part]["accuracy"], document[part]["photos"]))
    part = _find_part(scores, folder)
    needed = {run.backbone for run in runs}
    marks, notes = mark_weights({name: document for name, document in weights.items() if name in needed})
    return Results(
        dataset=name_dataset(params.dataset),
        download=read_metrics(folder / paths.DOWNLOADED, "download"),
        split=read_metrics(folder / paths.SPLIT_COUNTS, "split"),
        preprocess=read_metrics(folder / paths.PREPROCESSED, "preprocess"),
        runs=runs,
        listed=listed,
        weights=weights,
        marks={run.name: marks.get(run.backbone, "") if run.backbone else "" for run in runs},
        notes=notes,
        scores=scores,
        part=part,
        margin=params.report.margin / 100,
        replicated=list(params.replicates),
        explained=list(params.explain),
        races=races,
    )


def find_missing(run: Run, folder: str | pathlib.Path = ".") -> list[str]:
    """Return the files of a Run, of those that what it shows is judged by, that are not there below `folder`."""
    finders = paths.find_evaluation, paths.find_predictions, paths.find_history, paths.find_training
    files = [find(run.name) for find in finders]
    if run.backbone:
        files.append(paths.find_weights_metrics(run.backbone))
    return [file for file in files if not (pathlib.Path(folder) / file).exists()]


def restore_shares(shares: ArrayLike, photos: int) -> np.ndarray:
    """Return shares of so many `photos` with all digits: the metrics have six, and what prints them rounds again."""
    return np.rint(np.asarray(shares, float) * photos) / photos


def _read_weights(runs: list[Run], listed: list[Run], folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Return {backbone: the document of its weights} of the `listed` Runs; those that `runs` rest on must be there."""
    needed = {run.backbone for run in runs}
    files = {run.backbone: folder / paths.find_weights_metrics(run.backbone) for run in listed if run.backbone}
    return {
        name: read_metrics(file, "weights", name, shape=Origin)
        for name, file in files.items()
        if name in needed or file.exists()
    }


def _find_part(scores: dict[str, dict[str, Any]], folder: pathlib.Path) -> Literal["test", "validation"]:
    """Return the part that counts in the `scores` of the runs; raises InputError where only some have those of test."""
    tested = [name for name, document in scores.items() if "test" in document]
    if not tested:
        return "validation"
    if len(tested) < len(scores):
        name = next(name for name in scores if name not in tested)
        raise InputError(
            f"{folder / paths.find_evaluation(name)}: must have scores on test, as {tested[0]} has (got none): "
            "./run dvc repro"
        )
    return "test"


def list_runs(params: Table) -> list[Run]:
    """Return the runs of `params`: its baseline, then for each backbone its frozen runs, each before those from it.

    What starts from a pretrained backbone with a head of its own comes last of its backbone.
    """
    runs, baseline = [], params.baseline_cnn
    if baseline:
        opened, optimizer = "all (from scratch)", _name_optimizer(baseline)
        runs.append(Run(BASELINE, "baseline", None, None, opened, (baseline.epochs,), optimizer=optimizer))
    for backbone, start in _list_starts(params):
        frozen = params.frozen.get(start)
        before = (frozen.epochs,) if frozen else ()
        if frozen:
            unfrozen, optimizer = describe_unfreeze(None), _name_optimizer(frozen)
            runs.append(Run(start, "frozen", backbone, None, unfrozen, before, optimizer=optimizer))
        for name, run in params.finetune.items():
            if run.start == start:
                unfreeze = run.unfreeze.model_dump(exclude_unset=True) if run.unfreeze else None
                optimizer = _name_optimizer(run)
                unfrozen, epochs, origin = describe_unfreeze(unfreeze), (*before, run.epochs), start if frozen else None
                runs.append(Run(name, "finetuned", backbone, origin, unfrozen, epochs, unfreeze, optimizer))
    return runs


def _list_starts(params: Table) -> list[tuple[str, str]]:
    """Return (backbone, what runs start from: a frozen run or a pretrained backbone), sorted by backbone, none twice.

    The backbones are in the order in which the parameters first name them.
    """
    starts = [(frozen.backbone, name) for name, frozen in params.frozen.items()]
    starts += [
        (run.start.removeprefix(PRETRAINED), run.start)
        for run in params.finetune.values()
        if run.start.startswith(PRETRAINED)
    ]
    backbones = list(dict.fromkeys(backbone for backbone, _ in starts))
    return sorted(dict.fromkeys(starts), key=lambda start: backbones.index(start[0]))


def _read_races(runs: Sequence[Run], folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Return {run: document of its race} of the Runs that have one."""
    raced = [run.name for run in runs if run.unfreeze and "auto" in run.unfreeze]
    return {name: read_metrics(folder / paths.find_training(name), name, "race", shape=Raced) for name in raced}


def _say_choice(run: Run, races: Mapping[str, Mapping[str, Any]]) -> Run:
    """Return a Run with the words of what its race chose, if it has one; its `unfreeze` stays what was asked."""
    race = races.get(run.name)
    return run._replace(unfrozen=f"{say_candidate(race['chosen'])} (by a race)") if race else run


def say_candidate(name: str) -> str:
    """Return what a candidate of a race, as metrics name it, opens: as `describe_unfreeze` has it."""
    if name in ("head", "all"):
        return describe_unfreeze({"all": True} if name == "all" else None)
    return describe_unfreeze({"blocks": int(name.removeprefix("blocks-"))})


def describe_unfreeze(unfreeze: Mapping[str, Any] | None) -> str:
    """Return what an `unfreeze` mapping (or None) opens, as in ``last 4 blocks and stages conv4, conv5``."""
    asked = {key: value for key, value in (unfreeze or {}).items() if value is not None and value != []}
    if "auto" in asked:
        return "what a race chooses"
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


def name_dataset(dataset: Dataset) -> str:
    """Return what section `dataset` names, for a reader; a folder of this machine stays unnamed."""
    if dataset.source == "tfds":
        return dataset.name
    if dataset.source == "archive":
        return pathlib.PurePosixPath(urllib.parse.urlsplit(dataset.url).path).name
    return {"folder": "a folder of photos", "sample": "the drawn sample"}[dataset.source]


def mark_weights(weights: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, str], list[str]]:
    """Return ({backbone: mark}, notes): a footnote for each kind of weights that Keras does not vouch for.

    `weights` is {backbone: the document of its weights}, in the order in which marks are given.
    """
    marks: dict[str, str] = {}
    notes: dict[str, str] = {}
    for backbone, document in weights.items():
        note = _describe_origin(document)
        if note:
            marks[backbone] = notes.setdefault(note, str(len(notes) + 1).translate(SUPERSCRIPTS))
    return marks, [f"{mark} {note}" for note, mark in notes.items()]


def say_weights(results: Results, names: Sequence[str]) -> str:
    """Return what a verdict on runs (names) says of their weights: nothing, or as in `` (on stand-in weights)``."""
    backbones = {run.name: run.backbone for run in results.listed}
    documents = [results.weights[backbone] for backbone in {backbones[name] for name in names} if backbone]
    kinds = sorted({kind for document in documents if (kind := _name_origin(document))})
    return f" (on {' and '.join(kinds)})" if kinds else ""


def rank_runs(results: Results) -> list[str]:
    """Return the names of the runs, the best on validation first; of equals, the one that trains fewer parameters."""

    def key(run: Run) -> tuple[float, int]:
        scores = results.scores[run.name]
        return -scores["validation"]["accuracy"], scores["trainable_parameters"]

    return [run.name for run in sorted(results.runs, key=key)]


def find_run_interval(scores: Mapping[str, Any], part: str) -> tuple[float, float]:
    """Return (low, high), in [0, 1], of the 95 % interval (Wilson) of the accuracy on `part` in a run's `scores`."""
    return wilson_interval(scores[part]["accuracy"], scores[part]["photos"])


def read_classes(name: str, part: str, folder: str | pathlib.Path = ".") -> pd.DataFrame:
    """Return the scores of each class on `part` as a DataFrame: class, precision, recall, f1 in [0, 1], photos."""
    table = read_plot(pathlib.Path(folder) / paths.find_class_scores(name), dtype={"class": str})
    return table[table["part"] == part]


def read_metrics(path: str | pathlib.Path, *keys: str, shape: type[Document] | None = None) -> Any:
    """Return what stands under `keys` in the JSON file at `path`, which is of `shape`.

    Raises InputError, naming file and key, where it cannot be had.
    """
    try:
        document = read_json(path)
    except FileNotFoundError:
        raise _missing(path) from None
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            raise InputError(f"{path}: must have the key {'.'.join(keys)}; {MADE_AGAIN}")
        document = document[key]
    if shape is not None:
        _, faults = validate(shape, document, f"{path}: {'.'.join(keys)}")
        if faults:
            raise InputError(f"{faults[0]}; {MADE_AGAIN}")
    return document


def read_plot(
    path: str | pathlib.Path, columns: Iterable[str] = (), numbers: Sequence[str] = (), **options: Any
) -> pd.DataFrame:
    """Return the CSV table at `path`, read by pandas with `options`; a class named NA stays text.

    Raises InputError, naming file and line or column, where there is none or it is no table: each row has a field for
    each column, `columns` and `numbers` are there, and `numbers` hold nothing but numbers.
    """
    path = pathlib.Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        _check_rows(text, path)
        table = release(pd.read_csv(io.StringIO(text), keep_default_na=False, **options))
    except FileNotFoundError:
        raise _missing(path) from None
    except (ValueError, OverflowError, csv.Error) as error:  # as all errors of pandas on what is no table
        raise InputError(f"{path}: must be a CSV table ({' '.join(str(error).split())}); {MADE_AGAIN}") from None
    for name in (*columns, *numbers):
        if name not in table.columns:
            raise InputError(f"{path}: must have the column {name}; {MADE_AGAIN}")
    for name in numbers:
        if len(table) and not pd.api.types.is_numeric_dtype(table[name]):
            value = table.loc[pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna(), name].iloc[0]
            raise InputError(f"{path}: {name}: must be a number (got {kind(value)}); {MADE_AGAIN}")
    return table


def _check_rows(text: str, path: pathlib.Path) -> None:
    """Raise InputError unless each row of a CSV has as many fields as the first; pandas makes up those that lack."""
    reader = csv.reader(io.StringIO(text), strict=True)
    header = next(reader, [])
    for row in reader:
        if row and len(row) != len(header):
            raise InputError(
                f"{path}: line {reader.line_num}: must have {len(header)} fields (got {len(row)}); {MADE_AGAIN}"
            )


def _name_optimizer(phase: Phase) -> str:
    """Return the optimizer of a Phase with its rate, ``adam 0.0001``."""
    return f"{phase.optimizer.name} {phase.optimizer.learning_rate:g}"


def _missing(path: str | pathlib.Path) -> InputError:
    return InputError(f"{path}: no such file; {MADE_AGAIN}")


def _name_origin(document: Mapping[str, Any]) -> str | None:
    """Return in two words what a backbone's weights are, or None for those that Keras publishes."""
    if document["official"] is not False:
        return None
    names = {"sample": "weights made here", "random": "random weights", "imagenet": "stand-in weights"}
    return names.get(document["weights"], "weights of another file")


def _describe_origin(document: Mapping[str, Any]) -> str | None:
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
