"""Presets and their workspaces."""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from small import SIZE, WIDTH
from thaw.base.errors import InputError
from thaw.base.files import read_json, write_json
from thaw.cli import demo, workspaces
from thaw.cli.preset import KEPT, find_cache, find_environment, keep_results, run_preset
from thaw.cli.workspaces import hold_workspace, make_workspace, run_table, start_paths_at
from thaw.comparison.published import read_published
from thaw.comparison.results import list_runs
from thaw.config.checking import Params, check
from thaw.config.loading import read_yaml, write_yaml
from thaw.config.presets import ROOT, list_presets, read_preset
from thaw.networks import classifiers, cutting, unfreezing
from thaw.networks.sections import Head
from thaw.training.recipes import About, build_optimizer
from tiny import DOCUMENT, find_stages_run

ROWS = read_published()
PUBLISHED = list(ROWS["report"].unique())

PARAMS = {name: check(read_preset(name), name) for name in list_presets()}


def find_head(params: Params, run: Any) -> bool:
    """Return the Head of a run of PARAMS: its own, or that of the frozen run that it goes on from."""
    return getattr(run, "head", None) or params.frozen[run.start].head


def find_backbone(params: Params, run: Any) -> Any:
    """Return the entry of `backbones` that a run of PARAMS rests on."""
    start = getattr(run, "start", None)
    if start is None:
        return params.backbones[run.backbone]
    return params.backbones[params.frozen[start].backbone if start in params.frozen else start.split("/")[1]]


def list_different_runs() -> Any:
    """Return a pytest.param (params, run) for each run with a backbone of all presets, those that train alike once."""
    found = {}
    for preset, params in PARAMS.items():
        for name, run in [*params.frozen.items(), *params.finetune.items()]:
            backbone = find_backbone(params, run)
            parts = [find_head(params, run), run.optimizer, getattr(run, "unfreeze", None)]
            told = [part and part.model_dump(mode="json") for part in parts]
            key = [backbone.architecture, backbone.preprocessing, getattr(run, "batch_norm", None), *told]
            marks = () if preset == "resnet50-and-mobilenet-analysis" else pytest.mark.long
            found.setdefault(json.dumps(key), pytest.param(params, run, id=f"{preset}-{name}", marks=marks))
    return list(found.values())


@functools.cache
def build_once(architecture: str, width: int, size: int, head: Any, preprocessing: Any) -> Any:
    """Return (Network of five classes, its first weights); `head` is a Head as JSON."""
    network = classifiers.build_classifier(architecture, width, size, Head.model_validate_json(head), 5, preprocessing)
    return network, network.model.get_weights()


def open_run(params: Params, run: Any, width: int, size: int) -> Any:
    """Return (network, opened, cut) of a run of PARAMS: the layers that it opens trainable and the others not."""
    backbone = find_backbone(params, run)
    head = find_head(params, run).model_dump_json()
    network, weights = build_once(backbone.architecture, width, size, head, backbone.preprocessing)
    network.model.set_weights(weights)
    asked = getattr(run, "unfreeze", None)
    opened = unfreezing.find_open_layers(network.backbone, backbone.architecture, asked)
    unfreezing.open_up(network.backbone, opened, getattr(run, "batch_norm", "inference"))
    return network, opened, unfreezing.find_cut(network.backbone, opened)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Any:
    """A copy of what a preset needs of the project."""
    copy = tmp_path / "root"
    for name in ("dvc.yaml", ".dvcignore", "params.yaml"):
        copy.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for name in ("stages", "src", "presets"):
        shutil.copytree(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_row_is_a_run_of_its_epochs(name: str) -> None:
    params, runs = PARAMS[name], {}
    for run in list_runs(params):
        architecture = params.backbones[run.backbone].architecture if run.backbone else "BaselineCNN"
        runs[architecture, run.unfrozen] = "+".join(str(epochs) for epochs in run.epochs)
    for row in ROWS[ROWS["report"] == name].itertuples():
        epochs = runs[row.backbone, row.unfrozen]
        assert row.epochs in ("", epochs)  # empty where the report leaves them open


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_protocol_does_not_depend_on_the_users_parameters(name: str) -> None:
    """But for the photos; and, for the table that shares its runs with params.yaml, the machine and the baseline."""
    left = (
        set(read_preset(name))
        - set(read_yaml(ROOT / "presets" / f"{name}.yaml"))
        - {"replicates", "folds", "export", "explain"}
    )
    published = "BaselineCNN" in set(ROWS.loc[ROWS["report"] == name, "backbone"])
    shared = name == "resnet50-and-mobilenet-analysis"  # its runs are those of params.yaml
    assert left == {"dataset", "report"} | ({"compute", "baseline_cnn"} if shared else set())
    assert bool(PARAMS[name].baseline_cnn) == (published or shared)


@pytest.mark.parametrize("preset", list(PARAMS))
def test_the_name_of_a_run_says_what_opens(preset: Any) -> None:
    keys = {"layers": "layers", "from": "from_layer", "blocks": "blocks"}
    for name, run in PARAMS[preset].finetune.items():
        start = run.start.removeprefix("pretrained/")
        assert name.startswith(start + "-")
        told = name.removeprefix(start + "-")
        found = re.match(r"(layers|from|blocks)-(\d+)", told)
        expected = {keys[found[1]]: int(found[2])} if found else {"stages": told.split("-")}
        assert run.unfreeze.model_dump(exclude_unset=True) == expected


@pytest.mark.parametrize("params, run", list_different_runs())
def test_every_run_takes_a_training_step_that_changes_what_it_opens_alone(params: Params, run: Any) -> None:
    network, opened, cut = open_run(params, run, WIDTH, SIZE)
    batch_norm = getattr(run, "batch_norm", "inference")
    tail = cutting.build_tail(network, cut, batch_norm)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    tail.compile(
        build_optimizer(run, lambda share: share * run.optimizer.learning_rate, About()), loss, run_eagerly=True
    )  # to trace a step takes longer than to run it
    before = {weight.path: weight.numpy() for weight in network.model.weights}
    generator = np.random.default_rng(7)
    inputs = generator.uniform(0, 255 if cut is network.backbone.operations[0] else 1, (4, *tail.input_shape[1:]))
    assert np.isfinite(tail.train_on_batch(inputs.astype(np.float32), np.arange(4)))
    changed = {w.path for w in network.model.weights if not np.array_equal(w.numpy(), before[w.path])}
    moving = {weight.path for layer in opened if unfreezing.is_batch_norm(layer) for weight in layer.weights[2:]}
    trained = {weight.path for layer in opened for weight in layer.weights} - moving
    head = {weight.path for weight in network.head.weights}
    assert changed <= trained | head | (moving if batch_norm == "batch" else set())
    assert changed & head
    assert bool(changed & trained) == bool(opened) == hasattr(run, "unfreeze")
    assert bool(changed & moving) == (batch_norm == "batch")


# The reports print these to the digit.
@pytest.mark.parametrize("report", ["resnet50-and-mobilenet-analysis", "mobilenet-vs-resnet50"])
def test_the_runs_of_a_published_table_train_the_published_numbers_of_parameters(report: str) -> None:
    params, measured = PARAMS[report], {}
    for name, run in [*params.frozen.items(), *params.finetune.items()]:
        network, *_ = open_run(params, run, 1, 64)
        measured[name] = classifiers.count_parameters(network.model.trainable_weights)
    runs = [run for run in list_runs(params) if run.backbone]
    named = {(params.backbones[run.backbone].architecture, run.unfrozen): run.name for run in runs}
    rows = [row for row in ROWS.itertuples() if row.report == report and int(row.trainable_parameters or 0) % 100]
    assert len(rows) >= 6
    for row in rows:
        assert measured[named[row.backbone, row.unfrozen]] == int(row.trainable_parameters), row.row


def test_the_larger_head_of_resnet50_has_about_2_6_million_parameters() -> None:
    params = PARAMS["mobilenet-vs-resnet50"]
    network, *_ = open_run(params, params.frozen["resnet50"], 1, 64)
    # 2,048 to 1,024 to 512 to 5, each with its biases
    expected = 2_049 * 1_024 + 1_025 * 512 + 513 * 5
    assert classifiers.count_parameters(network.model.trainable_weights) == expected
    assert round(expected / 1e6, 1) == 2.6


def test_two_published_rows_four_points_apart_open_the_same_weights() -> None:
    params = PARAMS["resnet50-and-mobilenetv3"]
    trained = []
    for name in ("resnet50-blocks-16", "resnet50-from-7"):
        network, *_ = open_run(params, params.finetune[name], WIDTH, SIZE)
        trained.append([weight.path for weight in network.model.trainable_weights])
    assert trained[0] == trained[1]
    by_blocks, from_layer = (params.finetune[name] for name in ("resnet50-blocks-16", "resnet50-from-7"))
    assert by_blocks.model_copy(update={"unfreeze": from_layer.unfreeze, "batch_norm": "inference"}) == from_layer


def test_the_runs_of_a_training_at_several_ages_differ_in_nothing_else() -> None:
    runs = {name: run for name, run in PARAMS["pitfalls"].finetune.items() if "-epochs-" in name}
    assert [run.epochs for run in runs.values()] == [2, 4, 6, 8, 10, 12, 14]
    whole = PARAMS["pitfalls"].finetune["mobilenet-blocks-2"]
    for name, run in runs.items():
        assert run.model_copy(update={"epochs": whole.epochs}) == whole
        assert name == f"mobilenet-blocks-2-epochs-{run.epochs}"


def test_a_section_of_a_preset_replaces_that_of_params(root: pathlib.Path) -> None:
    document = read_preset("demo", root)
    assert document["finetune"] == read_yaml(root / "presets" / "demo.yaml")["finetune"]


def test_a_preset_repeats_exports_and_explains_no_run_that_its_own_file_does_not(root: pathlib.Path) -> None:
    sections = ("replicates", "folds", "export", "explain")
    assert all(read_yaml(root / "params.yaml")[key] for key in sections)
    assert all(read_preset("pitfalls", root)[key] == {} for key in sections)


def test_the_demo_does_not_depend_on_the_users_parameters() -> None:
    assert set(read_yaml(ROOT / "presets" / "demo.yaml")) == set(read_yaml(ROOT / "params.yaml"))


def test_an_unknown_preset_is_told_with_those_there_are(root: pathlib.Path) -> None:
    with pytest.raises(InputError, match="no preset 'other'; there are demo"):
        read_preset("other", root)


def test_a_path_is_no_preset(root: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"no preset '\.\./params'"):
        read_preset("../params", root)


def test_a_fault_in_a_preset_names_its_file(root: pathlib.Path) -> None:
    with (root / "presets" / "demo.yaml").open("a") as file:
        file.write("colour: 1\n")
    with pytest.raises(InputError, match=r"^presets/demo\.yaml: colour: no such section"):
        read_preset("demo", root)


def test_a_workspace_is_renewed_and_keeps_what_its_stages_made(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    document = read_preset("demo", root)
    make_workspace(tmp_path / "a place", document, root)
    (tmp_path / "a place" / "dvc.lock").write_text("kept")
    (tmp_path / "a place" / "src" / "thaw" / "removed.py").write_text("")
    (root / "stages" / "split.py").write_text("# changed\n")
    make_workspace(tmp_path / "a place", document, root)
    assert (tmp_path / "a place" / "dvc.lock").read_text() == "kept"
    assert (tmp_path / "a place" / "stages" / "split.py").read_text() == "# changed\n"
    assert not (tmp_path / "a place" / "src" / "thaw" / "removed.py").exists()
    assert read_yaml(tmp_path / "a place" / "params.yaml") == document


def test_making_a_workspace_changes_nothing_of_the_project(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def read() -> dict[str, Any]:
        return {path: path.read_bytes() for path in sorted(pathlib.Path(root).rglob("*")) if path.is_file()}

    before = read()
    make_workspace(tmp_path / "workspace", read_preset("demo", root), root)
    assert read() == before


def test_a_workspace_finds_photos_and_weights_where_params_named_them(
    root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    document = read_preset("demo", root)
    document["dataset"] = {"source": "folder", "path": "photos/mine", "digest": None}
    document["backbones"] = {
        "near": {"architecture": "MobileNet", "width": 1.0, "weights": "mine.h5"},
        "home": {"architecture": "MobileNet", "width": 1.0, "weights": "~/mine.h5"},
        "published": {"architecture": "MobileNet", "width": 1.0, "weights": "imagenet"},
    }
    make_workspace(tmp_path / "workspace", document, root)
    found = read_yaml(tmp_path / "workspace" / "params.yaml")
    assert found["dataset"]["path"] == str(root / "photos/mine")
    weights = {name: backbone["weights"] for name, backbone in found["backbones"].items()}
    assert weights == {"near": str(root / "mine.h5"), "home": "~/mine.h5", "published": "imagenet"}


def make_results(workspace: pathlib.Path, paths: Any, text: str) -> None:
    """Write a file with `text` at each of `paths`, in a folder's stead one in it."""
    for path in paths:
        file = workspace / path if pathlib.Path(path).suffix else workspace / path / "run.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def finish(root: pathlib.Path, name: str, missing: int = 0) -> Any:
    """Write what tells that the table of a preset was made, but for `missing` runs; return how many it has."""
    workspace, document = root / ".thaw" / "presets" / name, start_paths_at(root, read_preset(name, root))
    (workspace / "params.yaml").write_text(write_yaml(document))
    listed = len(list_runs(check(document, name)))
    write_json(workspace / "metrics/summary.json", {"summary": {"runs": listed - missing}})
    return listed


def test_what_is_kept_of_a_preset_is_what_its_workspace_has_now(root: pathlib.Path) -> None:
    name = list_presets(root)[0]
    for text in ('"first"', '"second"'):
        make_results(root / ".thaw" / "presets" / name, KEPT, text)
        finish(root, name)
        keep_results(name, root)
        kept = [file for file in (root / "presets" / name).rglob("*") if file.is_file() and file.name != "summary.json"]
        assert len(kept) == len(KEPT)
        assert {file.read_text() for file in kept} == {text}
    assert name in list_presets(root)


def test_of_an_unfinished_preset_nothing_is_kept_and_what_is_missing_is_named(root: pathlib.Path) -> None:
    name = list_presets(root)[0]
    make_results(root / ".thaw" / "presets" / name, KEPT[:-1], "half")
    with pytest.raises(InputError, match=f"{name} has no {KEPT[-1]} to keep"):
        keep_results(name, root)
    assert not (root / "presets" / name).exists()


def test_a_table_with_runs_that_are_missing_is_kept_and_that_is_said(
    root: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = list_presets(root)[0]
    make_results(root / ".thaw" / "presets" / name, KEPT, '"half"')
    listed = finish(root, name, missing=1)
    keep_results(name, root)
    assert f"{name} has {listed - 1} of its {listed} runs" in capsys.readouterr().err
    assert (root / "presets" / name / "dvc.lock").exists()


def test_a_table_of_a_preset_that_has_changed_since_is_not_kept(root: pathlib.Path) -> None:
    name = list_presets(root)[0]
    make_results(root / ".thaw" / "presets" / name, KEPT, "old")
    finish(root, name)
    file = root / "presets" / f"{name}.yaml"
    document = read_yaml(file)
    document["finetune"].popitem()
    document["explain"] = document["export"] = {}  # or they would name that run
    file.write_text(write_yaml(document))
    with pytest.raises(InputError, match=f"{name} has changed since its table was made"):
        keep_results(name, root)
    assert not (root / "presets" / name).exists()


@pytest.fixture
def shared(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A project, a DVC repository, with two tiny presets: `other` has another head and more epochs than `tiny`."""
    monkeypatch.setenv("PATH", f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    other = {"tiny": {**DOCUMENT["frozen"]["tiny"], "epochs": 2}}
    for name, document in {"tiny": DOCUMENT, "other": {**DOCUMENT, "frozen": other}}.items():
        (root / "presets" / f"{name}.yaml").write_text(write_yaml(document))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm"], cwd=root, check=True)
    return root


@pytest.mark.long
def test_what_one_preset_has_computed_another_takes_from_the_shared_cache(
    shared: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_preset("tiny", ["repro", "preprocess"], shared)
    assert find_stages_run(capfd.readouterr().out) == ["download", "split", "preprocess"]
    run_preset("other", ["repro", "preprocess"], shared)
    output = capfd.readouterr().out
    assert find_stages_run(output) == []
    for stage in ("download", "split", "preprocess"):
        assert f"Stage '{stage}' is cached" in output
    workspaces = shared / ".thaw" / "presets"
    for file in ("data/records/index.json", "data/split.csv", "metrics/preprocess.json"):
        assert (workspaces / "other" / file).read_bytes() == (workspaces / "tiny" / file).read_bytes()


@pytest.mark.long
def test_the_cache_of_a_workspace_is_the_one_that_the_project_is_configured_with(
    shared: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "cache", "dir", "../elsewhere"], cwd=shared, check=True)
    assert find_cache(shared) == (shared.parent / "elsewhere").resolve()
    run_preset("tiny", ["config", "core.autostage", "false"], shared)
    assert find_cache(shared / ".thaw" / "presets" / "tiny") == find_cache(shared)


def test_the_store_and_the_mirror_of_a_workspace_are_those_of_the_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("THAW_STORE", "store")
    monkeypatch.setenv("THAW_MIRROR", "mirror")
    environment = find_environment(tmp_path)
    assert environment["THAW_STORE"] == str(tmp_path / "store")
    assert environment["THAW_MIRROR"] == str(tmp_path / "mirror")
    monkeypatch.setenv("THAW_STORE", "none")
    monkeypatch.delenv("THAW_MIRROR")
    environment = find_environment(tmp_path)
    assert environment["THAW_STORE"] == "none" and "THAW_MIRROR" not in environment


@pytest.mark.parametrize(
    "arguments, report, printed",
    [
        (["repro"], True, True),
        (["repro", "--force"], True, True),
        (["thaw", "repro", "--jobs", "2"], True, True),
        (["thaw", "repro", "--jobs", "2", "split"], True, False),
        (["repro"], False, False),
        (["repro", "split"], True, False),
        (["status"], True, False),
    ],
)
def test_the_table_is_printed_after_a_repro_of_all_that_left_a_report(
    arguments: list[str],
    report: bool,
    printed: bool,
    root: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_workspace(root / "workspace", DOCUMENT, root)
    (root / "workspace" / "report").mkdir()
    if report:
        (root / "workspace" / "report" / "report.md").write_text("")
    monkeypatch.setattr(workspaces, "_run_module", lambda *_, **__: None)
    monkeypatch.setattr(workspaces, "render_table", lambda *_: "the table")
    assert run_table(root / "workspace", arguments) == printed
    output = capsys.readouterr().out
    assert ("the table" in output) == printed == bool(output)


def test_a_dvc_command_that_fails_ends_the_program_with_its_status(
    root: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_workspace(root / "workspace", DOCUMENT, root)
    with pytest.raises(SystemExit) as raised:
        run_table(root / "workspace", ["repro", "no-such-stage"])
    assert raised.value.code == 255 and "no-such-stage" in capfd.readouterr().err


def test_the_demo_has_a_cache_and_a_store_of_its_own_and_ends_with_its_page_and_what_to_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {}
    monkeypatch.setenv("THAW_STORE", str(tmp_path / "mine"))
    monkeypatch.setattr(demo, "WORKSPACE", tmp_path / "demo")
    monkeypatch.setattr(demo, "run_table", lambda folder, environment: told.update(environment, folder=folder))
    monkeypatch.setattr(demo, "predict_drawing", lambda folder: "")
    demo.run_demo()
    assert told["folder"] == tmp_path / "demo" and told["THAW_STORE"].startswith(str(tmp_path / "demo"))
    assert find_cache(tmp_path / "demo") == tmp_path / "demo" / ".dvc" / "cache"
    page, suggestion = capsys.readouterr().out.splitlines()[-2:]
    assert page.endswith(str(tmp_path / "demo/report/report.html")) and suggestion.startswith("Next: ")


HOLD = """
import pathlib, subprocess, sys
from thaw.cli.workspaces import hold_workspace
with hold_workspace(pathlib.Path(sys.argv[1]), sys.argv[2]):
    running = subprocess.Popen(["sleep", "60"], close_fds=False)  # as DVC is started
    print("held", flush=True)
    running.wait()
"""


@pytest.fixture
def hold() -> Any:
    """The function that has another process hold a workspace for a command, until the test has ended."""
    processes = []

    def start(folder: pathlib.Path, command: str) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, folder, command],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        processes.append(process)
        assert process.stdout and process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # the test has ended it
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def say_held(command: Callable[[], None]) -> str:
    """Return the one line that a command ends with where its workspace is held."""
    with pytest.raises(InputError) as raised:
        command()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_second_command_on_a_preset_is_told_what_runs_and_changes_nothing(
    root: pathlib.Path, hold: Callable[..., Any]
) -> None:
    workspace = root / ".thaw" / "presets" / "demo"
    process = hold(workspace, "./run preset demo repro")
    for command in (lambda: run_preset("demo", root=root), lambda: keep_results("demo", root)):
        told = say_held(command)
        assert told == f"./run preset demo repro (process {process.pid}) is still running in {workspace}: one at a time"
    assert not workspace.exists() and not (root / "presets" / "demo").exists()


def test_a_second_demo_is_told_that_one_runs(
    tmp_path: pathlib.Path, hold: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "WORKSPACE", tmp_path / "demo")
    hold(tmp_path / "demo", "./run demo")
    assert say_held(demo.run_demo).startswith("./run demo (process ")
    assert not (tmp_path / "demo").exists()


def test_different_presets_run_at_once(root: pathlib.Path, hold: Callable[..., Any]) -> None:
    hold(root / ".thaw" / "presets" / "pitfalls", "./run preset pitfalls repro")
    with hold_workspace(root / ".thaw" / "presets" / "demo", "./run preset demo repro"):
        pass


def test_a_killed_command_frees_its_preset_once_dvc_has_ended_too(root: pathlib.Path, hold: Callable[..., Any]) -> None:
    workspace = root / ".thaw" / "presets" / "demo"
    process = hold(workspace, "./run preset demo repro")
    process.kill()
    process.wait()
    assert "./run preset demo repro" in say_held(lambda: keep_results("demo", root))  # DVC may still write there
    os.killpg(process.pid, signal.SIGKILL)
    for _ in range(100):
        time.sleep(0.05)
        with pytest.raises(InputError) as raised:
            keep_results("demo", root)
        if "demo has no dvc.lock to keep" in str(raised.value):
            return
    pytest.fail(str(raised.value))


def test_a_path_that_a_preset_names_is_looked_at_before_dvc_starts(
    root: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = {**DOCUMENT, "dataset": {"source": "folder", "path": str(root / "missing"), "digest": None}}
    make_workspace(root / "workspace", document, root)
    with pytest.raises(SystemExit) as raised:
        run_table(root / "workspace", ["repro"])
    printed = capfd.readouterr()
    assert raised.value.code == 1 and "dataset.path" in printed.err and not printed.out


def test_a_workspace_lists_the_mirror_that_its_stages_see(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    weights = tmp_path / "mirror" / "weights" / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"\x89HDF\r\n\x1a\n")
    backbone = {"architecture": "ResNet50", "width": 1.0, "weights": "imagenet"}
    make_workspace(root / "workspace", {**DOCUMENT, "backbones": {"tiny": backbone}}, root)
    run_table(root / "workspace", ["status"], {**os.environ, "THAW_MIRROR": str(tmp_path / "mirror")})
    listing = read_json(root / "workspace" / "data/inputs/weights/tiny.json")
    assert listing["file"] == weights.name
