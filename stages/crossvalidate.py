"""crossvalidate@RUN: a run of the table trained on all but one part of the whole set, for each part in turn."""

import sys

from thaw.compute import configure
from thaw.params import load, run
from thaw.repeating import crossvalidate


def main():
    params = load()
    configure(params.compute, params.training.seed)
    crossvalidate(sys.argv[1], params, "data/records", "data/split.csv")


if __name__ == "__main__":
    run(main)
