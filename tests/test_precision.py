"""compute.precision: arithmetic in 16 bits, with float32 where it counts."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import steps
from small import SIZE, WIDTH, plain_head, scatter
from thaw.base.determinism import configure
from thaw.base.errors import InputError
from thaw.base.quiet import keras, tf, use_defaults
from thaw.base.sections import Compute
from thaw.config.checking import Params, check
from thaw.networks import backbones, plan
from thaw.networks.classifiers import Network, build_classifier
from thaw.networks.files import load_network
from thaw.prediction.models import load_run
from thaw.records import reading
from thaw.store import entries, place
from thaw.store.filling import open_part
from thaw.store.prefixes import Images, Prefix
from thaw.training import racing
from thaw.training.sections import FinetuneRun, Training
from thaw.weights import pretrained
from tiny import DOCUMENT, change_params, dvc, make_project

TRAIN = Images("data/records", "train")
FLOAT32 = Compute(threads=2, onednn_isa="DEFAULT")
BFLOAT16 = FLOAT32.model_copy(update={"precision": "mixed_bfloat16"})
# Rounding grows in proportion with SGD; Adam would make a whole step of a gradient that is rounding alone.
SGD = {"name": "sgd", "learning_rate": 0.005, "momentum": 0.9}
HEAD = {"dense": [4], "dropout": 0.0, "batch_norm": True}
TUNED = {"from": "pretrained/small", "head": HEAD, "unfreeze": {"blocks": 2}, "batch_norm": "inference", "epochs": 3}


@pytest.fixture
def set_precision(monkeypatch: pytest.MonkeyPatch, forget_determinism: None) -> Iterator[Any]:
    """Give the function that configures this process with a section `compute`, but for its threads."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "DEFAULT")
    for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        monkeypatch.setattr(tf.config.threading, name, lambda _: None)  # they are set before the first operation
    yield lambda compute: configure(compute, 1)
    use_defaults()


def pretrain() -> None:
    model = backbones.build("MobileNet", WIDTH, SIZE)
    scatter(model)
    about = {"name": "small", "architecture": "MobileNet", "width": WIDTH, "weights": "random"}
    pretrained.save_pretrained(model, about)


def make_params(compute: Compute) -> Params:
    empty: dict[str, Any] = dict.fromkeys(("backbones", "frozen", "finetune"), {})
    settings = Training(seed=1, batch_size=8)
    return Params(*[None] * 3, compute, settings, baseline_cnn=None, report=None, **empty)


def tune(compute: Compute, **changes: Any) -> dict[str, np.ndarray]:
    """Fine-tune a run; return {name of the variable: value}."""
    racing.reset(1)
    run = FinetuneRun.model_validate({**TUNED, "optimizer": SGD, **changes})
    steps.finetune("tuned", run, make_params(compute))
    return {weight.path: weight.numpy() for weight in load_network("tuned")[0].model.weights}


@pytest.mark.long
def test_a_run_in_bfloat16_from_the_store_ends_like_one_from_the_records(
    project: pathlib.Path, set_precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they may differ by is measured by what bfloat16 changes: what is stored is what the next layer takes."""
    monkeypatch.setattr(plan, "is_worth_storing", lambda *_: True)
    pretrain()
    whole = tune(FLOAT32)
    set_precision(BFLOAT16)
    stored = tune(BFLOAT16)
    monkeypatch.setenv("THAW_STORE", "none")
    plain = tune(BFLOAT16)
    changed = 0
    for name, value in stored.items():
        assert value.dtype == np.float32
        rounding = np.abs(value - whole[name]).max()
        assert np.abs(value - plain[name]).max() <= 1e-2 * rounding, name
        changed += rounding > 1e-4
    assert changed > 5


def test_logits_and_pooled_features_are_float32_and_what_lies_before_has_16_bits(
    project: pathlib.Path, set_precision: Any
) -> None:
    set_precision(BFLOAT16)
    network = build_classifier("MobileNet", WIDTH, SIZE, plain_head(), 3)
    scatter(network.model)
    images = np.random.default_rng(1).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    assert network.model(images).dtype == tf.float32
    assert network.preprocessing(images).dtype == tf.float32
    inner = network.backbone.operations[-10]
    values = open_part(Prefix(network, inner, "MobileNet", BFLOAT16), TRAIN).inputs
    assert values.dtype == np.float32 and values.any() and not (values.view(np.uint32) & 0xFFFF).any()
    pooled = open_part(Prefix(network, network.backbone.operations[-1], "MobileNet", BFLOAT16), TRAIN).inputs
    assert (pooled.view(np.uint32) & 0xFFFF).any()


def test_a_precision_has_entries_of_its_own(
    project: pathlib.Path, small_networks: dict[str, Network], threads: Compute
) -> None:
    network = small_networks["MobileNet"]
    made = [
        Prefix(
            network, network.backbone.operations[-1], "MobileNet", threads.model_copy(update={"precision": precision})
        )
        for precision in ("float32", "mixed_bfloat16", "mixed_float16")
    ]
    assert len({entries.find_entry(place.find_store(), prefix, TRAIN) for prefix in made}) == 3


@pytest.mark.long
def test_a_run_in_float16_scales_its_loss_with_every_part_of_a_recipe(
    project: pathlib.Path, set_precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain()
    compute = BFLOAT16.model_copy(update={"precision": "mixed_float16"})
    set_precision(compute)
    scaled = []
    build = keras.optimizers.LossScaleOptimizer.build
    monkeypatch.setattr(
        keras.optimizers.LossScaleOptimizer, "build", lambda self, *rest: (scaled.append(self), build(self, *rest))[1]
    )
    tune(compute, layer_decay=0.5, average=0.9, clip_norm=1.0, epochs=2)
    assert scaled
    assert np.isfinite(pd.read_csv("plots/history/tuned.csv")["validation_loss"]).all()
    steps.score("tuned", make_params(compute))
    images = np.concatenate([images for images, _ in reading.read_batches("data/records", "test", 32)])
    expected = pd.read_csv("plots/predictions/tuned.csv").query("part == 'test'").filter(like="p_")
    np.testing.assert_allclose(load_run("tuned").score(images), expected, atol=1e-2)


@pytest.mark.long
def test_a_whole_table_runs_in_bfloat16(tmp_path: pathlib.Path) -> None:
    """Stages export and explain, which do not, included."""
    project = make_project(tmp_path / "project")

    def change(document: dict[str, Any]) -> None:
        document["compute"].update(precision="mixed_bfloat16", onednn_isa="DEFAULT")
        document["replicates"] = {"tiny-blocks-1": {"backbone": "tiny", "count": 2}}
        document["folds"] = {"tiny-blocks-1": {"backbone": "tiny", "count": 2}}
        document["explain"] = {"tiny-all": {}}
        document["export"] = {"tiny-blocks-1": {"formats": ["litert"]}}

    change_params(project, change)
    dvc(project, "repro")


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"onednn_isa": "AVX2"}, "must have onednn_isa: DEFAULT with precision: mixed_bfloat16"),
        (
            {"forward": {"engine": "openvino"}},
            "must have precision: float32 with forward.engine: openvino, whose precision is its own",
        ),
    ],
)
def test_what_a_mixed_precision_needs_is_a_fault_of_params_yaml(section: dict[str, Any], fault: str) -> None:
    compute = {"threads": 2, "onednn_isa": "DEFAULT", "precision": "mixed_bfloat16", **section}
    with pytest.raises(InputError) as raised:
        check({**DOCUMENT, "compute": compute}, "params.yaml")
    assert str(raised.value) == f"params.yaml: compute: {fault} (got a mapping)"
