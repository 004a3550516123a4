"""finetune@RUN: part of a backbone is unfrozen and trained on, with the head."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.stage import find_key
from thaw.config.loading import load
from thaw.config.openings import list_openings
from thaw.training.racing import finetune
from thaw.training.runs import Setting, read_start
from thaw.training.saving import save_training


def main() -> None:
    name, params = find_key(), load()
    configure(params.compute, params.training.seed)
    run = params.finetune[name]
    start = read_start(run.start)
    setting = Setting(params.training, params.compute, paths.RECORDS, list_openings(params, start.backbone["name"]))
    save_training(finetune(name, run, start, setting))


if __name__ == "__main__":
    run_program(main)
