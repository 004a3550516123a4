"""./run thaw best: the best run of the table, the last commit and the experiments on it, and how to get it."""

import pathlib
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from thaw.base import paths
from thaw.cli.reviewing.revisions import HEAD
from thaw.cli.show import WIDTH
from thaw.cli.versions import read_versions
from thaw.comparison.pairs import NOT_SHOWN, Evidence, answer_questions, find_better, find_cheapest, find_standing
from thaw.comparison.words import NO_TEST, align, interval, percent, say_p

NAMES = 21  # characters of the column of runs: the other columns, and the space between, take the rest of WIDTH
NEITHER = "–"  # what stands in the table for NOT_SHOWN
UNBROKEN: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}  # names and paths


def print_best() -> None:
    """Print the best run on validation, of the working directory's table, the last commit and the experiments on it."""
    table, others, notes = read_versions()
    evidence, homes = merge(table.evidence, {name: version.evidence for name, version in others.items()})
    marks = table.evidence.results.notes
    print(fill([*describe_best(evidence), say_how_to_get(evidence.best, homes), *notes, *marks]))


def fill(paragraphs: Iterable[str]) -> str:
    """Return paragraphs as text with lines of at most WIDTH characters, but for commands, which are indented."""

    def break_line(line: str) -> str:
        return line if line.startswith(" ") else textwrap.fill(line, WIDTH, **UNBROKEN)

    return "\n\n".join("\n".join(map(break_line, paragraph.splitlines())) for paragraph in paragraphs)


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


def describe_best(evidence: Evidence) -> list[str]:
    """Return the paragraphs on the best run on validation, its accuracies, and what it cannot be told apart from."""
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
        header = ["run", "trains", "acc. %", "behind, points", "p", "is"]
        rows = [_list_against(evidence, name) for name in evidence.against]
        sections.append(
            f"The others on the same photos of {part}: the parameters that each trains, its accuracy, how far it is "
            "behind with the 95 % interval of that (Newcombe's, paired), and McNemar's exact p, corrected by Holm's "
            f"method. As good: it surely loses less than {margin:g} points; {NEITHER}: {NOT_SHOWN}."
        )
        sections.append(align(header, rows, left=1, widths=(NAMES,)))
        cheapest = find_cheapest(evidence)
        count = f"{results.scores[cheapest]['trainable_parameters']:,} parameters"
        sections.append(
            f"No run that trains less is shown to be as good; {best} trains {count}."
            if cheapest == best
            else f"Of those that are as good, {cheapest} trains least: {count}."
        )
    return sections


def _list_against(evidence: Evidence, name: str) -> list[str]:
    """Return the cells of run `name` beside the best one."""
    results, pair = evidence.results, evidence.against[name]
    scores, standing = results.scores[name], find_standing(pair, results.margin)
    difference, low, high = (f"{100 * value:.1f}" for value in pair.interval)
    row = [name + results.marks[name], f"{scores['trainable_parameters']:,}"]
    row += [percent(scores[results.part]["accuracy"]), f"{difference} ({low} – {high})"]
    p = say_p(pair.p).removeprefix("p ").removeprefix("= ").replace(" ", "")
    return [*row, p, NEITHER if standing == NOT_SHOWN else standing]


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
