"""Values of params.yaml that DVC's run cache does not look at.

It leaves every key of UNSEEN out of what it compares, because files have such facts in dvc.lock, and does so in the
parameters, too: a stage that ran before with other such values is not run again, its old outputs are checked out, and
dvc.lock has them beside the new values (seen with DVC 3.67; https://github.com/treeverse/dvc/issues/10296). So what
stands under such a key must reach DVC in another form:

- `image.size`: stage preprocess names it as a parameter of its own, whose key is the whole path;
- `dataset.size` and `backbones.NAME.pretraining.size`: in the listings of data/inputs (`list_unseen`).

Anywhere else such a key is a fault of params.yaml (`find_unseen`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

UNSEEN = ("size", "nfiles")
# Where they may stand; * is any name.
COVERED = ("image.size", "dataset.size", "backbones.*.pretraining.size")


def list_unseen(section: Mapping[Any, Any]) -> dict[str, Any]:
    """Return {path below `section`: value} of the values that the run cache does not look at."""
    return {".".join(map(str, path)): value for path, value in _walk(section) if path[-1] in UNSEEN}


def find_unseen(document: Mapping[Any, Any]) -> list[str]:
    """Return the paths in params.yaml of keys that the run cache does not look at and that nothing covers."""
    found = [path for path, _ in _walk(document) if path[-1] in UNSEEN]
    covered = [tuple(place.split(".")) for place in COVERED]
    return [".".join(map(str, path)) for path in found if not any(_fits(path, place) for place in covered)]


def _walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield (path, value) of every key of nested mappings, also of those in lists."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield (*path, key), each
            yield from _walk(each, (*path, key))
    elif isinstance(value, list):
        for each in value:
            yield from _walk(each, path)


def _fits(path: tuple[Any, ...], place: tuple[str, ...]) -> bool:
    return len(path) == len(place) and all(part in ("*", key) for key, part in zip(path, place, strict=True))
