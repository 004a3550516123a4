"""baseline_cnn: a small CNN from scratch, the floor of the comparison."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.config.loading import load
from thaw.training.runs import Setting, train_baseline
from thaw.training.saving import save_training


def main() -> None:
    params = load()
    configure(params.compute, params.training.seed)
    save_training(train_baseline(params.baseline_cnn, Setting(params.training, params.compute, paths.RECORDS)))


if __name__ == "__main__":
    run_program(main)
