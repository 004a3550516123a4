"""train_frozen@RUN: a new head on a frozen backbone."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.names import PRETRAINED
from thaw.base.stage import find_key
from thaw.config.loading import load
from thaw.config.openings import list_openings
from thaw.training.runs import Setting, read_start, train_frozen
from thaw.training.saving import save_training


def main() -> None:
    name, params = find_key(), load()
    configure(params.compute, params.training.seed)
    run = params.frozen[name]
    setting = Setting(params.training, params.compute, paths.RECORDS, list_openings(params, run.backbone))
    save_training(train_frozen(name, run, read_start(PRETRAINED + run.backbone), setting))


if __name__ == "__main__":
    run_program(main)
