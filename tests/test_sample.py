import ast
import hashlib
import io
import itertools
import pathlib
import pickle
import random
import subprocess
import sys
from collections.abc import Iterable

import imagehash
import numpy as np
import pydantic
import pytest
from PIL import Image

from thaw.drawn import flowers
from thaw.drawn.flowers import DOMAINS, FLOWERS, PRETRAINING, Domain, draw
from thaw.photos.sample import read_photos
from thaw.photos.sections import Sample

SETTINGS = Sample(source="sample", seed=7, photos_per_class=3, size=48)
EVERY_SPECIES = [(domain, name) for domain, species in DOMAINS.items() for name in species]


def digest(pictures: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(pictures)).hexdigest()


def decode(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert list(read_photos(SETTINGS)) == list(read_photos(SETTINGS))


def test_another_process_with_another_hash_seed_draws_the_same_bytes() -> None:
    program = (
        "import hashlib; from thaw.drawn.flowers import DOMAINS, draw; "
        "pictures = [draw(7, d, n, 0, 48) for d in DOMAINS for n in DOMAINS[d]]; "
        "print(hashlib.sha256(b''.join(pictures)).hexdigest())"
    )
    here = digest(draw(7, domain, name, 0, 48) for domain, name in EVERY_SPECIES)
    for hash_seed in ("1", "2"):
        environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == here, done.stderr


def test_another_seed_gives_other_bytes_for_every_picture() -> None:
    other = SETTINGS.model_copy(update={"seed": 8})
    assert not {photo.content for photo in read_photos(SETTINGS)} & {photo.content for photo in read_photos(other)}


def test_a_picture_does_not_depend_on_how_many_are_drawn() -> None:
    few = {photo.name: photo.content for photo in read_photos(SETTINGS)}
    more = {photo.name: photo.content for photo in read_photos(SETTINGS.model_copy(update={"photos_per_class": 5}))}
    assert few.items() <= more.items()


def test_a_picture_does_not_depend_on_the_order_of_drawing() -> None:
    order = [(name, index) for name in FLOWERS for index in range(2)]
    forth = {key: draw(7, "flowers", *key, 48) for key in order}
    back = {key: draw(7, "flowers", *key, 48) for key in reversed(order)}
    assert forth == back


def test_drawing_leaves_the_global_random_stream_alone() -> None:
    random.seed(1)
    before = random.getstate()
    draw(7, "flowers", "lily", 0, 48)
    assert random.getstate() == before


def test_the_two_domains_share_no_class_name() -> None:
    assert not FLOWERS.keys() & PRETRAINING.keys()


def test_no_two_classes_of_either_domain_have_one_shape() -> None:
    """Colours and centre colours aside: what is left is what tells the classes apart."""
    shapes = [s._replace(colours=(), centre_colours=()) for s in [*FLOWERS.values(), *PRETRAINING.values()]]
    assert len(set(shapes)) == len(FLOWERS) + len(PRETRAINING)


def test_the_domains_draw_from_different_random_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """One species put in both domains gives other pictures in each."""
    monkeypatch.setitem(PRETRAINING, "lily", FLOWERS["lily"])
    assert draw(7, "flowers", "lily", 0, 48) != draw(7, "pretraining", "lily", 0, 48)


def test_no_colour_gives_a_flower_away() -> None:
    """Each colour of the five classes belongs to two of them at least, so colour alone cannot tell them apart."""
    for colour in itertools.chain.from_iterable(species.colours for species in FLOWERS.values()):
        assert sum(colour in species.colours for species in FLOWERS.values()) >= 2, colour


def test_a_sample_holds_five_classes_of_the_number_asked_for() -> None:
    labels = [photo.label for photo in read_photos(SETTINGS)]
    assert {label: labels.count(label) for label in labels} == dict.fromkeys(
        ["anemone", "aster", "cosmos", "lily", "primrose"], 3
    )


def test_every_photo_has_a_name_of_its_own() -> None:
    names = [photo.name for photo in read_photos(SETTINGS)]
    assert len(set(names)) == len(names)


def test_the_drawing_imports_nothing_of_the_project() -> None:
    nodes = ast.walk(ast.parse(pathlib.Path(flowers.__file__).read_text()))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not {name for name in imported if name and name.startswith("thaw")}


@pytest.mark.parametrize("size", [32, 45, 224])
def test_a_picture_is_a_square_rgb_jpeg_of_the_size_asked_for(size: int) -> None:
    image = decode(draw(7, "flowers", "aster", 0, size))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (size, size))


@pytest.mark.parametrize(("domain", "name"), EVERY_SPECIES)
def test_the_pictures_of_a_class_are_no_near_duplicates(domain: Domain, name: str) -> None:
    hashes = [imagehash.phash(decode(draw(7, domain, name, index, 48))) for index in range(20)]
    assert min(one - other for one, other in itertools.combinations(hashes, 2)) > 2


@pytest.mark.parametrize(("domain", "name"), EVERY_SPECIES)
def test_the_flower_is_in_the_picture(monkeypatch: pytest.MonkeyPatch, domain: Domain, name: str) -> None:
    """The picture without its flower differs in a good part of its pixels, well beyond noise."""
    with_flower = np.asarray(decode(draw(7, domain, name, 1, 48))).astype(int)
    petal_free = DOMAINS[domain][name]._replace(rows=0, centre="none")
    monkeypatch.setitem(DOMAINS[domain], name, petal_free)
    without = np.asarray(decode(draw(7, domain, name, 1, 48))).astype(int)
    assert (abs(with_flower - without).max(axis=2) > 40).mean() > 0.05


def test_a_drawing_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(draw)) is flowers.draw


@pytest.mark.parametrize(
    ("key", "value"),
    [("photos_per_class", 1), ("photos_per_class", 10_001), ("size", 31), ("size", 513), ("seed", -1), ("seed", 2**31)],
)
def test_a_number_out_of_its_range_is_a_fault(key: str, value: int) -> None:
    with pytest.raises(pydantic.ValidationError, match=key):
        Sample.model_validate({**SETTINGS.model_dump(), key: value})
