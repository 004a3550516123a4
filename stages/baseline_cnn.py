"""baseline_cnn: a small CNN from scratch, the floor of the comparison; nothing where params.yaml leaves it out."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.names import BASELINE
from thaw.base.stage import leave_out
from thaw.config.loading import load
from thaw.training.runs import Setting, train_baseline
from thaw.training.saving import save_training


def main() -> None:
    params = load()
    if params.baseline_cnn is None:
        finders = paths.find_weights, paths.find_description, paths.find_training
        leave_out(find(BASELINE) for find in (*finders, paths.find_training_time, paths.find_history))
        return
    configure(params.compute, params.training.seed)
    save_training(train_baseline(params.baseline_cnn, Setting(params.training, params.compute, paths.RECORDS)))


if __name__ == "__main__":
    run_program(main)
