"""What `dvc repro` is about to run, and about how long that takes: said before it starts.

./run python -m thaw.cli.forecast DVC-ARGUMENTS
"""

import contextlib
import io
import logging
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

from thaw.base.errors import InputError, run_program
from thaw.base.names import BASELINE
from thaw.base.progress import say
from thaw.comparison.words import say_count
from thaw.config.checking import Params
from thaw.config.loading import load
from thaw.engine.costs import TIMING, Cost, find_chains, read_costs
from thaw.engine.pipeline import Step, open_pipeline

TRAININGS = ("train_frozen", "finetune", BASELINE)
NAMED = 4  # stages in the sentence; of others their number
# Options with which other stages run than those that the targets need, or none.
OTHER = ("single_item", "pipeline", "all_pipelines", "recursive", "downstream", "force_downstream", "glob", "dry")


def forecast(steps: Sequence[Step], costs: Mapping[str, Cost], jobs: int = 1) -> str:
    """Return which of `steps` run and about how long that takes, so many `jobs` at a time; "" where none runs.

    `steps` has what is read first. A training without an earlier time counts as the stages around it, and is named.
    """
    runs: list[Step] = []
    for step in steps:
        if not step.unchanged or step.upstream & {before.name for before in runs}:
            runs.append(step)
    if not runs:
        return ""
    names = frozenset(step.name for step in runs)
    chains = find_chains([step._replace(upstream=step.upstream & names) for step in runs], costs)
    total, longest = sum(costs[name].seconds for name in names), max(chains.values())
    told = f"{say_count(len(runs), 'stage')} to run, about {say_time(max(total / jobs, longest))}"
    told += f" by what they took before: {_enumerate([step.name for step in runs])}"
    unknown = [step.name for step in runs if _is_training(step) and not _has_time(step)]
    if unknown:
        told += f"; not counted, because they have not run yet: {_enumerate(unknown)}"
    return told + ". What DVC has in its cache takes seconds."


def count_repeats(costs: Mapping[str, Cost], params: Params) -> dict[str, Cost]:
    """Return `costs` with the seconds of seeds and folds, which measure none: those of as many trainings of the run."""
    found = dict(costs)
    for stage, entries, less in (("replicate", params.replicates, 1), ("crossvalidate", params.folds, 0)):
        for run, repeated in entries.items():
            training = f"{'train_frozen' if run in params.frozen else 'finetune'}@{run}"
            if {training, f"{stage}@{run}"} <= found.keys():
                seconds = (repeated.count - less) * found[training].seconds
                found[f"{stage}@{run}"] = found[f"{stage}@{run}"]._replace(seconds=seconds)
    return found


def say_time(seconds: float) -> str:
    """Return a time in words: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _is_training(step: Step) -> bool:
    return step.name.partition("@")[0] in TRAININGS


def _has_time(step: Step) -> bool:
    return any(pathlib.Path(path).exists() for path in step.outs if path.startswith(TIMING))


def _enumerate(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def main() -> None:
    """Say on stderr what the dvc command of the command line will run; nothing where that is no plain `repro`.

    What is wrong with the command or the project is left to DVC, which tells it next.
    """
    from dvc.cli import DvcParserError
    from dvc.cli.parser import get_main_parser

    logging.disable()  # DVC logs what is wrong with the command, too
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            asked = get_main_parser().parse_args(sys.argv[1:])
        except (DvcParserError, SystemExit):
            return
    if asked.cmd != "repro" or asked.cd != os.curdir or any(getattr(asked, option, None) for option in OTHER):
        return
    try:
        with open_pipeline() as pipeline:
            steps = pipeline.read_steps(asked.targets or [], bool(asked.force))
        told = forecast(steps, count_repeats(read_costs(steps), load()))
    except InputError:
        return
    if told:
        say(f"repro: {told}")


if __name__ == "__main__":
    run_program(main)
