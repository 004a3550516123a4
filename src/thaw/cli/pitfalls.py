"""docs/pitfalls.md: what published mistakes do to a run, from the kept results of preset `pitfalls`.

    ./run python -m thaw.cli.pitfalls

The prose stands in pitfalls.md.j2. Outcomes are computed from presets/pitfalls/ and state no more than a test found.
"""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from thaw.base.errors import run_program
from thaw.cli.kept import Page, read_table, show, write_page
from thaw.comparison.pairs import VERDICTS, Evidence, Pair, holds, judge_questions, say_pair
from thaw.comparison.results import Results, Run
from thaw.comparison.words import NOT_RUN, code, escape, interval, percent, say_count, to_markdown
from thaw.reporting import plotting
from thaw.reporting.figures import Drawing, tabulate_runs
from thaw.reporting.tables import list_rows
from thaw.reporting.templates import render

PRESET = "pitfalls"

SOUND, FROZEN = "mobilenet-blocks-2", "mobilenet"  # the runs that make no mistake

AGES = [f"{SOUND}-epochs-{epochs}" for epochs in range(2, 15, 2)]


class Pitfall(NamedTuple):
    """A mistake: what it is called, and the runs that make it, each with the one that does not."""

    title: str
    runs: dict[str, str]


PITFALLS = {
    "statistics": Pitfall("BatchNorm statistics that move", {f"{SOUND}-batch": SOUND}),
    "preprocessing": Pitfall(
        "Another network's preprocessing",
        {"mobilenet-as-resnet50": FROZEN, "mobilenet-as-resnet50-blocks-2": SOUND},
    ),
    "rescaling": Pitfall(
        "Photos rescaled twice",
        {"mobilenet-rescaled": FROZEN, "mobilenet-rescaled-blocks-2": SOUND},
    ),
    "rate": Pitfall(
        "The head's rate on pretrained layers",
        {f"{SOUND}-rate-1e-3": SOUND, f"{SOUND}-rate-1e-2": SOUND},
    ),
}


def list_drawings(evidence: Evidence) -> list[Drawing]:
    """Return the Drawings of the page: accuracies, validation curves, accuracy by the age of one training."""
    results, part = evidence.results, evidence.results.part
    runs = tabulate_runs(evidence)
    runs = runs[~runs["run"].isin(AGES) & (runs["kind"] != "baseline")].reset_index(drop=True)
    runs["unfrozen"] = [_name_mistake(name) for name in runs["run"]]
    curves = [(name + results.marks[name], evidence.histories[name]) for name in runs["run"] if name.startswith(SOUND)]
    table = curves[0][1][["epoch"]].copy()
    for name, history in curves:
        table[name] = history["validation_accuracy"]
    ages = _find_ages(results)
    return [
        Drawing(
            "accuracies",
            f"{part} accuracy of {len(runs)} runs, each with its 95 % interval: the two that make no mistake, and "
            "those that do",
            runs[["run", "unfrozen", "part", "accuracy", "low", "high"]],
            functools.partial(
                plotting.draw_overview, runs.assign(group=""), part, SOUND, results.notes, "the sound run"
            ),
        ),
        Drawing(
            "curves",
            "validation accuracy by epoch of the runs that open the last two blocks",
            table,
            functools.partial(plotting.draw_histories, curves, results.notes),
        ),
        Drawing(
            "ages",
            f"accuracy on validation and {part} of one training by the number of its epochs",
            ages,
            functools.partial(plotting.draw_ages, ages, part, results.notes),
        ),
    ]


def render_page(evidence: Evidence, drawings: Sequence[Drawing]) -> str:
    """Return the page in Markdown on `evidence` of the preset's runs, with the `drawings` of `list_drawings`."""
    results = evidence.results
    measured = [pair for pitfall in PITFALLS.values() for pair in pitfall.runs.items()]
    done = {run.name for run in results.runs}
    pairs = judge_questions(evidence, {"pitfalls": [pair for pair in measured if done.issuperset(pair)]})
    found = {pair.first: pair for pair in pairs}
    ages = _find_ages(results)
    return render(
        pathlib.Path(__file__).with_name("pitfalls.md.j2"),
        sound=SOUND,
        frozen=FROZEN,
        dataset=escape(results.dataset),
        photos=f"{results.scores[results.runs[0].name][results.part]['photos']:,}",
        part=results.part,
        summary=_summarize(pairs, results.part),
        figures={drawing.name: show(PRESET, drawing) for drawing in drawings},
        runs=_tabulate_runs(evidence, found),
        notes=results.notes,
        titles={key: pitfall.title for key, pitfall in PITFALLS.items()},
        outcomes={key: _list_outcomes(evidence, found, pitfall) for key, pitfall in PITFALLS.items()},
        ages=_tabulate_ages(ages, results.part),
        choices=_describe_choices(ages, results.part),
    )


def _summarize(pairs: Sequence[Pair], part: str) -> str:
    """Return the sentence on how many mistakes changed the accuracy: those of `pairs`, the mistake first."""
    counts = {
        "worse than the run that does not make it": sum(pair.winner == pair.second for pair in pairs),
        "better than that": sum(pair.winner == pair.first for pair in pairs),
        f"not to be told apart from it on these photos of {part}": sum(pair.winner is None for pair in pairs),
    }
    listed = ", ".join(f"{count} {'is' if count == 1 else 'are'} {words}" for words, count in counts.items() if count)
    return f"Of {say_count(len(pairs), 'run')} with a mistake, {listed}."


def _tabulate_runs(evidence: Evidence, found: Mapping[str, Pair]) -> str:
    """Return the Markdown table of the sound runs and those with a mistake, whose Pairs are `found` by run."""
    results = evidence.results
    runs = [run for run in results.listed if run.name not in AGES and run.kind != "baseline"]
    header = [
        "Run",
        "Mistake",
        "Validation %",
        f"{results.part.capitalize()} %",
        "95 % interval",
        "Against the sound run",
    ]

    def measure(run: Run, scores: Mapping[str, Any]) -> list[str]:
        pair = found.get(run.name)
        accuracies = [percent(scores[part]["accuracy"]) for part in ("validation", results.part)]
        words = "–" if pair is None else f"{pair.paired.first_only} against {pair.paired.second_only}"
        return [*accuracies, interval(scores, results.part), words]

    rows = list_rows(results, runs, len(header), lambda run: [escape(run.name), _name_mistake(run.name)], measure)
    return to_markdown(header, rows, left=2)


def _name_mistake(name: str) -> str:
    """Return the title of the mistake that run `name` makes, or ``none``."""
    return next((pitfall.title for pitfall in PITFALLS.values() if name in pitfall.runs), "none")


def _list_outcomes(evidence: Evidence, found: Mapping[str, Pair], pitfall: Pitfall) -> str:
    """Return the Markdown list of what came of a Pitfall's runs, whose Pairs are `found` by run."""
    return "\n".join(f"- {_say_outcome(evidence, found, *pair)}" for pair in pitfall.runs.items())


def _say_outcome(evidence: Evidence, found: Mapping[str, Pair], name: str, sound: str) -> str:
    """Return the sentences on run `name`, which makes a mistake that run `sound` does not make."""
    results = evidence.results
    if name not in found:
        return f"{code(name)}: {NOT_RUN}."
    reached, expected = (percent(results.scores[entry][results.part]["accuracy"]) for entry in (name, sound))
    words = " and ".join(key for key in VERDICTS if holds(evidence, name, key))
    training = f" Its training is judged {words}." if words else ""
    compared = say_pair(found[name], found[name].paired.photos)
    return f"{reached} % on {results.part} in place of {expected} %: {compared}{training}"


def _find_ages(results: Results) -> pd.DataFrame:
    """Return a row per age of the sound training: its epochs, its accuracy in [0, 1] on validation and what counts."""
    rows = []
    for run in results.runs:
        if run.name in [*AGES, SOUND]:
            scores = results.scores[run.name]
            rows.append((run.epochs[-1], *(scores[part]["accuracy"] for part in ("validation", results.part))))
    return pd.DataFrame(sorted(rows), columns=["epochs", "validation", results.part])


def _tabulate_ages(ages: pd.DataFrame, part: str) -> str:
    """Return `ages` of `_find_ages` as a Markdown table."""
    rows = [[f"{row['epochs']:.0f}", percent(row["validation"]), percent(row[part])] for _, row in ages.iterrows()]
    return to_markdown(["Epochs", "Validation %", f"{part.capitalize()} %"], rows, left=0)


def _describe_choices(ages: pd.DataFrame, part: str) -> str:
    """Return the sentences on the accuracy that each way to choose an epoch of `ages` gives on `part`."""
    last, by_test = ages.iloc[-1], ages.loc[ages[part].idxmax()]
    by_validation = ages.loc[ages["validation"].idxmax()]
    gain, spread = 100 * (by_test[part] - last[part]), 100 * (ages[part].max() - ages[part].min())
    return (
        f"At its end, epoch {last['epochs']:.0f}, the run has {percent(last[part])} % on {part}; at the age that is "
        f"best on {part}, epoch {by_test['epochs']:.0f}, {percent(by_test[part])} %, {gain:.1f} points more from the "
        f"choice alone; at the age that is best on validation, epoch {by_validation['epochs']:.0f}, "
        f"{percent(by_validation[part])} %. Between ages the accuracy on {part} moves by {spread:.1f} points."
    )


PAGE = Page(PRESET, read_table, list_drawings, render_page)

if __name__ == "__main__":
    run_program(lambda: write_page(PAGE, pathlib.Path.cwd()))
