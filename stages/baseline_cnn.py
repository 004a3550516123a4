"""baseline_cnn: a small CNN from scratch, the floor of the comparison."""

from thaw.compute import configure
from thaw.params import load, run
from thaw.training import train_baseline


def main():
    params = load()
    configure(params.compute, params.training.seed)
    train_baseline(params.baseline_cnn, params, "data/records")


if __name__ == "__main__":
    run(main)
