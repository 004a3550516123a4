"""docs/recipe.md: what the ingredients of a training recipe add, from the kept results of preset `recipe`.

    ./run python -m thaw.cli.recipe

The prose stands in recipe.md.j2. Of the runs that open the same, the first is plain; the others are compared with it.
"""

import functools
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.cli.kept import Page, show, write_page
from thaw.cli.reviewing.differences import compare_params
from thaw.comparison.inference import LEVEL, wilson_interval
from thaw.comparison.repeats import FoldPair, Repeats, compare_folds, read_repeats
from thaw.comparison.results import Run, list_runs, mark_weights, name_dataset, read_metrics
from thaw.comparison.words import (
    NOT_RUN,
    code,
    escape,
    percent,
    say_count,
    say_interval,
    say_p,
    say_points,
    to_markdown,
)
from thaw.config.checking import Params
from thaw.reporting import plotting
from thaw.reporting.figures import Drawing
from thaw.reporting.templates import render

PRESET = "recipe"

TOGETHER = "-together"  # the end of the name of a run with all ingredients

BETTER, WORSE = "better than the plain run", "worse than the plain run"
ALIKE = "not to be told apart from the plain run"


class Kept(NamedTuple):
    """What the page tells of."""

    dataset: str
    runs: list[Run]  # that the preset cross-validates
    repeats: Repeats
    pairs: dict[str, FoldPair]  # run -> with its plain run, p corrected for all; of those that were cross-validated
    architectures: dict[str, str]  # of each backbone
    marks: dict[str, str]  # backbone -> the mark of its footnote, for those that have one
    notes: list[str]  # the footnotes, each with its mark
    additions: dict[str, str]  # run -> what of params.yaml differs from the plain run, ``clip_norm=1.0``


def read(params: Params, kept: pathlib.Path) -> Kept:
    """Return the Kept of the preset's `params` and of the metrics below `kept`; what is missing has not been run.

    Raises InputError where a file does not hold what it should.
    """
    runs = [run for run in list_runs(params) if run.name in params.folds]
    repeats = read_repeats(params, kept)
    done = dict.fromkeys(str(run.backbone) for run in runs if run.name in repeats.folds)
    weights = {name: read_metrics(kept / paths.find_weights_metrics(name), "weights", name) for name in done}
    marks, notes = mark_weights(weights)
    documents = {name: run.model_dump(by_alias=True, exclude_unset=True) for name, run in params.finetune.items()}
    additions = {}
    for run in runs:
        changed = compare_params(documents[find_plain(run, runs).name], documents[run.name])
        told = [f"{key}={json.dumps(after)}" for key, (_, after) in changed.items()]
        additions[run.name] = "all ingredients" if run.name.endswith(TOGETHER) else ", ".join(told) or "nothing"
    architectures = {name: backbone.architecture for name, backbone in params.backbones.items()}
    pairs = _compare(runs, repeats)
    return Kept(name_dataset(params.dataset), runs, repeats, pairs, architectures, marks, notes, additions)


def find_plain(run: Run, runs: Sequence[Run]) -> Run:
    """Return the first of `runs` that opens what `run` does, of the same backbone: the run without ingredients."""
    return next(other for other in runs if (other.backbone, other.unfrozen) == (run.backbone, run.unfrozen))


def _compare(runs: Sequence[Run], repeats: Repeats) -> dict[str, FoldPair]:
    pairs = [(run.name, find_plain(run, runs).name) for run in runs]
    done = repeats.predictions
    asked = [(first, second) for first, second in pairs if first != second and done.keys() >= {first, second}]
    return {pair.first: pair for pair in compare_folds(done, asked)}


def list_drawings(kept: Kept) -> list[Drawing]:
    """Return the one Drawing of the page: the difference of each run from its plain run, with its interval."""
    rows = []
    for run in kept.runs:
        if run.name in kept.pairs:
            difference, low, high = kept.pairs[run.name].interval
            group, mark = _name_group(kept, run), kept.marks.get(str(run.backbone), "")
            rows.append((run.name, mark, group, kept.architectures[str(run.backbone)], difference, low, high))
    columns = ["run", "mark", "group", "family", "difference", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    words = f"accuracy of {say_count(len(table), 'run')} in cross-validation less that of the plain run, with intervals"
    draw = functools.partial(plotting.draw_differences, table, "run − plain run, points", kept.notes)
    return [Drawing("differences", words, table[["run", "difference", "low", "high"]], draw)]


def render_page(kept: Kept, drawings: Sequence[Drawing]) -> str:
    """Return the page in Markdown on `kept`, with the `drawings` of `list_drawings`."""
    groups = dict.fromkeys(_name_group(kept, run) for run in kept.runs)
    first = next(iter(groups))
    return render(
        pathlib.Path(__file__).with_name("recipe.md.j2"),
        dataset=escape(kept.dataset),
        figures={drawing.name: show(PRESET, drawing) for drawing in drawings},
        alone=_tabulate(kept, [run for run in kept.runs if _name_group(kept, run) == first]),
        elsewhere=_tabulate(kept, [run for run in kept.runs if _name_group(kept, run) != first]),
        first=first,
        ingredients=_say_ingredients(kept, first),
        together=_list_together(kept),
        best=_say_best(kept),
        compared=len(kept.pairs),
        notes=kept.notes,
    )


def _name_group(kept: Kept, run: Run) -> str:
    """Return what a Run opens of which backbone, as a heading: ``MobileNet, last 10 layers``."""
    return f"{kept.architectures[str(run.backbone)]}, {run.unfrozen}"


def _tabulate(kept: Kept, runs: Sequence[Run]) -> str:
    """Return the Markdown table of `runs`."""
    header = ["Run", "Unfrozen", "Differs in", "Accuracy %", "95 % interval", "Against plain, points", "p, corrected"]
    rows = []
    for run in runs:
        added, pair = kept.additions[run.name], kept.pairs.get(run.name)
        row = [
            escape(run.name) + kept.marks.get(str(run.backbone), ""),
            run.unfrozen,
            code(added) if "=" in added else added,
        ]
        if run.name in kept.repeats.predictions:
            accuracy, photos = _count_right(kept, run.name)
            row += [percent(accuracy), say_interval(*wilson_interval(accuracy, photos))]
            row += [_say_difference(pair), say_p(pair.p).removeprefix("p ").removeprefix("= ")] if pair else ["–", "–"]
        else:
            row += [NOT_RUN, "–", "–", "–"]
        rows.append(row)
    return to_markdown(header, rows, left=3)


def _count_right(kept: Kept, name: str) -> tuple[float, int]:
    """Return (accuracy in [0, 1], photos) of run `name` over all folds."""
    table = kept.repeats.predictions[name]
    return float((table["actual"] == table["predicted"]).mean()), len(table)


def _say_difference(pair: FoldPair) -> str:
    """Return the difference of a FoldPair with its interval, in points: ``+0.5 (-0.2 to +1.2)``."""
    difference, low, high = map(say_points, pair.interval)
    return f"{difference} ({low} to {high})"


def _say_ingredients(kept: Kept, first: str) -> str:
    """Return the sentence on the ingredients one by one, of the runs of group `first`."""
    alone = [run.name for run in kept.runs if _name_group(kept, run) == first and not run.name.endswith(TOGETHER)]
    pairs = [kept.pairs[name] for name in alone if name in kept.pairs]
    told = []
    for verdict in (BETTER, WORSE, ALIKE):
        those = [code(pair.first) for pair in pairs if _judge(pair) == verdict]
        if those:
            told.append(f"{say_count(len(those), 'is', 'are')} {verdict} ({', '.join(those)})")
    return f"Of {say_count(len(pairs), 'ingredient')} alone, {', '.join(told)}."


def _list_together(kept: Kept) -> str:
    """Return the Markdown list of what all ingredients together do on each backbone and cut."""
    lines = []
    for run in kept.runs:
        if run.name.endswith(TOGETHER):
            pair = kept.pairs.get(run.name)
            told = f"{_judge(pair)}, {_say_difference(pair)} points, {say_p(pair.p)}" if pair else NOT_RUN
            lines.append(f"- {_name_group(kept, run)}: {told}")
    return "\n".join(lines)


def _judge(pair: FoldPair) -> str:
    """Return what a FoldPair of a run with its plain run says of it."""
    if pair.p >= LEVEL:
        return ALIKE
    return BETTER if pair.interval.difference > 0 else WORSE


def _say_best(kept: Kept) -> str:
    """Return the sentence on the highest accuracy."""
    best = max(kept.repeats.predictions, key=lambda name: _count_right(kept, name)[0])
    accuracy, photos = _count_right(kept, best)
    low, high = wilson_interval(accuracy, photos)
    return f"The highest accuracy is that of {code(best)}: {percent(accuracy)} % ({say_interval(low, high)})."


PAGE = Page(PRESET, read, list_drawings, render_page)

if __name__ == "__main__":
    run_program(lambda: write_page(PAGE, pathlib.Path.cwd()))
