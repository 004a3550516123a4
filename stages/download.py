"""Stage download: the photos of `dataset`, in the canonical layout, who made them and what they were called."""

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import write_json
from thaw.config.inputs import confirm_photos
from thaw.config.loading import load
from thaw.photos.download import download


def main() -> None:
    params = load()
    metrics = download(params.dataset, paths.RAW, paths.CREDITS, paths.NAMES)
    confirm_photos(params)
    write_json(paths.DOWNLOADED, metrics)


if __name__ == "__main__":
    run_program(main)
