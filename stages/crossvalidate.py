"""crossvalidate@RUN: a run of the table trained on all but one part of the whole set, for each part in turn."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.files import read_table, write_json, write_table
from thaw.base.stage import find_key
from thaw.config.loading import load
from thaw.config.openings import list_openings
from thaw.training.folds import crossvalidate
from thaw.training.repeating import Repeated
from thaw.training.runs import Setting, read_start


def main() -> None:
    name, params = find_key(), load()
    configure(params.compute, params.training.seed)
    start, phases = params.find_phases(name)
    repeated = Repeated(name, phases, read_start(start), params.folds[name].count)
    openings = list_openings(params, params.folds[name].backbone)
    setting = Setting(params.training, params.compute, paths.RECORDS, openings)
    groups = read_table(paths.SPLIT, numbers=("label",)).set_index("id")["group"]
    document, predictions, states = crossvalidate(repeated, groups, params.split.seed, setting)
    write_table(paths.find_fold_predictions(name), predictions)
    write_json(paths.find_repetition("folds", name), {"folds": {name: document}})
    for state in states:
        state.discard()


if __name__ == "__main__":
    run_program(main)
