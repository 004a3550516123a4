"""Stage split: which photos train, which validate and which test."""

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import read_table, write_json, write_table
from thaw.config.loading import load
from thaw.split.parts import read_manifest, split_photos


def main() -> None:
    names = read_table(paths.NAMES)
    table, metrics = split_photos(read_manifest(paths.RAW), paths.RAW, load().split, names)
    write_table(paths.SPLIT, table)
    write_json(paths.SPLIT_COUNTS, metrics)


if __name__ == "__main__":
    run_program(main)
