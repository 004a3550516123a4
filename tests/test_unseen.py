"""Values of params.yaml under names that DVC's run cache leaves out of what it compares."""

import functools
import pathlib
from typing import Any

import pytest

from quick import copy
from thaw.config.checking import examine
from thaw.config.loading import read_yaml
from thaw.config.presets import ROOT
from thaw.config.unseen import UNSEEN, find_unseen, list_unseen
from tiny import DOCUMENT, change_params, dvc, find_stages_run, prepare


@pytest.mark.parametrize(
    "keys, stage",
    [
        (("dataset",), "download"),
        (("image",), "preprocess"),
        (("backbones", "tiny", "pretraining"), "weights@tiny"),
    ],
)
def test_another_size_is_never_served_from_the_run_cache(
    keys: tuple[str, ...], stage: str, ran: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """The stage has run with another size, in the cache that this run uses."""
    folder = copy(ran, tmp_path / "project")

    def enlarge(document: Any) -> None:
        functools.reduce(lambda section, key: section[key], keys, document)["size"] = 40

    change_params(folder, enlarge)
    assert prepare(folder, "repro").returncode == 0
    assert stage in find_stages_run(dvc(folder, "repro", stage))


def test_every_other_place_of_such_a_name_is_a_fault() -> None:
    document = {
        **DOCUMENT,
        "frozen": {"size": DOCUMENT["frozen"]["tiny"]},
        "finetune": {"a": {**DOCUMENT["finetune"]["tiny-all"], "from": "size", "class_weights": {"nfiles": 2.0}}},
    }
    _, faults = examine(document, "params.yaml")
    told = "must have another name than size and nfiles"
    assert [fault.split(": must")[0] for fault in faults if told in fault] == [
        "params.yaml: frozen.size",
        "params.yaml: finetune.a.class_weights.nfiles",
    ]


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *sorted((ROOT / "presets").glob("*.yaml"))])
def test_the_tables_of_the_project_have_such_names_only_where_dvc_is_told(file: pathlib.Path) -> None:
    assert find_unseen(read_yaml(file)) == []


def test_the_names_are_those_that_dvc_leaves_out() -> None:
    from dvc.stage.cache import _get_cache_hash

    def digest(params: Any) -> Any:
        return _get_cache_hash({"cmd": "x", "params": {"params.yaml": params}})

    for name in UNSEEN:
        assert digest({"image": {name: 1}}) == digest({"image": {name: 2}})
        assert digest({f"image.{name}": 1}) != digest({f"image.{name}": 2})
    assert list_unseen({"seed": 1, "pretraining": {"size": 3, "epochs": 2}}) == {"pretraining.size": 3}
