"""preprocess: photos decoded and resized once, as TFRecords."""

import time

from thaw.params import load, run
from thaw.publishing import write_json
from thaw.records import write_records
from thaw.splitting import read_split


def main():
    image = load().image
    rows = read_split("data/split.csv")
    start = time.perf_counter()
    metrics = write_records(rows, "data/raw", image, "data/records")
    seconds = time.perf_counter() - start
    write_json("metrics/preprocess.json", metrics)
    rate = {"images_per_second": round(len(rows) / seconds, 1), "seconds": round(seconds, 2)}
    write_json("metrics/timing/preprocess.json", {"preprocess": rate})


if __name__ == "__main__":
    run(main)
