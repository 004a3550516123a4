"""finetune@RUN: part of a backbone opened and trained on, with the head."""

import sys

from thaw.compute import configure
from thaw.params import load, run
from thaw.training import finetune


def main():
    name = sys.argv[1]
    params = load()
    configure(params.compute, params.training.seed)
    finetune(name, params.finetune[name], params, "data/records")


if __name__ == "__main__":
    run(main)
