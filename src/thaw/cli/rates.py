"""./run thaw find-rate RUN: a learning rate for a run, from a short training in which the rate grows."""

import pathlib

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import InputError
from thaw.base.files import publish, write_table
from thaw.base.names import BASELINE, PRETRAINED
from thaw.config.checking import Params
from thaw.config.loading import load
from thaw.config.openings import list_openings
from thaw.reporting.plotting import draw_rates
from thaw.training.rates import Rates, find_rate
from thaw.training.runs import Setting, open_baseline, open_from, read_start

FOLDER = ".thaw/rates"


def print_rate(name: str) -> None:
    """Print a rate for run `name` of the table; write the curve as SVG and CSV below FOLDER.

    Raises InputError where there is no such run, or what it starts from is not here.
    """
    params = load()
    if name not in params.runs:
        raise InputError(f"find-rate: must be one of {', '.join(params.runs)} (got {name!r})")
    if name in params.finetune and params.finetune[name].auto:
        raise InputError(f"find-rate: must be a run that names what it unfreezes ({name} has a race choose)")
    found = _search(name, params)
    place = pathlib.Path(FOLDER)
    place.mkdir(parents=True, exist_ok=True)
    write_table(place / f"{name}.csv", found.table)
    with publish(place / f"{name}.svg") as scratch:
        draw_rates(found.table, found.suggested, name).savefig(scratch, format="svg")
    rate = params.runs[name].optimizer.learning_rate
    print(f"{name}: the loss falls steepest at the rate {found.suggested:.1e}; params.yaml has {rate:.1e}")
    print(f"the curve: {place / name}.svg")
    print(f"to try it: ./run dvc exp run -S '{params.find_place(name)}.optimizer.learning_rate={found.suggested:.1e}'")


def _search(name: str, params: Params) -> Rates:
    configure(params.compute, params.training.seed)
    setting = Setting(params.training, params.compute, paths.RECORDS)
    if not pathlib.Path(paths.RECORDS).is_dir():
        raise InputError(f"{paths.RECORDS}: no such folder; ./run dvc repro preprocess makes it")
    if name == BASELINE and params.baseline_cnn:
        return find_rate(open_baseline(params.baseline_cnn, setting), params.baseline_cnn, params.training)
    frozen = params.frozen.get(name)
    run = frozen or params.finetune[name]
    origin = PRETRAINED + frozen.backbone if frozen else params.finetune[name].start
    for file in (paths.find_description(origin), paths.find_weights(origin)):
        if not pathlib.Path(file).is_file():
            stage = (
                f"weights@{origin.removeprefix(PRETRAINED)}"
                if origin.startswith(PRETRAINED)
                else f"train_frozen@{origin}"
            )
            raise InputError(f"{file}: no such file; ./run dvc repro {stage} makes it")
    start = read_start(origin)
    setting = setting._replace(others=list_openings(params, start.backbone["name"]))
    return find_rate(open_from(name, run, start, setting), run, params.training)
