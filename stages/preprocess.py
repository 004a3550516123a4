"""preprocess: photos decoded and resized once, as TFRecords."""

import time

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import read_table, write_json
from thaw.config.loading import load
from thaw.records.writing import write_records


def main() -> None:
    image = load().image
    rows = read_table(paths.SPLIT, numbers=("label",))
    start = time.perf_counter()
    metrics = write_records(rows, paths.RAW, image, paths.RECORDS)
    seconds = time.perf_counter() - start
    write_json(paths.PREPROCESSED, metrics)
    rate = {"images_per_second": round(len(rows) / seconds, 1), "seconds": round(seconds, 2)}
    write_json(paths.PREPROCESSING_TIME, {"preprocess": rate})


if __name__ == "__main__":
    run_program(main)
