import hashlib
import io
import itertools
import pickle
import random
import subprocess
import sys

import imagehash
import numpy as np
import pydantic
import pytest
from PIL import Image

from thaw.datasets import sample
from thaw.datasets.sample import DOMAINS, FLOWERS, PRETRAINING, Sample, draw, photos, pretraining_photos

SETTINGS = Sample(source="sample", seed=7, photos_per_class=3, size=48)
EVERY_SPECIES = [(domain, name) for domain, species in DOMAINS.items() for name in species]


def digest(pictures):
    return hashlib.sha256(b"".join(pictures)).hexdigest()


def decode(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def test_the_same_seed_gives_the_same_bytes():
    assert list(photos(SETTINGS)) == list(photos(SETTINGS))


def test_another_process_with_another_hash_seed_draws_the_same_bytes():
    program = (
        "import hashlib; from thaw.datasets.sample import DOMAINS, draw; "
        "pictures = [draw(7, d, n, 0, 48) for d in DOMAINS for n in DOMAINS[d]]; "
        "print(hashlib.sha256(b''.join(pictures)).hexdigest())"
    )
    here = digest(draw(7, domain, name, 0, 48) for domain, name in EVERY_SPECIES)
    for hash_seed in ("1", "2"):
        environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == here, done.stderr


def test_another_seed_gives_other_bytes_for_every_picture():
    other = SETTINGS.model_copy(update={"seed": 8})
    assert not {photo.content for photo in photos(SETTINGS)} & {photo.content for photo in photos(other)}


def test_a_picture_does_not_depend_on_how_many_are_drawn():
    few = {photo.name: photo.content for photo in photos(SETTINGS)}
    more = {photo.name: photo.content for photo in photos(SETTINGS.model_copy(update={"photos_per_class": 5}))}
    assert few.items() <= more.items()


def test_a_picture_does_not_depend_on_the_order_of_drawing():
    order = [(name, index) for name in FLOWERS for index in range(2)]
    forth = {key: draw(7, "flowers", *key, 48) for key in order}
    back = {key: draw(7, "flowers", *key, 48) for key in reversed(order)}
    assert forth == back


def test_drawing_leaves_the_global_random_stream_alone():
    random.seed(1)
    before = random.getstate()
    draw(7, "flowers", "lily", 0, 48)
    assert random.getstate() == before


def test_the_two_domains_share_no_class_name():
    assert not FLOWERS.keys() & PRETRAINING.keys()


def test_no_two_classes_of_either_domain_have_one_shape():
    """Colours and centre colours aside: what is left is what tells the classes apart."""
    shapes = [s._replace(colours=(), centre_colours=()) for s in [*FLOWERS.values(), *PRETRAINING.values()]]
    assert len(set(shapes)) == len(FLOWERS) + len(PRETRAINING)


def test_the_domains_draw_from_different_random_streams(monkeypatch):
    """One species put in both domains gives other pictures in each."""
    monkeypatch.setitem(PRETRAINING, "lily", FLOWERS["lily"])
    assert draw(7, "flowers", "lily", 0, 48) != draw(7, "pretraining", "lily", 0, 48)


def test_no_colour_gives_a_flower_away():
    """Each colour of the five classes belongs to two of them at least, so colour alone cannot tell them apart."""
    for colour in itertools.chain.from_iterable(species.colours for species in FLOWERS.values()):
        assert sum(colour in species.colours for species in FLOWERS.values()) >= 2, colour


def test_a_sample_holds_five_classes_of_the_number_asked_for():
    labels = [photo.label for photo in photos(SETTINGS)]
    assert {label: labels.count(label) for label in labels} == dict.fromkeys(
        ["anemone", "aster", "cosmos", "lily", "primrose"], 3
    )


def test_pretraining_holds_each_of_its_classes_in_the_number_asked_for():
    labels = [photo.label for photo in pretraining_photos(7, 2, 32)]
    assert {label: labels.count(label) for label in labels} == dict.fromkeys(PRETRAINING, 2)


def test_every_photo_has_a_name_of_its_own():
    names = [photo.name for photo in [*photos(SETTINGS), *pretraining_photos(7, 2, 32)]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("size", [32, 45, 224])
def test_a_picture_is_a_square_rgb_jpeg_of_the_size_asked_for(size):
    image = decode(draw(7, "flowers", "aster", 0, size))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (size, size))


@pytest.mark.parametrize(("domain", "name"), EVERY_SPECIES)
def test_the_pictures_of_a_class_are_no_near_duplicates(domain, name):
    hashes = [imagehash.phash(decode(draw(7, domain, name, index, 48))) for index in range(20)]
    assert min(one - other for one, other in itertools.combinations(hashes, 2)) > 2


@pytest.mark.parametrize(("domain", "name"), EVERY_SPECIES)
def test_the_flower_is_in_the_picture(monkeypatch, domain, name):
    """The picture without its flower differs in a good part of its pixels, well beyond noise."""
    with_flower = np.asarray(decode(draw(7, domain, name, 1, 48))).astype(int)
    petal_free = DOMAINS[domain][name]._replace(rows=0, centre="none")
    monkeypatch.setitem(DOMAINS[domain], name, petal_free)
    without = np.asarray(decode(draw(7, domain, name, 1, 48))).astype(int)
    assert (abs(with_flower - without).max(axis=2) > 40).mean() > 0.05


def test_a_drawing_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(draw)) is sample.draw


@pytest.mark.parametrize(
    ("key", "value"),
    [("photos_per_class", 1), ("photos_per_class", 10_001), ("size", 31), ("size", 513), ("seed", -1), ("seed", 2**31)],
)
def test_a_number_out_of_its_range_is_a_fault(key, value):
    with pytest.raises(pydantic.ValidationError, match=key):
        Sample.model_validate({**SETTINGS.model_dump(), key: value})
