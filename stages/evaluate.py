"""evaluate_*@RUN: one trained run, scored once on every part."""

import sys

from thaw.compute import configure
from thaw.evaluation import evaluate
from thaw.params import load, run


def main():
    params = load()
    configure(params.compute, params.training.seed)
    evaluate(sys.argv[1], params, "data/records")


if __name__ == "__main__":
    run(main)
