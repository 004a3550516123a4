"""./run thaw best: the best run of the table, the last commit and the experiments on it, and how to get it."""

import pathlib
from collections.abc import Mapping

import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.cli.reviewing.revisions import HEAD, check_out, list_alternatives
from thaw.comparison.pairs import (
    Evidence,
    answer_questions,
    find_better,
    find_cheapest,
    find_standing,
    read_evidence,
)
from thaw.comparison.results import read_results
from thaw.comparison.words import NO_TEST, align, interval, percent, say_p
from thaw.config.loading import load


def print_best() -> None:
    """Print the best run on validation, of the working directory's table, the last commit and the experiments on it."""
    table = read_evidence(read_results(load()))
    experiments, notes = read_experiments(table)
    evidence, homes = merge(table, experiments)
    print("\n\n".join([describe_best(evidence), say_how_to_get(evidence.best, homes), *notes, *table.results.notes]))


def read_experiments(table: Evidence) -> tuple[dict[str, Evidence], list[str]]:
    """Return ({experiment: Evidence}, notes) of the last commit, HEAD, and the experiments on it.

    The notes say which are left out: those that cannot be read, and those whose photos are not those of `table`
    (Evidence), because accuracies on other photos rank nothing.
    """
    found: dict[str, Evidence] = {}
    alternatives, said = list_alternatives()
    notes = [f"Left out: an experiment: {words}" for words in said]
    for name, commit in alternatives.items():
        try:
            evidence = _read_commit(commit)
        except InputError as error:
            notes.append(f"Left out: {_name(name)}: {error}")
            continue
        if _list_photos(evidence).equals(_list_photos(table)):
            found[name] = evidence
        else:
            notes.append(f"Left out: {_name(name)}, which was scored on other photos.")
    return found, notes


def merge(table: Evidence, experiments: Mapping[str, Evidence]) -> tuple[Evidence, dict[str, tuple[str, str]]]:
    """Return (Evidence, homes) of a table and of the runs that came out otherwise in {experiment: Evidence}.

    Such a run is called ``RUN (EXPERIMENT)``; `homes` is {that name: (run, experiment)}.
    """
    runs, scores, marks = list(table.results.runs), dict(table.results.scores), dict(table.results.marks)
    predictions = dict(table.predictions)
    homes: dict[str, tuple[str, str]] = {}
    for experiment, evidence in experiments.items():
        for run in evidence.results.runs:
            made, predicted = evidence.results.scores[run.name], evidence.predictions[run.name]
            same = [name for name in scores if homes.get(name, (name,))[0] == run.name]
            if any(scores[name] == made and predictions[name].equals(predicted) for name in same):
                continue
            name = f"{run.name} ({experiment})"
            homes[name] = (run.name, experiment)
            runs.append(run._replace(name=name, start=None))  # the run that it started from may be another one too
            scores[name], predictions[name], marks[name] = made, predicted, evidence.results.marks[run.name]
    if not homes:
        return table, homes
    results = table.results._replace(runs=runs, scores=scores, marks=marks)
    merged = table._replace(results=results, predictions=predictions)
    return answer_questions(merged), homes


def describe_best(evidence: Evidence) -> str:
    """Return which run is best on validation, its accuracies, and what it cannot be told apart from."""
    results, best, part = evidence.results, evidence.best, evidence.results.part
    runs, scores = {run.name: run for run in results.runs}, results.scores[evidence.best]
    lines = [f"Best on validation, of {len(runs)} runs: {best}{results.marks[best]} ({runs[best].unfrozen})"]
    for name in dict.fromkeys(("validation", part)):
        told = f", 95 % interval {interval(scores, name)}" if name == part else ""
        lines.append(f"  {name:10}  {percent(scores[name]['accuracy'])} % of {scores[name]['photos']:,} photos{told}")
    sections = ["\n".join(lines)]
    if part != "test":
        sections.append(NO_TEST)
    better = find_better(evidence)
    if better:
        sections.append(f"Better than it on {part}, which decides nothing: {', '.join(better)}")
    if evidence.against:
        margin = 100 * results.margin
        header = ["run", "unfrozen", "trainable", f"{part} %", "best − run, points", "p", "stands"]
        rows = [_list_against(evidence, name) for name in evidence.against]
        sections.append(
            f"The others on the same photos of {part}, with the 95 % interval of the difference (Newcombe's, paired) "
            f"and McNemar's exact p, corrected by Holm's method. As good: it surely loses less than {margin:g} "
            "points.\n\n" + align(header, rows)
        )
        cheapest = find_cheapest(evidence)
        count = f"{results.scores[cheapest]['trainable_parameters']:,} parameters"
        sections.append(
            f"No run that trains less is shown to be as good; {best} trains {count}."
            if cheapest == best
            else f"Of those that are as good, {cheapest} trains least: {count}."
        )
    return "\n\n".join(sections)


def _list_against(evidence: Evidence, name: str) -> list[str]:
    """Return the cells of run `name` beside the best one."""
    results, pair = evidence.results, evidence.against[name]
    scores = results.scores[name]
    opened = {run.name: run.unfrozen for run in results.runs}[name]
    difference, low, high = (f"{100 * value:+.1f}" for value in pair.interval)
    row = [name + results.marks[name], opened, f"{scores['trainable_parameters']:,}"]
    row += [percent(scores[results.part]["accuracy"]), f"{difference} ({low} to {high})", say_p(pair.p)]
    return [*row, find_standing(pair, results.margin)]


def say_how_to_get(best: str, homes: Mapping[str, tuple[str, str]]) -> str:
    """Return the command that puts run `best` in the work tree or, where it is there, how to load it."""
    if best in homes and homes[best][1] == HEAD:
        return (
            "It is the last commit's. To go back to that, params, metrics and weights; what is not committed is lost:"
            "\n\n    git restore .\n    ./run dvc checkout"
        )
    if best in homes:
        return f"To have it in the work tree, params, metrics and weights:\n\n    ./run dvc exp apply {homes[best][1]}"
    files = [paths.find_weights(best), paths.find_description(best)]
    if all(pathlib.Path(file).exists() for file in files):
        return (
            f"It is the work tree's own, with its weights in {files[0]}. To load it:\n\n"
            "    from thaw.networks.files import load_network  # in ./run python\n"
            f"    network, _ = load_network({best!r})"
        )
    return (
        "It is the work tree's own. Its weights come out of the cache, or from a remote:\n\n"
        f"    ./run dvc checkout {' '.join(files)}\n    ./run dvc pull {' '.join(files)}"
    )


def _read_commit(commit: str) -> Evidence:
    """Return the Evidence in a commit; raises InputError, which names files as the commit does, where there is none."""
    with check_out(commit) as folder:
        try:
            return read_evidence(read_results(load(folder / paths.PARAMS), folder), folder)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "").replace(str(folder), "it")) from None


def _name(experiment: str) -> str:
    return "the last commit" if experiment == HEAD else f"experiment {experiment}"


def _list_photos(evidence: Evidence) -> pd.DataFrame:
    """Return a row for each photo that the runs were scored on: id, part and actual class."""
    return next(iter(evidence.predictions.values()))[["part", "actual"]]
