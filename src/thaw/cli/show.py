"""./run thaw show: every run of the table and what experiments made of it, as text, Markdown or CSV."""

import csv
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pandas as pd

from thaw.base.spreadsheets import FORMULA
from thaw.cli.reviewing.differences import compare_params
from thaw.cli.reviewing.revisions import HEAD
from thaw.cli.versions import Version, read_versions
from thaw.comparison.results import Run, find_run_interval
from thaw.comparison.words import NO_TEST, align, clean, escape, interval, percent, to_markdown

WORK_TREE = "work tree"
WIDTH = 80  # characters of a line of text
WIDTHS = (24, 21)  # of its first two columns: the other two, and what is between, take 35
SHARED = ("dataset", "split", "image", "compute", "training")  # sections of params.yaml that every run reads
COLUMNS = ("run", "experiment", "unfrozen", "changed", "trainable", "validation", "test", "low", "high", "best")


class Row(NamedTuple):
    """A run, as the last commit has it or as an experiment left it."""

    run: Run
    experiment: str  # its name; WORK_TREE, or "" for what the others are compared with
    changed: str  # the keys of params.yaml behind it, ``learning_rate=0.0003``
    scores: Mapping[str, Any]  # the document of its evaluation
    mark: str  # of its footnote


class Outcome(NamedTuple):
    """A Row and what it rests on."""

    row: Row
    predictions: pd.DataFrame  # as read_predictions returns them


def print_table(form: Literal["text", "md", "csv"]) -> None:
    """Print the table as ``text`` of at most 80 columns, as Markdown (``md``) or as ``csv``.

    What experiments on the last commit changed stands below the run that it changed. Raises InputError where the work
    tree has no run that can be read.
    """
    table, others, notes = read_versions()
    rows, same = list_rows(table, others)
    best, part = find_best(rows), table.evidence.results.part
    if form == "csv":
        _write_csv(rows, best, part)
        for note in [*same, *notes]:
            print(note, file=sys.stderr)
        return
    below = ["* best on validation; accuracies in percent, 95 % intervals"]
    if part != "test":
        below.append(NO_TEST)
    told = ["\n".join([*below, *table.evidence.results.notes]), *same, *notes]
    if form == "text":
        told = ["\n".join(textwrap.fill(line, WIDTH) for line in text.splitlines()) for text in told]
    lines = [_list_cells(row, row is best, part, form) for row in rows]
    header = ["run", "unfrozen, changed", "validation", *(["test"] if part == "test" else [])]
    shown = to_markdown(header, lines, left=2) if form == "md" else align(header, lines, widths=WIDTHS)
    print("\n\n".join([shown, *told]))


def list_rows(table: Version, others: Mapping[str, Version]) -> tuple[list[Row], list[str]]:
    """Return (rows, notes): a Row for each run of the last commit, below it those of experiments that differ.

    `table` is the work tree, which is told apart where no experiment has the same; without a commit it is what the
    others are compared with. The notes name the experiments that changed no run.
    """
    base = others.get(HEAD, table)
    versions = {name: version for name, version in others.items() if name != HEAD}
    if base is not table:
        versions[WORK_TREE] = table
    names = [run.name for version in (base, *versions.values()) for run in version.evidence.results.runs]
    rows: list[Row] = []
    for name in dict.fromkeys(names):
        found = {"": _find_outcome("", base, base, name)}
        for experiment, version in versions.items():
            outcome = _find_outcome(experiment, version, base, name)
            known = found.values() if experiment == WORK_TREE else [found[""]]
            if outcome and not any(other and _is_same(outcome, other) for other in known):
                found[experiment] = outcome
        rows += [outcome.row for outcome in found.values() if outcome]
    shown = {row.experiment for row in rows}
    same = [name for name in versions if name not in shown and name != WORK_TREE]
    return rows, [f"As the last commit in every run: {', '.join(same)}."] if same else []


def describe_change(run: Run, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return what differs between two documents of params.yaml in what a Run reads, ``learning_rate=0.0003``."""
    own = run.name if run.kind == "baseline" else f"{'frozen' if run.kind == 'frozen' else 'finetune'}.{run.name}"
    read = [own, *SHARED, *([f"backbones.{run.backbone}"] if run.backbone else [])]
    if run.start:
        read.append(f"frozen.{run.start}")
    told = []
    for key, (first, second) in compare_params(before, after).items():
        if first is None and key == own or not any(key == place or key.startswith(f"{place}.") for place in read):
            continue  # of another run, or the run is new
        shown = key.removeprefix(f"{own}.").removeprefix("optimizer.")
        told.append(f"no {shown}" if second is None else f"{shown}={json.dumps(second, ensure_ascii=False)}")
    return clean(", ".join(told))


def find_best(rows: Sequence[Row]) -> Row:
    """Return the best Row on validation; of equals the one that trains fewer parameters, then the first."""
    return min(rows, key=lambda row: (-row.scores["validation"]["accuracy"], row.scores["trainable_parameters"]))


def _find_outcome(experiment: str, version: Version, base: Version, name: str) -> Outcome | None:
    """Return the Outcome of run `name` in a Version, None where it has none; `base` is what it is compared with."""
    results = version.evidence.results
    run = next((run for run in results.runs if run.name == name), None)
    if run is None:
        return None
    changed = describe_change(run, base.document, version.document)
    row = Row(run, experiment, changed, results.scores[name], results.marks[name])
    return Outcome(row, version.evidence.predictions[name])


def _is_same(one: Outcome, other: Outcome) -> bool:
    same = one.row.changed == other.row.changed and one.row.scores == other.row.scores
    return same and one.predictions.equals(other.predictions)


def _list_cells(row: Row, best: bool, part: str, form: str) -> list[str]:
    """Return the cells of a Row in a table for readers."""
    show = escape if form == "md" else clean
    name = f"└ {show(row.experiment)}" if row.experiment else show(row.run.name)
    name += row.mark + (" *" if best else "")
    if best and form == "md":
        name = f"**{name}**"
    what = show(row.changed) if row.experiment and row.changed else row.run.unfrozen
    cells = [f"{percent(row.scores[shown]['accuracy'])}" for shown in dict.fromkeys(("validation", part))]
    cells[-1] += f" ({interval(row.scores, part)})"
    return [name, what, *cells]


def _write_csv(rows: Sequence[Row], best: Row, part: str) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        texts = row.run.name, row.experiment, row.run.unfrozen, row.changed
        low, high = find_run_interval(row.scores, part)
        accuracies = [
            row.scores[shown]["accuracy"] if shown in row.scores else None for shown in ("validation", "test")
        ]
        numbers = [None if value is None else round(value, 6) for value in (*accuracies, low, high)]
        guarded = (f"'{text}" if FORMULA.match(text) else text for text in texts)
        writer.writerow([*guarded, row.scores["trainable_parameters"], *numbers, int(row is best)])
