"""Stage download: the photos of `dataset`, in the canonical layout, and who made them."""

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import write_json
from thaw.config.loading import load
from thaw.photos.download import download


def main() -> None:
    write_json(paths.DOWNLOADED, download(load().dataset, paths.RAW, paths.CREDITS))


if __name__ == "__main__":
    run_program(main)
