"""replicate@RUN: a run of the table trained again with other seeds."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.files import read_json, write_json, write_table
from thaw.base.stage import find_key
from thaw.config.loading import load
from thaw.config.openings import list_openings
from thaw.training.repeating import Repeated
from thaw.training.runs import Setting, read_start
from thaw.training.seeds import replicate


def main() -> None:
    name, params = find_key(), load()
    configure(params.compute, params.training.seed)
    start, phases = params.find_phases(name)
    repeated = Repeated(name, phases, read_start(start), params.replicates[name].count)
    openings = list_openings(params, params.replicates[name].backbone)
    setting = Setting(params.training, params.compute, paths.RECORDS, openings)
    document, histories, states = replicate(repeated, read_json(paths.find_evaluation(name))[name], setting)
    write_json(paths.find_repetition("replicates", name), {"replicates": {name: document}})
    write_table(paths.find_repeated_histories(name), histories)
    for state in states:
        state.discard()


if __name__ == "__main__":
    run_program(main)
