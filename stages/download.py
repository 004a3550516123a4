"""Stage download: the photos of `dataset`, in the canonical layout, and who made them."""

from thaw.datasets.sources import download
from thaw.params import load, run
from thaw.publishing import write_json


def main():
    write_json("metrics/download.json", download(load().dataset, "data/raw", "data/credits.csv"))


if __name__ == "__main__":
    run(main)
