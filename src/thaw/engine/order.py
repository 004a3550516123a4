"""dvc.lock and .gitignore as a run of one stage after the other leaves them.

DVC adds to both when a stage has ended: a new stage to the end of dvc.lock, a new output to the end of the .gitignore
beside it. Of stages that run side by side it is chance which ends first, and git would see it. What was there before
keeps its place; what is new is put into the order in which `dvc repro` visits the stages.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

from thaw.base.files import write_text
from thaw.engine.pipeline import Pipeline, Step

LOCK = pathlib.Path("dvc.lock")


class Before(NamedTuple):
    """The texts of these files before anything ran; those that were not there are empty."""

    lock: str
    ignores: dict[pathlib.Path, str]  # each .gitignore that the steps may add to


def read_before(steps: Sequence[Step]) -> Before:
    """Return what the files say now."""
    files = {pathlib.Path(path).parent / ".gitignore" for step in steps for path in step.cached}
    return Before(_read(LOCK), {file: _read(file) for file in files})


def restore_order(pipeline: Pipeline, steps: Sequence[Step], before: Before) -> None:
    """Put what was added to the files since `before` into the order of `steps`.

    Raises InputError where other dvc commands keep their lock for long.
    """
    if _read(LOCK) == before.lock and all(_read(file) == text for file, text in before.ignores.items()):
        return
    with pipeline.hold():
        _sort_lock([step.name for step in steps], before.lock)
        for file, text in before.ignores.items():
            entries = [f"/{pathlib.Path(path).name}" for step in steps for path in step.cached if _is_in(path, file)]
            _sort_ignored(file, entries, text)


def sort_added(before: Sequence[str], now: Sequence[str], order: Sequence[str]) -> list[str]:
    """Return `now` with all that is not in `before` behind the rest, as far as it is in `order` in that order."""
    places = {name: place for place, name in reversed(list(enumerate(order)))}
    known = set(before)
    added = [name for name in now if name not in known]
    return [name for name in now if name in known] + sorted(added, key=lambda name: places.get(name, len(order)))


def _sort_lock(order: Sequence[str], before: str) -> None:
    text = _read(LOCK)
    if text == before:
        return
    document = parse_yaml_for_update(text, LOCK)
    stages = document.get("stages", {})
    known = parse_yaml_for_update(before, LOCK).get("stages", {}) if before else {}
    wanted = sort_added(list(known), list(stages), order)
    if wanted != list(stages):
        for name in wanted:
            stages.move_to_end(name)
        write_text(LOCK, dumps_yaml(document))


def _sort_ignored(file: pathlib.Path, order: Sequence[str], before: str) -> None:
    text = _read(file)
    if text != before:
        lines = sort_added(before.splitlines(), text.splitlines(), order)
        if lines != text.splitlines():
            write_text(file, "".join(f"{line}\n" for line in lines))


def _is_in(path: str, ignore: pathlib.Path) -> bool:
    return pathlib.Path(path).parent == ignore.parent


def _read(file: pathlib.Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""
