"""train_frozen@RUN: a new head on a frozen backbone."""

import sys

from thaw.compute import configure
from thaw.params import load, run
from thaw.training import train_frozen


def main():
    name = sys.argv[1]
    params = load()
    configure(params.compute, params.training.seed)
    train_frozen(name, params.frozen[name], params, "data/records")


if __name__ == "__main__":
    run(main)
