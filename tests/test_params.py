"""params.yaml: every fault named with its key, what was received and what is allowed, all at once."""

import copy
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
import ruamel.yaml

from thaw.base.errors import InputError
from thaw.config.checking import check
from thaw.config.loading import load, read_yaml, write_yaml
from thaw.config.openings import list_openings
from thaw.networks.plan import Opening
from thaw.networks.sections import Unfreeze

ROOT = pathlib.Path(__file__).resolve().parents[1]

DOCUMENT = """
dataset:
  source: tfds
  name: tf_flowers:3.0.1
  digest: c529355e4e58f5f938f8eee5dce32e87b323e45f48d926e4260651f455044dd9
split:
  seed: 2026
  train: 0.75
  validation: 0.15
  test: 0.10
  near_duplicate_bits: 8
image:
  size: 224
  shards: 4
compute:
  threads: 2
  onednn_isa: AVX2
training:
  seed: 1
  batch_size: 32
report:
  margin: 2.0
backbones:
  mobilenet:
    architecture: MobileNet
    width: 1.0
    weights: imagenet
  mobilenetv2:
    architecture: MobileNetV2
    width: 1.0
    weights: imagenet
  resnet50:
    architecture: ResNet50
    width: 1.0
    weights: imagenet
  xception:
    architecture: Xception
    width: 1.0
    weights: imagenet
baseline_cnn:
  network:
    filters: [32, 64, 128]
    dense: 128
    dropout: 0.5
  optimizer: {name: adam, learning_rate: 1.0e-3}
  epochs: 15
frozen:
  mobilenet:
    backbone: mobilenet
    head: {dense: [], dropout: 0.0, batch_norm: false}
    optimizer: {name: adam, learning_rate: 1.0e-3}
    epochs: 5
  mobilenetv2:
    backbone: mobilenetv2
    head: {dense: [128], dropout: 0.2, batch_norm: false}
    optimizer: {name: adam, learning_rate: 1.0e-3}
    epochs: 5
  resnet50:
    backbone: resnet50
    head: {dense: [], dropout: 0.0, batch_norm: false}
    optimizer: {name: adam, learning_rate: 1.0e-3}
    epochs: 5
finetune:
  mobilenet-blocks-4:
    from: mobilenet
    unfreeze: {blocks: 4}
    batch_norm: inference
    optimizer: {name: adam, learning_rate: 1.0e-4}
    epochs: 15
  mobilenetv2-layers-6:
    from: mobilenetv2
    unfreeze: {layers: 6}
    batch_norm: inference
    optimizer: {name: adam, learning_rate: 1.0e-4}
    epochs: 15
  resnet50-layers-10:
    from: resnet50
    unfreeze: {layers: 10}
    batch_norm: inference
    optimizer: {name: adam, learning_rate: 1.0e-4}
    epochs: 15
replicates:
  mobilenet: {backbone: mobilenet, count: 5}
  mobilenet-blocks-4: {backbone: mobilenet, count: 2}
folds:
  resnet50: {backbone: resnet50, count: 5}
export:
  mobilenet: {formats: [litert, onnx], quantize: [none, int8], tolerance: 0.5}
  baseline_cnn: {formats: [onnx]}
explain:
  baseline_cnn: {}
"""


@pytest.fixture
def document() -> dict[str, Any]:
    return ruamel.yaml.YAML(typ="safe", pure=True).load(DOCUMENT)


def set_key(document: dict[str, Any], path: str, value: object) -> None:
    """Set the key at `path`, its parts joined by points; KeyError as the value takes it away."""
    *parents, last = path.split(".")
    for key in parents:
        document = document[key]
    if value is KeyError:
        del document[last]
    else:
        document[last] = value


def find_faults(document: dict[str, Any]) -> list[str]:
    """Return the lines of the error that the check raises."""
    with pytest.raises(InputError) as raised:
        check(document, "params.yaml")
    return str(raised.value).split("\n")


def test_the_projects_own_file_has_no_fault() -> None:
    load(ROOT / "params.yaml")


def test_a_mode_that_a_network_without_batch_norm_has_nothing_for_is_a_fault(document: dict[str, Any]) -> None:
    document["backbones"]["mobilenet"]["architecture"], document["export"] = "ConvNeXtTiny", {}
    check(document, "params.yaml")
    document["finetune"]["mobilenet-blocks-4"]["batch_norm"] = "batch"
    assert find_faults(document) == [
        "params.yaml: finetune.mobilenet-blocks-4.batch_norm: must be inference for mobilenet, which has no BatchNorm "
        "layers: all modes are the same (got 'batch')"
    ]


def test_a_format_that_a_network_cannot_be_converted_to_is_a_fault(document: dict[str, Any]) -> None:
    document["backbones"]["mobilenet"]["architecture"] = "ConvNeXtTiny"
    document["export"] = {name: {"formats": ["onnx"]} for name in ("mobilenet", "mobilenet-blocks-4", "resnet50")}
    told = (
        "must be of saved_model, litert for ConvNeXtTiny, which has operations that the converter to ONNX does not know"
    )
    assert find_faults(document) == [
        f"params.yaml: export.{name}.formats: {told} (got 'onnx')" for name in ("mobilenet", "mobilenet-blocks-4")
    ]


def test_a_document_without_a_fault_is_typed(document: dict[str, Any]) -> None:
    assert check(document, "params.yaml").image.size == 224


@pytest.mark.parametrize(
    "key, value, fault",
    [
        ("image.size", "big", "params.yaml: image.size: must be a whole number (got 'big')"),
        ("image.size", 8, "params.yaml: image.size: must be at least 32 (got 8)"),
        ("image.size", True, "params.yaml: image.size: must be a whole number (got true)"),
        ("image.size", KeyError, "params.yaml: image.size: must be given"),
        ("image.colour", 1, "params.yaml: image.colour: no such key (got 1)"),
        ("image", None, "params.yaml: image: must be a mapping (got nothing)"),
        ("training", KeyError, "params.yaml: training: must be given"),
        (
            "trainning",
            {},
            "params.yaml: trainning: no such section; there are dataset, split, image, compute, training, "
            "baseline_cnn, report, backbones, frozen, finetune, replicates, folds, export, explain",
        ),
        (
            "dataset.source",
            "kaggle",
            "params.yaml: dataset.source: must be 'tfds', 'archive', 'folder', 'sample' (got 'kaggle')",
        ),
        ("dataset.source", KeyError, "params.yaml: dataset.source: must be given (got nothing)"),
        (
            "compute.onednn_isa",
            "AVX3",
            "params.yaml: compute.onednn_isa: must be 'SSE41', 'AVX', 'AVX2', 'AVX512_CORE' or 'DEFAULT' (got 'AVX3')",
        ),
        (
            "baseline_cnn.optimizer.learning_rate",
            "1e-4",
            "params.yaml: baseline_cnn.optimizer.learning_rate: must be a number (got '1e-4')",
        ),
        (
            "baseline_cnn.optimizer.learning_rate",
            float("nan"),
            "params.yaml: baseline_cnn.optimizer.learning_rate: must be a finite number (got nan)",
        ),
        (
            "baseline_cnn.optimizer.name",
            "rmsprop",
            "params.yaml: baseline_cnn.optimizer.name: must be 'sgd', 'adam', 'adamw' (got 'rmsprop')",
        ),
        ("baseline_cnn.optimizer.momentum", 0.9, "params.yaml: baseline_cnn.optimizer.momentum: no such key (got 0.9)"),
        (
            "frozen.mobilenet.backbone",
            "vgg",
            "params.yaml: frozen.mobilenet.backbone: must be one of mobilenet, "
            "mobilenetv2, resnet50, xception (got 'vgg')",
        ),
        ("frozen.mobilenet.head.dense", [0], "params.yaml: frozen.mobilenet.head.dense.0: must be at least 1 (got 0)"),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"blocks": 20},
            "params.yaml: finetune.resnet50-layers-10.unfreeze.blocks: must be 1 to 16 for resnet50 (got 20)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"layers": 176},
            "params.yaml: finetune.resnet50-layers-10.unfreeze.layers: must be 1 to 175 for resnet50 (got 176)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"stages": ["conv6"]},
            "params.yaml: finetune.resnet50-layers-10."
            "unfreeze.stages: must be of conv2, conv3, conv4, conv5 for resnet50 (got 'conv6')",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {},
            "params.yaml: finetune.resnet50-layers-10.unfreeze: must have at "
            "least one of layers, from_layer, blocks, stages, all, auto (got a mapping)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"auto": {"blocks": [0, 17]}},
            "params.yaml: finetune.resnet50-layers-10.unfreeze.auto.blocks: must be 0 to 16 for resnet50 (got 17)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"auto": {"blocks": [4], "all": False}},
            "params.yaml: finetune.resnet50-layers-10.unfreeze.auto: must have at least two candidates (got a mapping)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"auto": {"blocks": [4, 4]}},
            "params.yaml: finetune.resnet50-layers-10.unfreeze.auto: must name each number of blocks once "
            "(got a mapping)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"auto": {}, "blocks": 2},
            "params.yaml: finetune.resnet50-layers-10.unfreeze: must have auto or other keys, not both (got a mapping)",
        ),
        (
            "finetune.resnet50-layers-10.from",
            "resnet",
            "params.yaml: finetune.resnet50-layers-10.from: must be one of "
            "mobilenet, mobilenetv2, resnet50, pretrained/mobilenet, pretrained/mobilenetv2, pretrained/resnet50, "
            "pretrained/xception (got 'resnet')",
        ),
        (
            "finetune.resnet50-layers-10.from",
            "pretrained/resnet50",
            "params.yaml: finetune.resnet50-layers-10.head: must be given with from: pretrained/resnet50",
        ),
        (
            "finetune.resnet50-layers-10.head",
            {"dense": [], "dropout": 0.0, "batch_norm": False},
            "params.yaml: finetune.resnet50-layers-10.head: must be left out, the head is that of resnet50",
        ),
        (
            "backbones.resnet50.weights",
            "image-net",
            "params.yaml: backbones.resnet50.weights: must be imagenet, sample, "
            "random or the path of a .h5 file (got 'image-net')",
        ),
        (
            "backbones.resnet50.width",
            0.5,
            "params.yaml: backbones.resnet50: width must be 1.0 with weights imagenet (got a mapping)",
        ),
        (
            "backbones.resnet50.seed",
            1,
            "params.yaml: backbones.resnet50: seed must be given with weights sample and "
            "random, and with no other (got a mapping)",
        ),
        (
            "finetune.mobilenet",
            {},
            "params.yaml: mobilenet: a run's name must be given once, over baseline_cnn, frozen and finetune",
        ),
        ("image.size", 32, "params.yaml: image.size: must be at least 71 for xception (got 32)"),
        (
            "baseline_cnn.network.filters",
            [8] * 8,
            "params.yaml: image.size: must be at least 766 for baseline_cnn (got 224)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"stages": []},
            "params.yaml: finetune.resnet50-layers-10.unfreeze.stages: must have at least 1 entries (got a list)",
        ),
        (
            "finetune.resnet50-layers-10.unfreeze",
            {"layers": None},
            "params.yaml: finetune.resnet50-layers-10.unfreeze: "
            "must have at least one of layers, from_layer, blocks, stages, all, auto (got a mapping)",
        ),
        (
            "finetune.resnet50-layers-10.start",
            "resnet50",
            "params.yaml: finetune.resnet50-layers-10.start: no such key (got 'resnet50')",
        ),
        ("frozen", {}, "params.yaml: frozen: must have at least one entry"),
        ("folds", KeyError, "params.yaml: folds: must be a mapping of names (got nothing)"),
        ("folds.resnet50.count", 1, "params.yaml: folds.resnet50.count: must be at least 2 (got 1)"),
        ("replicates.mobilenet", 5, "params.yaml: replicates.mobilenet: must be a mapping (got 5)"),
        (
            "explain.baseline_cnn.perplexity",
            0,
            "params.yaml: explain.baseline_cnn.perplexity: must be at least 1 (got 0)",
        ),
        (
            "explain.gone",
            {},
            "params.yaml: explain.gone: must be one of baseline_cnn, mobilenet, mobilenetv2, resnet50, "
            "mobilenet-blocks-4, mobilenetv2-layers-6, resnet50-layers-10 (got 'gone')",
        ),
        (
            "replicates.mobilenet-blocks-4.backbone",
            "resnet50",
            "params.yaml: replicates.mobilenet-blocks-4.backbone: must be that of the run, mobilenet (got 'resnet50')",
        ),
        (
            "folds.baseline_cnn",
            {"backbone": "mobilenet", "count": 2},
            "params.yaml: folds.baseline_cnn: must be one of "
            "mobilenet, mobilenetv2, resnet50, mobilenet-blocks-4, mobilenetv2-layers-6, resnet50-layers-10 "
            "(got 'baseline_cnn')",
        ),
        (
            "frozen.resnet50.early_stopping",
            {"monitor": "validation_loss", "patience": 2},
            "params.yaml: folds.resnet50: must be of a run without early_stopping: it would choose on what it scores",
        ),
        (
            "frozen.resnet50.layer_decay",
            0.5,
            "params.yaml: frozen.resnet50.layer_decay: must be left out, no block of a backbone trains (got 0.5)",
        ),
        ("export", KeyError, "params.yaml: export: must be a mapping of names (got nothing)"),
        (
            "export.vgg16",
            {"formats": ["onnx"]},
            "params.yaml: export.vgg16: must be one of baseline_cnn, mobilenet, mobilenetv2, resnet50, "
            "mobilenet-blocks-4, mobilenetv2-layers-6, resnet50-layers-10 (got 'vgg16')",
        ),
        (
            "export.mobilenet.formats",
            ["litert", "coreml"],
            "params.yaml: export.mobilenet.formats.1: must be 'saved_model', 'litert' or 'onnx' (got 'coreml')",
        ),
        (
            "export.mobilenet.formats",
            [],
            "params.yaml: export.mobilenet.formats: must have at least 1 entries (got a list)",
        ),
        (
            "export.mobilenet.formats",
            ["onnx", "onnx"],
            "params.yaml: export.mobilenet.formats: must name each once, onnx is there twice (got a list)",
        ),
        (
            "export.mobilenet.quantize",
            ["int4"],
            "params.yaml: export.mobilenet.quantize.0: must be 'none', 'float16' or 'int8' (got 'int4')",
        ),
        (
            "export.baseline_cnn.quantize",
            ["int8"],
            "params.yaml: export.baseline_cnn: quantize must be left out without litert in formats (got a mapping)",
        ),
        (
            "export.mobilenet.tolerance",
            -1.0,
            "params.yaml: export.mobilenet.tolerance: must be at least 0.0 (got -1.0)",
        ),
        ("frozen.My run", {}, "params.yaml: frozen.My run: a name must be of a-z, 0-9, - and _ (got 'My run')"),
    ],
)
def test_a_fault_names_the_key_what_was_received_and_what_is_allowed(
    key: str, value: object, fault: str, document: dict[str, Any]
) -> None:
    set_key(document, key, value)
    assert fault in find_faults(document)


def test_all_faults_of_a_file_are_reported_at_once(document: dict[str, Any]) -> None:
    set_key(document, "image.size", 8)
    set_key(document, "split.seed", "x")
    set_key(document, "finetune.mobilenet-blocks-4.unfreeze", {"blocks": 14})
    set_key(document, "finetune.mobilenetv2-layers-6.epochs", 0)
    assert len(find_faults(document)) == 4


def test_a_fault_in_one_run_does_not_hide_those_of_another(document: dict[str, Any]) -> None:
    set_key(document, "finetune.mobilenet-blocks-4.epochs", "many")
    set_key(document, "finetune.resnet50-layers-10.unfreeze", {"blocks": 17})
    assert any("must be 1 to 16" in fault for fault in find_faults(document))


def test_a_fault_of_an_entry_does_not_hide_what_others_say_of_it(document: dict[str, Any]) -> None:
    set_key(document, "backbones.mobilenet.width", "wide")
    set_key(document, "frozen.mobilenet.epochs", 0)
    set_key(document, "finetune.mobilenet-blocks-4.unfreeze", {"blocks": 14})
    set_key(document, "finetune.mobilenetv2-layers-6.epochs", 0)
    set_key(document, "finetune.mobilenetv2-layers-6.unfreeze", {"blocks": 99})
    set_key(document, "image.shards", 0)
    set_key(document, "image.size", 33)
    set_key(document, "backbones.mobilenet.pretraining", 3)
    set_key(document, "baseline_cnn.network.filters", [1] * 6)
    set_key(document, "folds.mobilenet", {"backbone": "resnet50", "count": 1})
    places = {fault.split(": ")[1] for fault in find_faults(document)}
    assert places == {
        "image.shards", "backbones.mobilenet.width", "backbones.mobilenet.pretraining", "frozen.mobilenet.epochs",
        "finetune.mobilenetv2-layers-6.epochs", "folds.mobilenet.count", "image.size",
        "finetune.mobilenetv2-layers-6.unfreeze.blocks", "finetune.mobilenet-blocks-4.unfreeze.blocks",
        "folds.mobilenet.backbone",
    }  # fmt: skip


def test_a_fault_of_a_key_does_not_hide_what_else_its_mapping_breaks(document: dict[str, Any]) -> None:
    set_key(document, "finetune.mobilenet-blocks-4.unfreeze", {"blocks": "x", "layers": 99, "stages": ["conv9"]})
    set_key(document, "finetune.resnet50-layers-10.unfreeze", {"auto": {"blocks": [1, 1], "all": "x"}, "layers": 1})
    set_key(document, "export.mobilenet", {"formats": ["onnx"], "quantize": ["int8"], "tolerance": -1})
    set_key(document, "backbones.mobilenet", {**document["backbones"]["mobilenet"], "seed": 1, "width": 0.5, "a": 1})
    set_key(document, "baseline_cnn.network", {"filters": [1] * 9, "dense": 0, "dropout": 0.5})
    set_key(document, "compute", {"threads": 0, "onednn_isa": "AVX2", "precision": "mixed_bfloat16"})
    found = [fault.removeprefix("params.yaml: ") for fault in find_faults(document)]
    for part in (
        "finetune.mobilenet-blocks-4.unfreeze.blocks: must be a whole number",
        "finetune.mobilenet-blocks-4.unfreeze.layers: must be 1 to 86",
        "finetune.mobilenet-blocks-4.unfreeze.stages: must be of",
        "finetune.resnet50-layers-10.unfreeze.auto.all: must be",
        "finetune.resnet50-layers-10.unfreeze.auto: must name each number of blocks once",
        "finetune.resnet50-layers-10.unfreeze: must have auto or other keys",
        "export.mobilenet.tolerance: must be at least",
        "export.mobilenet: quantize must be left out",
        "backbones.mobilenet.a: no such key",
        "backbones.mobilenet: seed must be given with",
        "backbones.mobilenet: width must be 1.0",
        "baseline_cnn.network.dense: must be at least 1",
        "image.size: must be at least 1534 for baseline_cnn",
        "compute.threads: must be at least 1",
        "compute: must have onednn_isa: DEFAULT",
    ):
        assert [fault.startswith(part) for fault in found].count(True) == 1, part
    assert len(found) == 15


@pytest.mark.parametrize("section", ["backbones", "frozen", "finetune"])
def test_a_section_that_is_no_mapping_is_one_fault_whatever_names_its_entries(
    section: str, document: dict[str, Any]
) -> None:
    document[section] = ["mobilenet"]
    document["export"]["resnet50-layers-10"] = {"formats": ["onnx"]}
    faults = find_faults(document)
    assert faults == [f"params.yaml: {section}: must be a mapping of names (got a list)"]


def test_a_baseline_that_is_left_out_is_no_run_that_others_may_name(document: dict[str, Any]) -> None:
    document["baseline_cnn"] = None
    assert [fault.split(": must be")[0] for fault in find_faults(document)] == [
        "params.yaml: export.baseline_cnn", "params.yaml: explain.baseline_cnn",
    ]  # fmt: skip
    document["baseline_cnn"] = False
    assert find_faults(document)[0] == "params.yaml: baseline_cnn: must be a mapping or null (got false)"
    set_key(document, "baseline_cnn", None)
    del document["export"]["baseline_cnn"], document["explain"]["baseline_cnn"]
    params = check(document, "params.yaml")
    assert params.baseline_cnn is None and "baseline_cnn" not in params.runs
    set_key(document, "frozen.baseline_cnn", document["frozen"]["mobilenet"])
    assert find_faults(document) == [
        "params.yaml: baseline_cnn: a run's name must be given once, over baseline_cnn, frozen and finetune"
    ]


def test_what_cannot_be_read_of_an_entry_makes_no_fault_of_its_own(document: dict[str, Any]) -> None:
    for key in ("backbones.mobilenet", "frozen.mobilenet", "finetune.mobilenet-blocks-4", "image", "baseline_cnn"):
        changed = copy.deepcopy(document)
        set_key(changed, key, [])
        assert len(find_faults(changed)) == 1, key


@pytest.mark.parametrize(
    "text, place",
    [("a: [1\n", "line 2"), ("a: \x01\n", "must be YAML"), ("a: 1\na: 2\n", "line 2"), ("- a\n", "a mapping")],
)
def test_a_file_that_is_no_yaml_mapping_is_reported_in_one_line(text: str, place: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError) as raised:
        load(tmp_path / "params.yaml")
    assert str(raised.value).startswith("params.yaml: ") and place in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_rate_may_be_written_without_a_dot(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.yaml").write_text("rate: 1e-4\n")
    assert read_yaml(tmp_path / "a.yaml") == {"rate": 0.0001}


def test_a_file_is_written_as_it_is_read(document: dict[str, Any]) -> None:
    assert ruamel.yaml.YAML(typ="safe", pure=True).load(write_yaml(document)) == document


def test_a_stage_stops_at_a_fault_anywhere_before_any_work(tmp_path: pathlib.Path, document: dict[str, Any]) -> None:
    set_key(document, "finetune.resnet50-layers-10.unfreeze", {"blocks": 20})
    (tmp_path / "params.yaml").write_text(write_yaml(document))
    run = subprocess.run(
        [sys.executable, ROOT / "stages" / "download.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "must be 1 to 16 for resnet50 (got 20)" in run.stderr and "Traceback" not in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_mapping_used_twice_is_written_twice() -> None:
    shared = {"name": "adam"}
    assert write_yaml({"b": shared, "a": shared}) == "b:\n  name: adam\na:\n  name: adam\n"


def test_the_check_of_the_projects_own_file_loads_neither_tensorflow_nor_keras() -> None:
    code = "import json, sys; from thaw.config.loading import load; load(); print(json.dumps(list(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    slow = {"tensorflow", "keras", "matplotlib", "pandas", "sklearn", "statsmodels", "requests"}
    assert not slow & set(json.loads(run.stdout))


HEAD = {"dense": [], "dropout": 0.0, "batch_norm": False}  # that of the frozen run on mobilenet


@pytest.fixture
def document_with_own_heads(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with two more runs: from pretrained/mobilenet, with the frozen run's head and with another."""
    run = {
        "from": "pretrained/mobilenet",
        "unfreeze": {"all": True},
        "optimizer": {"name": "adam", "learning_rate": 1e-5},
    }
    document["finetune"]["same-head"] = {**run, "epochs": 6, "head": dict(HEAD)}
    document["finetune"]["other-head"] = {**run, "epochs": 6, "head": {**HEAD, "dense": [8]}, "batch_norm": "batch"}
    return document


@pytest.mark.parametrize(
    "run, start, phases",
    [
        ("mobilenet", "pretrained/mobilenet", ["mobilenet"]),
        ("mobilenet-blocks-4", "pretrained/mobilenet", ["mobilenet", "mobilenet-blocks-4"]),
        ("other-head", "pretrained/mobilenet", ["other-head"]),
    ],
)
def test_the_phases_of_a_run_begin_with_the_frozen_run_that_it_starts_from(
    run: str, start: str, phases: list[str], document_with_own_heads: dict[str, Any]
) -> None:
    params = check(document_with_own_heads, "params.yaml")
    runs = {**params.frozen, **params.finetune}
    assert params.find_phases(run) == (start, [runs[name] for name in phases])


@pytest.mark.parametrize(
    "run, timed",
    [
        ("baseline_cnn", "baseline_cnn"),
        ("resnet50", "resnet50"),
        ("resnet50-layers-10", "resnet50"),
        ("mobilenetv2-layers-6", "mobilenetv2"),
        ("same-head", "mobilenet"),
        ("other-head", "other-head"),
        ("mobilenet-blocks-4", "mobilenet-blocks-4"),
    ],
)
def test_latency_is_measured_for_the_first_run_with_the_same_backbone_and_head_that_sees_as_many_images(
    run: str, timed: str, document_with_own_heads: dict[str, Any]
) -> None:
    document_with_own_heads["finetune"]["mobilenet-blocks-4"]["flip_test"] = True
    assert check(document_with_own_heads, "params.yaml").find_timed(run) == timed


def test_the_runs_of_a_backbone_ask_for_openings_in_the_order_of_the_file(
    document_with_own_heads: dict[str, Any],
) -> None:
    assert list_openings(check(document_with_own_heads, "params.yaml"), "mobilenet") == [
        Opening(None, "inference", 5),
        Opening(Unfreeze(blocks=4), "inference", 15),
        Opening(Unfreeze(all=True), "inference", 6),
        Opening(Unfreeze(all=True), "batch", 6),
    ]


def test_a_run_sees_each_image_as_it_is_in_one_epoch_for_each_round_of_views(document: dict[str, Any]) -> None:
    document["frozen"]["mobilenet"]["augmentation"] = {"views": 2, "flip": True, "crop": 0.8, "seed": 0}
    assert check(document, "params.yaml").frozen["mobilenet"].passes == 2.5
    document["frozen"]["mobilenet"]["augmentation"]["views"] = "fresh"
    assert check(document, "params.yaml").frozen["mobilenet"].passes == 1
