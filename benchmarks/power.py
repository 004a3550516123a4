"""What a table of this size can show: how often its tests err, and how often they find a difference that is there.

    ./run python benchmarks/power.py

Draws tables of two runs whose true accuracies are known, and judges each as the report does. The runs disagree on as
many photos as the pairs of plots/pairs.csv do that cannot be told apart (their median), or on as many more as the
difference needs. Writes power.json and power.md beside this file; takes minutes.
"""

import functools
import gc
import json
import pathlib
import statistics

import numpy as np

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import read_table, write_json, write_text
from thaw.base.progress import track
from thaw.comparison import inference
from thaw.comparison.pairs import AS_GOOD, Pair, find_standing
from thaw.comparison.words import to_markdown

TABLES = 10_000  # for each size and difference: a share of 5 % is known to 0.4 points (two errors)
PHOTOS = (368, 550, 918, 3670)  # of test, validation, both, and all (a cross-validation) of the default table
POINTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)  # by which one run is better in truth
ACCURACY = 0.92  # of the better run
FAMILIES = 1000  # of the tables, judged in a family
MARGIN = 0.02  # as params.yaml has it
OTHERS = 15  # further comparisons in the family of the best run, all of runs that are equally good


@functools.cache
def judge(both: int, first: int, second: int, photos: int) -> Pair:
    """Return the Pair of two runs with so many photos right in both and in one alone; p is not corrected."""
    neither = photos - both - first - second
    right = np.repeat(
        [[True, True], [True, False], [False, True], [False, False]], [both, first, second, neither], axis=0
    )
    paired = inference.mcnemar(right[:, 0], right[:, 1])
    return Pair("better", "other", "power", paired, inference.paired_interval(paired), paired.p)


def draw_tables(generator: np.random.Generator, photos: int, points: float, disagreement: float) -> list[Pair]:
    """Return the Pairs of TABLES tables of two runs that differ by `points` in truth."""
    difference = points / 100
    apart = max(disagreement, difference)
    first, second = (apart + difference) / 2, (apart - difference) / 2
    shares = [ACCURACY - first, first, second, 1 - ACCURACY - second]
    return [judge(*map(int, row[:3]), photos) for row in generator.multinomial(photos, shares, TABLES)]


def summarize(pairs: list[Pair], null: list[Pair], generator: np.random.Generator) -> dict[str, float]:
    """Return the shares of tables in which the test finds the difference, alone and in a family, and so on.

    `null` are Pairs of runs that are equally good, which the others of a family are drawn from.
    """
    alone = [pair.p < inference.LEVEL for pair in pairs]
    others = generator.choice([pair.p for pair in null], (FAMILIES, OTHERS))
    together = [inference.holm([pair.p, *ps])[0] < inference.LEVEL for pair, ps in zip(pairs, others, strict=False)]
    interval = [pair.interval.low > 0 or pair.interval.high < 0 for pair in pairs]
    good = [find_standing(pair, MARGIN) == AS_GOOD for pair in pairs]
    names = ("found", "found_in_family", "interval_excludes_0", "called_as_good")
    return {name: float(np.mean(share)) for name, share in zip(names, (alone, together, interval, good), strict=True)}


def main() -> None:
    """Simulate every size and difference and write what was found."""
    gc.freeze()  # statsmodels collects garbage in every correction: all that is loaded need not be looked at each time
    table = read_table(paths.PAIRS, numbers=("photos", "first_only", "second_only"))
    close = table[table["p_holm"].astype(float) >= inference.LEVEL]
    disagreement = statistics.median((close["first_only"] + close["second_only"]) / close["photos"])
    generator = np.random.default_rng(1)
    cells = [(photos, points) for photos in PHOTOS for points in POINTS]
    nulls: dict[int, list[Pair]] = {}
    found = []
    for photos, points in track(cells, "power", len(cells), "cells"):
        pairs = draw_tables(generator, photos, points, disagreement)
        null = nulls.setdefault(photos, pairs)  # the first of a size has no difference
        found.append({"photos": photos, "points": points, **summarize(pairs, null, generator)})
    here = pathlib.Path(__file__)
    document = {"tables": TABLES, "accuracy": ACCURACY, "disagreement": round(disagreement, 4), "cells": found}
    write_json(here.with_suffix(".json"), document)
    header = ["Photos", "True difference, points", "Found by the test, %", f"… among {OTHERS + 1} comparisons, %"]
    header += ["95 % interval without 0, %", "Worse run called as good, %"]
    rows = [
        [f"{cell['photos']:,}", f"{cell['points']:g}", *(f"{100 * share:.0f}" for share in list(cell.values())[2:])]
        for cell in found
    ]
    write_text(here.with_suffix(".md"), to_markdown(header, rows, left=0) + "\n")
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    run_program(main)
