"""Presets: whole tables as overlays on params.yaml."""

import pathlib
from typing import Any

from thaw.base.errors import InputError
from thaw.base.paths import PARAMS
from thaw.config.checking import check
from thaw.config.loading import read_yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]


def list_presets(root: pathlib.Path = ROOT) -> list[str]:
    """Return the names of the presets, sorted."""
    return sorted(path.stem for path in (root / "presets").glob("*.yaml"))


def find_preset(name: str, root: pathlib.Path = ROOT) -> pathlib.Path:
    """Return the path of preset `name`; raises InputError, with those there are, where there is none of that name."""
    known = list_presets(root)
    if name not in known:
        raise InputError(f"presets: no preset {name!r}; there are {', '.join(known)}")
    return root / "presets" / f"{name}.yaml"


def read_preset(name: str, root: pathlib.Path = ROOT) -> dict[Any, Any]:
    """Return the parameters of preset `name`: params.yaml, whose sections those of `presets/NAME.yaml` replace.

    Its runs are not those of params.yaml: what its own file does not have repeated, exported or explained is not.

    Raises InputError where there is no such preset, or with every fault of the result.
    """
    path = find_preset(name, root)
    others: dict[str, Any] = {"replicates": {}, "folds": {}, "export": {}, "explain": {}}
    document = {**read_yaml(root / PARAMS), **others, **read_yaml(path)}
    check(document, f"presets/{path.name}")
    return document
