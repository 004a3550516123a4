"""Passes that only go forward: OpenVINO beside Keras, in the store, in scores and in answers."""

import importlib.util
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import steps
from small import SIZE, WIDTH, plain_head, scatter
from thaw.architectures.table import ARCHITECTURES
from thaw.base import engines
from thaw.base.engines import check_engine
from thaw.base.errors import InputError
from thaw.base.sections import Compute, Forward
from thaw.config.checking import Params, check
from thaw.config.presets import ROOT
from thaw.config.starting import prepare
from thaw.networks import classifiers, unfreezing
from thaw.networks.classifiers import Network
from thaw.networks.sections import Unfreeze
from thaw.prediction.models import load_run
from thaw.records import reading
from thaw.store import entries, place
from thaw.store.filling import open_part
from thaw.store.prefixes import Images, Prefix
from thaw.training.sections import FrozenRun, Training
from thaw.weights import pretrained
from tiny import DOCUMENT, change_params, make_project

TRAIN = Images("data/records", "train")
FLOAT32 = Forward(engine="openvino")
BFLOAT16 = Forward(engine="openvino", precision="bfloat16")
# Of the largest value. bfloat16 has eight bits, so that one rounding is 0.4 % of a value; a network sums up many.
TOLERANCE = 1e-5  # that a value may differ by in float32
SHARE = 0.02  # that the mean of the differences may be in bfloat16

with_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the extra `openvino` is not installed"
)


@pytest.fixture
def bfloat16(threads: Compute) -> Compute:
    """The section `compute` with a pass in bfloat16, where the processor has it."""
    if "BF16" not in engines.list_capabilities():
        pytest.skip("the processor has no bfloat16")
    return threads.model_copy(update={"forward": BFLOAT16})


@pytest.fixture
def float32(threads: Compute) -> Compute:
    """The section `compute` with a pass of OpenVINO in float32."""
    return threads.model_copy(update={"forward": FLOAT32})


FEW = [pytest.param(name, marks=() if name == "MobileNet" else pytest.mark.long) for name in ARCHITECTURES]


def make_prefixes(network: Network, architecture: str, compute: Compute) -> list[Prefix]:
    """Return prefixes of the whole backbone and of half of its blocks."""
    asked = [None, Unfreeze(blocks=ARCHITECTURES[architecture].blocks // 2)]
    layers = [unfreezing.find_open_layers(network.backbone, architecture, ask) for ask in asked]
    cuts = [unfreezing.find_cut(network.backbone, opened) for opened in layers]
    return [Prefix(network, cut, architecture, compute) for cut in cuts]


def fill(made: list[Prefix], store: str, monkeypatch: pytest.MonkeyPatch, together: bool = True) -> list[np.ndarray]:
    """Return what the store at `store` holds of each prefix; one pass fills all of them, or each has its own."""
    monkeypatch.setenv("THAW_STORE", store)
    return [open_part(prefix, TRAIN, (lambda: made) if together else tuple).inputs.copy() for prefix in made]


@with_openvino
@pytest.mark.parametrize("architecture", FEW)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_store_holds_by_openvino_what_it_holds_by_keras_and_the_same_bits_each_time(
    precision: str,
    architecture: str,
    project: pathlib.Path,
    small_networks: dict[str, Network],
    threads: Compute,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first time one pass fills both cuts, if it may, the second time each has its own."""
    network = small_networks[architecture]
    own = fill(make_prefixes(network, architecture, threads), "keras", monkeypatch)
    made = make_prefixes(network, architecture, request.getfixturevalue(precision))
    first, again = fill(made, "first", monkeypatch), fill(made, "again", monkeypatch, together=False)
    for found, same, expected in zip(first, again, own, strict=True):
        assert found.tobytes() == same.tobytes()
        difference, largest = np.abs(found - expected), np.abs(expected).max()
        assert difference.any()  # or Keras made both
        if precision == "float32":
            assert difference.max() <= TOLERANCE * largest
        else:
            assert difference.mean() <= SHARE * largest


@with_openvino
def test_engine_and_precision_have_entries_of_their_own(
    project: pathlib.Path, small_networks: dict[str, Network], threads: Compute, float32: Compute
) -> None:
    computes = [threads, float32, threads.model_copy(update={"forward": BFLOAT16})]
    made = [make_prefixes(small_networks["MobileNet"], "MobileNet", compute)[0] for compute in computes]
    assert len({entries.find_entry(place.find_store(), prefix, TRAIN) for prefix in made}) == 3


def test_what_has_its_default_is_no_part_of_the_key_of_the_store(
    project: pathlib.Path, small_networks: dict[str, Network]
) -> None:
    """Or what was stored before the key existed would be computed again."""
    written = {"engine": "keras", "precision": "float32"}
    for section in ({}, {"forward": written}, {"forward": {}}):
        compute = Compute.model_validate({"threads": 2, "onednn_isa": "AVX2", **section})
        description = make_prefixes(small_networks["MobileNet"], "MobileNet", compute)[0].description
        assert description["compute"] == {"threads": 2, "onednn_isa": "AVX2"}
        assert len(description["versions"]) == 2


PASS = """
import os
import numpy as np
from thaw.base.determinism import configure
from thaw.base.quiet import keras
from thaw.base.sections import Compute, Forward
from thaw.networks.forward import trace

compute = Compute(threads=2, onednn_isa="AVX2", forward=Forward(engine="openvino"))
configure(compute, 1)
layers = keras.layers
model = keras.Sequential([
    layers.Input((32, 32, 3)), layers.Conv2D(16, 3), layers.MaxPooling2D(3, 2, padding="same"), layers.Conv2D(16, 3),
    layers.AveragePooling2D(2), layers.GlobalAveragePooling2D(),
])
images = np.random.default_rng(1).uniform(0, 1, (5, 32, 32, 3)).astype("float32")
print(np.abs(trace(model, compute)(images)[0] - model(images).numpy()).max() < 1e-5)
print(os.environ["ONEDNN_MAX_CPU_ISA"])
"""


@with_openvino
@pytest.mark.long
def test_a_pass_of_openvino_works_where_the_instructions_of_tensorflow_are_pinned() -> None:
    """OpenVINO fails at a pooling layer where it reads what `determinism` sets for TensorFlow."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", PASS], env=environment, capture_output=True, text=True)
    assert done.stdout == "True\nAVX2\n", done.stderr
    assert not done.stderr


@with_openvino
@pytest.mark.long
def test_a_run_is_scored_and_used_by_openvino(project: pathlib.Path, threads: Compute, float32: Compute) -> None:
    model = classifiers.build_classifier("MobileNet", WIDTH, SIZE, plain_head(), 3).backbone
    scatter(model)
    about = {"name": "small", "architecture": "MobileNet", "width": WIDTH, "weights": "random"}
    pretrained.save_pretrained(model, about)
    empty: dict[str, Any] = dict.fromkeys(("backbones", "frozen", "finetune"), {})
    head = {"dense": [], "dropout": 0.0, "batch_norm": False}
    adam = {"name": "adam", "learning_rate": 0.01}
    run = FrozenRun.model_validate({"backbone": "small", "head": head, "optimizer": adam, "epochs": 2})

    def score(compute: Compute) -> pd.DataFrame:
        settings = Training(seed=1, batch_size=8)
        params = Params(*[None] * 3, compute, settings, baseline_cnn=None, report=None, **empty)
        if compute == threads:
            steps.train_frozen("small", run, params)
        steps.score("small", params)
        return pd.read_csv("plots/predictions/small.csv").filter(like="p_")

    images = np.concatenate([images for images, _ in reading.read_batches("data/records", "test", 32)])
    np.testing.assert_allclose(score(threads), score(float32), atol=2e-5)  # of five digits
    expected, predictor = load_run("small").score(images), load_run("small", compute=float32)
    for chosen in (slice(None), slice(1, 2)):  # batches of every size
        np.testing.assert_allclose(predictor.score(images[chosen]), expected[chosen], atol=1e-5)


def test_an_engine_that_is_not_installed_is_told_before_anything_runs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project")
    change_params(project, lambda document: document["compute"].update(forward={"engine": "openvino"}))
    monkeypatch.chdir(project)
    monkeypatch.setitem(sys.modules, "openvino", None)
    engines.start_openvino.cache_clear()
    with pytest.raises(InputError) as raised:
        prepare(["repro"])
    told = str(raised.value)
    assert told.startswith("params.yaml: compute.forward.engine: must be keras where OpenVINO cannot be loaded")
    assert engines.PACKAGE in told and "\n" not in told
    prepare(["status"])
    prepare(["repro", "--allow-missing"])


def test_a_precision_that_the_processor_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "list_capabilities", lambda: ["FP32", "INT8"])
    check_engine(FLOAT32)
    with pytest.raises(InputError, match=r"^params.yaml: compute.forward.precision: must be float32 on this processor"):
        check_engine(BFLOAT16)


@pytest.mark.parametrize(
    ("forward", "fault"),
    [
        ({"engine": "onnx"}, "params.yaml: compute.forward.engine: must be 'keras' or 'openvino' (got 'onnx')"),
        (
            {"precision": "bfloat16"},
            "params.yaml: compute.forward: must have precision: float32 with engine: keras, or engine: openvino "
            "(got a mapping)",
        ),
    ],
)
def test_an_engine_that_cannot_be_is_a_fault_of_params_yaml(forward: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError) as raised:
        check({**DOCUMENT, "compute": {**DOCUMENT["compute"], "forward": forward}}, "params.yaml")
    assert str(raised.value) == fault


def test_the_extra_is_the_package_that_the_fault_names() -> None:
    assert f'"{engines.PACKAGE}"' in (ROOT / "pyproject.toml").read_text()
