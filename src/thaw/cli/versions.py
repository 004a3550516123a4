"""The results of the work tree, the last commit and the experiments on it, side by side."""

import pathlib
from typing import Any, NamedTuple

import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import MADE_AGAIN
from thaw.cli.reviewing.revisions import HEAD, check_out, list_alternatives
from thaw.comparison.pairs import Evidence, read_evidence
from thaw.comparison.results import find_missing, read_results
from thaw.config.checking import check
from thaw.config.loading import read_yaml


class Version(NamedTuple):
    """What the work tree, a commit or an experiment holds."""

    document: dict[str, Any]  # params.yaml as it stands
    evidence: Evidence  # on the runs of which every file is there


def read_versions() -> tuple[Version, dict[str, Version], list[str]]:
    """Return (work tree, others, notes): the Version of the work tree, and those of the last commit, HEAD, and of the
    experiments on it, by name.

    The notes say which runs of the work tree are missing, and which experiments are left out: those that cannot be
    read, and those whose photos are not those of the work tree, because accuracies on other photos rank nothing. Raises
    InputError where the work tree has no run that can be read.
    """
    table, found = _read(pathlib.Path()), {}
    notes = _list_missing(table)
    alternatives, said = list_alternatives()
    notes += [f"Left out: an experiment: {words}" for words in said]
    for name, commit in alternatives.items():
        try:
            version = _read_commit(commit)
        except InputError as error:
            notes.append(f"Left out: {say_name(name)}: {error}")
            continue
        if _list_photos(version.evidence).equals(_list_photos(table.evidence)):
            found[name] = version
        else:
            notes.append(f"Left out: {say_name(name)}, which was scored on other photos.")
    return table, found, notes


def say_name(name: str) -> str:
    """Return what a sentence calls the Version of that name."""
    return "the last commit" if name == HEAD else f"experiment {name}"


def _read(folder: pathlib.Path) -> Version:
    document = read_yaml(folder / paths.PARAMS)
    results = read_results(check(document, paths.PARAMS), folder, whole=True)
    return Version(document, read_evidence(results, folder))


def _read_commit(commit: str) -> Version:
    """Return the Version in a commit; raises InputError, which names files as the commit does, where there is none."""
    with check_out(commit) as folder:
        try:
            return _read(folder)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "").replace(str(folder), "it")) from None


def _list_missing(table: Version) -> list[str]:
    """Return the sentences on the runs of the work tree that are listed in params.yaml and not in its results."""
    missing = {run.name: find_missing(run) for run in table.evidence.results.waiting}
    begun = {name: files for name, files in missing.items() if paths.find_evaluation(name) not in files}
    notes = [f"Left out: {name}: {files[0]}: no such file; {MADE_AGAIN}" for name, files in begun.items()]
    if fresh := [name for name in missing if name not in begun]:
        notes.append(f"Not run yet, and left out: {', '.join(fresh)}. ./run dvc repro runs what is missing.")
    return notes


def _list_photos(evidence: Evidence) -> pd.DataFrame:
    """Return a row for each photo that the runs were scored on: id, part and actual class."""
    return next(iter(evidence.predictions.values()))[["part", "actual"]]
