"""./run thaw new PHOTOS: a params.yaml for a folder of photos, its table scaled to the set."""

import collections
import json
import math
import pathlib
import shutil
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import write_text
from thaw.base.names import PARTS
from thaw.base.progress import track
from thaw.cli.advise import PHOTO, START, measure_rate
from thaw.cli.estimating import count_flops
from thaw.cli.options import find_folder
from thaw.cli.reviewing.revisions import run_git
from thaw.comparison.words import clean, say_count
from thaw.config.checking import Params
from thaw.config.loading import load
from thaw.photos.canonical import name_folder
from thaw.photos.folder import read_class_folders
from thaw.photos.given import Given, holds_parts
from thaw.photos.places import show_name
from thaw.pictures.decoding import read_size
from thaw.reporting.templates import render

TEMPLATE = pathlib.Path(__file__).with_name("new.yaml.j2")
RESULTS = ("dvc.lock", "metrics", "plots", paths.REPORT)  # of the table that was there
LARGEST, SMALLEST, STEP = 224, 96, 32  # pixels: what the networks were trained on, what they can do with, its steps
FOLDS = 5  # of a cross-validation in the table; a class needs as many photos
NAMED = 8  # classes whose photos are counted one by one


class Scale(NamedTuple):
    """How much a table does, and how it splits."""

    most: float  # photos up to which it is taken
    shares: tuple[float, float, float]  # train, validation, test
    reason: str
    heads: int  # epochs of a head alone
    tuned: int  # epochs of a fine-tuned run, and of the baseline
    opened: tuple[int, ...]  # blocks
    folds: bool  # whether a run is cross-validated, too


SMALL = "few photos: as many to judge by as to choose by"
SHARES = (0.75, 0.15, 0.1)
SCALES = (
    Scale(1_000, (0.6, 0.2, 0.2), SMALL, 20, 15, (2, 4), True),
    Scale(5_000, SHARES, "shares; test may be 0", 10, 15, (2, 4, 10), False),
    Scale(math.inf, SHARES, "shares; test may be 0", 5, 8, (2, 4), False),
)


class Photos(NamedTuple):
    """What is in a folder of photos."""

    folder: pathlib.Path
    classes: dict[str, int]  # class -> files
    side: float  # pixels: the middle one of the shorter sides, no number where no header can be read
    parts: Mapping[str, int] = {}  # part -> files, where the class folders lie in folders that name parts


def new(photos: str) -> None:
    """Write params.yaml of the working directory for the class folders of `photos`, and remove the results beside it.

    Raises InputError, before anything is changed, where the folder cannot be used, or git does not have what is
    replaced.
    """
    place = f"new: {photos}"
    found = look_at(find_folder(photos, place), place)
    text = write_document(found, place)
    check_kept()
    for name in RESULTS:
        if pathlib.Path(name).is_dir():
            shutil.rmtree(name)
        else:
            pathlib.Path(name).unlink(missing_ok=True)
    write_text(paths.PARAMS, text)
    params = load()
    print(describe(found, params, estimate(found, params, measure_rate())))


def look_at(folder: pathlib.Path, place: str) -> Photos:
    """Return the Photos of the class folders in `folder`; raises InputError where they cannot be used.

    Class folders that lie in train, val and perhaps test are taken as these parts.
    """
    classes: collections.Counter[str] = collections.Counter()
    parts: collections.Counter[str] = collections.Counter()
    sides = []
    given = Given(in_folders=holds_parts(folder))
    for photo in track(read_class_folders(folder, place, given), "new", None, "photos"):
        assert photo.label is not None  # of a folder each has one
        classes[name_folder(photo.label)] += 1
        if photo.part:
            parts[photo.part] += 1
        width, height = read_size(photo.content)
        if width is not None and height is not None:
            sides.append(min(width, height))
    side = statistics.median(sides) if sides else math.nan
    return Photos(folder, dict(sorted(classes.items())), side, {part: parts[part] for part in PARTS if part in parts})


def write_document(photos: Photos, place: str) -> str:
    """Return the text of a params.yaml for Photos; raises InputError where a class has too few to be in every part."""
    total, (least, few) = sum(photos.classes.values()), min((n, name) for name, n in photos.classes.items())
    scale = next(scale for scale in SCALES if total <= scale.most)
    if least < round(1 / min(scale.shares)):
        scale = scale._replace(shares=SCALES[0].shares, reason="a class is small: test has to have some of it, too")
    needed = round(1 / min(scale.shares))
    if least < needed and not photos.parts:
        raise InputError(f"{place}: must have {needed} photos of each class at least (got {least} of {show_name(few)})")
    size = LARGEST
    if photos.side < LARGEST:
        size = max(SMALLEST, STEP * math.floor(photos.side / STEP))
    train, validation, test = scale.shares
    trained = photos.parts.get("train", total * train)
    return render(
        TEMPLATE,
        photos=f"{total:,}",
        classes=photos.classes,
        counts=clean(count_classes(photos.classes)),
        path=json.dumps(shorten(photos.folder), ensure_ascii=False),
        given=bool(photos.parts),
        why_split=f"{count_parts(photos.parts)}: the folders" if photos.parts else scale.reason,
        train=train,
        validation=validation,
        test=test,
        size=size,
        why_size="" if size == LARGEST else f"; the photos are {photos.side:g}",
        batch_size=32 if trained >= 320 else 16,
        heads=scale.heads,
        tuned=scale.tuned,
        opened=scale.opened,
        folds=FOLDS if scale.folds and least >= FOLDS else 0,
    )


def check_kept() -> None:
    """Raise InputError unless git has params.yaml and RESULTS as they are, so that they can be had again."""
    changed = run_git("status", "--porcelain", "--untracked-files=all", "--", paths.PARAMS, *RESULTS).splitlines()
    if changed:
        raise InputError(
            f"new: replaces params.yaml and removes its results, and git does not have all of them: commit them, or "
            f"take the changes back with git restore ({say_count(len(changed), 'file')}, the first: {changed[0][3:]})"
        )


def estimate(photos: Photos, params: Params, rate: float) -> float:
    """Return about how many seconds the table takes; `rate` is FLOPs of training a second."""
    stages = 4 + len(params.backbones) + 2 * len(params.runs) + len(params.replicates) + len(params.folds)
    return START * stages + sum(photos.classes.values()) * (PHOTO + count_flops(params) / rate)


def describe(photos: Photos, params: Params, seconds: float) -> str:
    """Return what was written, what it costs and what comes next."""
    total, size = sum(photos.classes.values()), params.image.size
    shares = ", ".join(f"{100 * (getattr(params.split, part) or 0):g} % {part}" for part in PARTS)
    split = f"{count_parts(photos.parts)}, as the folders have them" if photos.parts else shares
    return (
        f"params.yaml: {total:,} photos of {len(photos.classes)} classes ({count_classes(photos.classes)}), "
        f"at {size} × {size} pixels\n"
        f"  split: {split}\n"
        f"  runs: {', '.join(params.runs)}\n"
        f"  about {max(1, seconds / 60):.0f} minutes on this machine, downloads not counted\n"
        "The results of the table before are removed; git has them. Next:\n\n"
        "    ./run dvc repro\n"
        "    git add --all && git commit --message 'My photos'\n"
    ).rstrip()


def count_parts(parts: Mapping[str, int]) -> str:
    """Return how many photos each part has, ``train 120, validation 30``."""
    return ", ".join(f"{part} {count:,}" for part, count in parts.items())


def count_classes(classes: Mapping[str, int]) -> str:
    """Return how many photos each class has, ``rose 120, tulip 80``; of many classes the fewest and the most."""
    if len(classes) <= NAMED:
        return ", ".join(f"{show_name(name)} {count:,}" for name, count in classes.items())
    return f"{min(classes.values()):,} to {max(classes.values()):,} of each"


def shorten(folder: pathlib.Path) -> str:
    """Return the path with ``~`` for the home folder, where it lies there: another machine has another one."""
    home = pathlib.Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) and folder != home else str(folder)
