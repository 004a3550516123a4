"""The drawn sample as a source of photos."""

from collections.abc import Iterator

from thaw.drawn.flowers import FLOWERS, draw
from thaw.photos.canonical import Credit, Photo
from thaw.photos.sections import Sample

DRAWN = Credit("drawn by thaw", "", "")


def read_photos(sample: Sample) -> Iterator[Photo]:
    """Yield the Photos of `sample`: JPEG files, class by class in the order of FLOWERS."""
    for name in FLOWERS:
        for index in range(sample.photos_per_class):
            content = draw(sample.seed, "flowers", name, index, sample.size)
            yield Photo(name, content, f"{name}-{index:05d}.jpg", DRAWN)
