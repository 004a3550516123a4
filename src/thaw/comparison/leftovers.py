"""What runs that are no longer in params.yaml have left behind. Nothing but this module reads it."""

import functools
import pathlib
from collections.abc import Callable, Iterable, Sequence

from thaw.base import paths
from thaw.base.names import BASELINE
from thaw.comparison.results import Table

# Where stages leave what the report depends on: each makes of a run, or of a pattern of runs, the path of a file.
OF_RUNS = (
    paths.find_training,
    paths.find_history,
    paths.find_evaluation,
    paths.find_predictions,
    paths.find_class_scores,
)
OF_SECTIONS: dict[str, Sequence[Callable[[str], str]]] = {
    "replicates": (functools.partial(paths.find_repetition, "replicates"), paths.find_repeated_histories),
    "folds": (functools.partial(paths.find_repetition, "folds"), paths.find_fold_predictions),
    "export": (paths.find_export_scores,),
    "explain": (paths.find_maps, paths.find_embedding),
}


def list_leftovers(params: Table, folder: str | pathlib.Path = ".") -> list[str]:
    """Return what has files below `folder` though `params` does not list it, sorted: runs, then ``folds.RUN`` and such.

    Of a run that is not listed its name alone stands there, and not what it was exported, explained or repeated to. The
    baseline is no leftover: its stages write their files also where it is left out (`base.stage.leave_out`).
    """
    folder = pathlib.Path(folder)
    runs = _find_names(OF_RUNS, folder) - {BASELINE, *params.frozen, *params.finetune}
    listed = {
        "replicates": params.replicates,
        "folds": params.folds,
        "export": params.export,
        "explain": params.explain,
    }
    others = [
        f"{section}.{name}"
        for section, finders in OF_SECTIONS.items()
        for name in sorted(_find_names(finders, folder) - runs - set(listed[section]))
    ]
    return [*sorted(runs), *others]


def _find_names(finders: Iterable[Callable[[str], str]], folder: pathlib.Path) -> set[str]:
    return {file.stem for find in finders for file in folder.glob(find("*"))}
