"""Stage split: which photos train, which validate and which test."""

from thaw.params import load, run
from thaw.publishing import write_json, write_table
from thaw.splitting import read_manifest, split


def main():
    table, metrics = split(read_manifest("data/raw"), "data/raw", load().split)
    write_table("data/split.csv", table)
    write_json("metrics/split.json", metrics)


if __name__ == "__main__":
    run(main)
