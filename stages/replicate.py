"""replicate@RUN: a run of the table trained again with other seeds."""

import sys

from thaw.compute import configure
from thaw.params import load, run
from thaw.repeating import replicate


def main():
    params = load()
    configure(params.compute, params.training.seed)
    replicate(sys.argv[1], params, "data/records")


if __name__ == "__main__":
    run(main)
