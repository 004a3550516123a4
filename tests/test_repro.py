"""./run thaw repro through real DVC: the real dvc.yaml, with scripts in place of the stages that write in no time."""

import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import termios
import threading
import time
from typing import Any

import psutil
import pytest
from dvc.dependency import param

from quick import (
    copy,
    expect_one_line,
    list_command,
    read_events,
    read_lock,
    read_tracked,
    start,
    tell,
    thaw_repro,
)
from thaw.base.files import write_json
from thaw.cli.repro import default_jobs
from thaw.config.presets import ROOT
from thaw.engine import children, costs, order, schedule
from thaw.engine.children import Children, Ended, Outcome
from thaw.engine.devices import list_devices
from thaw.engine.pipeline import Step, open_pipeline
from thaw.engine.watching import Progress
from tiny import attempt, change_params, dvc, find_stages_run, make_project

GIB = 2**30
HEAD, TUNED = "train_frozen@tiny", "finetune@tiny-all"


def wait_for(folder: pathlib.Path, event: str) -> None:
    deadline = time.monotonic() + 300
    while event not in (folder / ".thaw" / "events").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_params_are_parsed_once_for_all_stages(
    ran: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(ran, tmp_path / "table")
    monkeypatch.chdir(folder)
    change_params(folder, lambda params: params["training"].update(batch_size=6))
    parse, parsed = param.load_path, []
    monkeypatch.setattr(param, "load_path", lambda path, *rest: (parsed.append(path), parse(path, *rest))[1])
    with open_pipeline() as pipeline:
        steps = pipeline.read_steps([], force=False)
        changed = {step.name for step in steps if not step.unchanged}
        assert len(steps) > 5 and parsed == [str(folder / "params.yaml")]
        assert "split" not in changed and HEAD in changed
        change_params(folder, lambda params: params["split"].update(seed=77))
        assert "split" in {step.name for step in pipeline.read_steps([], force=False) if not step.unchanged}


@pytest.mark.long
def test_what_git_sees_is_what_dvc_repro_leaves_though_stages_end_in_another_order(
    quick: pathlib.Path, ran: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """dvc.lock, every .gitignore and every output in git, byte for byte. Each wait needs two stages at once."""
    folder = copy(quick, tmp_path / "project")
    waits = {"download": "end weights@tiny", "baseline_cnn": f"end {HEAD}", "finetune@tiny-blocks-1": f"end {TUNED}"}
    tell(folder, {name: {"after": event} for name, event in waits.items()})
    done = thaw_repro(folder, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("13 stages: 13 run (")
    expected, found = read_tracked(ran), read_tracked(folder)
    assert found.keys() == expected.keys() and len(found) > 30
    assert not [name for name in found if found[name] != expected[name]]
    assert json.loads(dvc(folder, "status", "--json")) == {}


def test_where_nothing_changed_no_stage_is_started(ran: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = copy(ran, tmp_path / "project")
    before = read_tracked(folder)
    done = thaw_repro(folder)
    assert done.returncode == 0 and done.stdout.startswith("13 stages: 13 unchanged"), done.stderr
    assert not done.stderr and not (folder / ".thaw" / "logs").exists()
    assert read_tracked(folder) == before


@pytest.mark.long
def test_of_a_changed_table_the_stages_that_dvc_would_run_are_started_and_no_other(
    ran: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """DVC takes what it has seen before out of its cache."""
    folder = copy(ran, tmp_path / "project")
    other = copy(folder, tmp_path / "other")
    for each in (folder, other):
        change_params(each, lambda document: document["finetune"]["tiny-all"].update(epochs=2))
        tell(each, {})
    expected = find_stages_run(dvc(other, "repro"))
    done = thaw_repro(folder, "--jobs", "2")
    assert done.stdout.startswith("13 stages: 3 run, 10 unchanged"), done.stderr
    assert [name for what, name, _ in read_events(folder) if what == "end"] == expected
    assert (folder / "dvc.lock").read_bytes() == (other / "dvc.lock").read_bytes()
    logs = {path.name for path in (folder / ".thaw" / "logs").iterdir()}
    assert logs == {f"{name}.log" for name in expected}
    (folder / "models" / "tiny-all.json").unlink()
    assert thaw_repro(folder, "evaluate_finetune@tiny-all").stdout.startswith("7 stages: 1 from the cache, 6 unchanged")


def test_targets_are_those_of_dvc_repro(quick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = copy(quick, tmp_path / "project")
    assert thaw_repro(folder, "--jobs", "1", "split", "weights").stdout.startswith("3 stages: 3 run")
    assert {name for _, name, _ in read_events(folder)} == {"download", "split", "weights@tiny"}


def test_stages_that_are_forced_run_though_unchanged(ran: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = copy(ran, tmp_path / "project")
    assert thaw_repro(folder, "--force", "weights").stdout.startswith("1 stage: 1 run")


def test_a_stage_that_fails_stops_what_needs_it_and_nothing_else(ran: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """It is named at the end with its log and its last line; the next `dvc repro` runs what is missing."""
    folder = copy(ran, tmp_path / "project")
    change_params(folder, lambda document: document["training"].update(seed=2))
    tell(folder, {TUNED: {"fault": "what went wrong"}})
    targets = ["finetune", "evaluate_finetune@tiny-all"]
    done = thaw_repro(folder, "--jobs", "2", *targets)
    assert done.returncode == 1
    assert done.stdout.startswith("8 stages: 2 run, 4 unchanged, 1 failed, 1 left out (")
    lines = done.stderr.splitlines()
    assert lines[-2:] == [
        "    what went wrong",
        "left out, because they need what failed: evaluate_finetune@tiny-all",
    ]
    assert f"{TUNED} failed; .thaw/logs/{TUNED}.log has its output:" in lines[-5:]
    assert f"{TUNED} | working on {TUNED}" in lines
    assert "what went wrong" in (folder / ".thaw" / "logs" / f"{TUNED}.log").read_text()
    tell(folder, {})
    assert find_stages_run(dvc(folder, "repro", *targets)) == [TUNED, "evaluate_finetune@tiny-all"]


def test_of_two_gpus_each_of_two_stages_sees_its_own(quick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder, tools = copy(quick, tmp_path / "project"), tmp_path / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho 0\necho 1\n")
    (tools / "nvidia-smi").chmod(0o755)
    tell(folder, {"split": {"after": "start weights@tiny"}, "weights@tiny": {"after": "start split"}})
    path = f"{tools}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    done = attempt(folder, *list_command("--jobs", "2", "split", "weights"), PYTHONPATH=str(ROOT / "src"), PATH=path)
    assert done.returncode == 0, done.stderr
    logs = [(folder / ".thaw" / "logs" / f"{name}.log").read_text() for name in ("split", "weights@tiny")]
    assert sorted(line for log in logs for line in log.splitlines() if line.startswith("sees")) == ["sees 0", "sees 1"]


def test_no_more_stages_run_at_a_time_than_there_are_gpus() -> None:
    assert default_jobs(1, 1) == 1 <= default_jobs(1)


@pytest.mark.parametrize(("named", "devices"), [("", []), ("-1", []), ("3", ["3"]), ("0, GPU-8932", ["0", "GPU-8932"])])
def test_the_gpus_are_those_that_the_user_lets_be_seen(
    named: str, devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert list_devices() == devices


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_ends_the_stages_that_run_and_dvc_repro_goes_on(
    number: signal.Signals, quick: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = copy(quick, tmp_path / "project")
    tell(folder, {"weights@tiny": {"sleep": 600}, "split": {"sleep": 600}})
    process = start(folder, "--jobs", "2", "split", "weights")
    wait_for(folder, "start split")
    wait_for(folder, "start weights@tiny")
    process.send_signal(number)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number and not output
    assert errors.splitlines()[-1].startswith(f"stopped by {number.name}; ") and "\nTraceback" not in errors
    assert not [pid for _, _, pid in read_events(folder) if psutil.pid_exists(int(pid))]
    tell(folder, {})
    assert sorted(find_stages_run(dvc(folder, "repro", "split", "weights"))) == ["split", "weights@tiny"]


def test_of_two_at_once_the_second_is_told_who_is_at_work(quick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = copy(quick, tmp_path / "project")
    tell(folder, {"weights@tiny": {"sleep": 600}})
    process = start(folder, "weights")
    wait_for(folder, "start weights@tiny")
    expect_one_line(
        thaw_repro(folder, "split"), f"./run thaw repro weights (process {process.pid}) is still running in {folder}"
    )
    process.terminate()
    process.communicate(timeout=300)
    assert [name for _, name, _ in read_events(folder)] == ["weights@tiny"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--jobs", "0"], ["--jobs: must be a whole number from 1 on (got '0')"]),
        (["none"], ["DVC: ", "'none'"]),
    ],
    ids=["jobs", "target"],
)
def test_a_fault_of_the_command_line_is_one_line(arguments: list[str], words: list[str], quick: pathlib.Path) -> None:
    expect_one_line(thaw_repro(quick, *arguments), *words)


def test_an_input_in_an_output_is_told_before_a_stage_loses_its_outputs(
    ran: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Of the checks before `dvc repro` the one that saves photos."""
    folder = copy(ran, tmp_path / "project")
    dataset = {"source": "folder", "path": "data/raw"}
    change_params(folder, lambda document: document.update(dataset=dataset))
    expect_one_line(thaw_repro(folder), "data/raw", "must lie apart")
    assert (folder / "data" / "raw" / "file.txt").exists()


@pytest.mark.long
def test_a_stage_that_another_command_keeps_locked_is_tried_again(quick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """DVC ends at once where a file that it needs is another's; so the file is, until that process has ended."""
    folder = copy(quick, tmp_path / "project")
    with subprocess.Popen(["sleep", "4"]) as other:
        threading.Thread(target=other.wait).start()  # or it would stay in the list of processes
        held = {"write": {str(folder / "models"): {"pid": other.pid, "cmd": "dvc something"}}, "read": {}}
        (folder / ".dvc" / "tmp").mkdir(exist_ok=True)
        write_json(folder / ".dvc" / "tmp" / "rwlock", held)
        done = thaw_repro(folder, "weights")
    assert done.returncode == 0, done.stderr
    assert "is busy" in (folder / ".thaw" / "logs" / "weights@tiny.log").read_text()


def test_a_stage_that_stays_locked_is_given_up(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tries: list[str] = []

    def refuse(words: list[str], name: str, path: pathlib.Path) -> tuple[int, list[str]]:
        tries.append(name)
        path.write_text("")
        return 255, ["ERROR: failed to reproduce 'a': Unable to acquire lock. Most likely"]

    some: Any = None
    family = Children(some, False, lambda name, line: None)
    monkeypatch.setattr(family, "_run_once", refuse)
    monkeypatch.setattr(family._ending, "wait", lambda seconds: False)
    assert family.run("a").outcome is Outcome.FAILED and len(tries) == children.TRIES


def make_step(name: str, *upstream: str, unchanged: bool = False) -> Step:
    return Step(name, frozenset(upstream), unchanged, (), ())


class Recorder:
    """Runs steps that do nothing, and notes what happens."""

    def __init__(
        self, steps: list[Step], memory: dict[str, int], seconds: dict[str, float], room: schedule.Room
    ) -> None:
        self.running: set[str] = set()
        self.started: list[str] = []
        self.together: list[set[str]] = []
        estimates = {step.name: costs.Cost(seconds.get(step.name, 1), memory.get(step.name, 1)) for step in steps}
        with concurrent.futures.ThreadPoolExecutor(room.jobs) as pool:
            place = schedule.Machine(self.run, estimates, room)
            self.ended = schedule.run_steps(steps, place, pool, estimates, self)

    def run(self, name: str) -> Ended:
        time.sleep(0.05)
        return Ended(Outcome.RUN, 0)

    def start(self, name: str) -> None:
        self.running.add(name)
        self.started.append(name)
        self.together.append(set(self.running))

    def end(self, name: str, ended: Ended) -> None:
        self.running.discard(name)

    def lose(self, name: str, ended: Ended) -> None:
        self.running.discard(name)

    def refresh(self) -> None:
        pass


def test_stages_that_run_together_fit_into_memory_and_one_that_never_fits_runs_alone() -> None:
    steps = [make_step(name) for name in "abcde"]
    found = Recorder(steps, {"a": 3 * GIB, "b": 3 * GIB, "c": GIB, "d": 9 * GIB}, {}, schedule.Room(4, 4 * GIB))
    assert set(found.started) == set("abcde")
    assert {"d"} in found.together
    assert not [group for group in found.together if {"a", "b"} <= group or ("d" in group and len(group) > 1)]
    assert [group for group in found.together if len(group) > 1]


def test_no_more_stages_run_at_a_time_than_there_are_jobs() -> None:
    found = Recorder([make_step(name) for name in "abcdefgh"], {}, {}, schedule.Room(3, GIB))
    assert max(map(len, found.together)) == 3 and set(found.started) == set("abcdefgh")


def test_the_stage_with_the_longest_chain_behind_it_starts_first() -> None:
    steps = [make_step("short"), make_step("long"), make_step("next", "short"), make_step("last", "next", "long")]
    found = Recorder(steps, {}, {"short": 1, "long": 20, "next": 30}, schedule.Room(1, GIB))
    assert found.started == ["short", "next", "long", "last"]


def test_an_unchanged_stage_is_started_only_where_one_before_it_ran() -> None:
    steps = [make_step("same", unchanged=True), make_step("new")]
    steps += [make_step("behind", "same", unchanged=True), make_step("after", "new", unchanged=True)]
    assert Recorder(steps, {}, {}, schedule.Room(2, GIB)).started == ["new", "after"]


def test_what_was_added_is_sorted_and_the_rest_stays_where_it_was() -> None:
    now = ["z", "gone", "e", "b", "unknown", "c"]
    assert order.sort_added(["z", "gone", "lost"], now, "abcdez") == ["z", "gone", "b", "c", "e", "unknown"]


def test_what_a_stage_takes_is_what_it_took_before(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training, preprocessing, and a stage whose metrics have neither seconds nor memory."""
    monkeypatch.chdir(ROOT)
    paths = [f"metrics/timing/{name}.json" for name in ("train/resnet50", "preprocess", "evaluate/resnet50", "none")]
    found = costs.read_costs([Step(path, frozenset(), False, (path, "models/a.h5"), ()) for path in paths])
    trained, prepared, scored, none = (found[path] for path in paths)
    measured = json.loads((ROOT / paths[0]).read_text())["resnet50"]
    took = measured["seconds"]
    assert trained == (costs.SECONDS + took["prefix"] + took["training"], measured["peak_memory_mib"] * 2**20)
    assert prepared.seconds > costs.SECONDS and prepared.memory == costs.MEMORY
    assert scored == none == (costs.SECONDS, costs.MEMORY)


def test_no_training_of_the_table_took_more_memory_than_is_assumed_of_one_that_is_new() -> None:
    peaks = [json.loads(path.read_text()) for path in (ROOT / "metrics/timing/train").glob("*.json")]
    assert peaks and all(run["peak_memory_mib"] * 2**20 < costs.MEMORY for each in peaks for run in each.values())


def test_the_time_left_is_that_of_the_work_among_the_jobs_and_no_less_than_the_longest_chain() -> None:
    steps = [make_step("a"), make_step("b"), make_step("c", "a")]
    estimates = {"a": costs.Cost(10, 1), "b": costs.Cost(100, 1), "c": costs.Cost(40, 1)}
    assert Progress(steps, estimates, 1).estimate() == 150
    assert Progress(steps, estimates, 2).estimate() == 100
    begun = Progress(steps, estimates, 2)
    begun.end("b", Ended(Outcome.RUN, 1))
    assert begun.estimate() == 50
    assert begun.describe() == "about 00:50 left; 2 waiting"


def test_on_a_terminal_there_is_a_bar_and_what_stages_say_is_in_their_logs(
    quick: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = copy(quick, tmp_path / "project")
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(list_command("weights"), cwd=folder, env=environment, stderr=theirs, text=True)
    os.close(theirs)
    shown = ""
    try:
        while piece := os.read(ours, 4096):
            shown += piece.decode()
    except OSError:  # on Linux, the end
        pass
    assert process.wait() == 0
    assert "0 of 1 stages |" in shown and "left; 1 running: weights@tiny" in shown
    assert "1 of 1 stages |" in shown and "weights@tiny: run in 0" in shown and "working on" not in shown
    assert "working on weights@tiny" in (folder / ".thaw" / "logs" / "weights@tiny.log").read_text()


@pytest.mark.long
def test_real_stages_side_by_side_give_the_bytes_of_dvc_repro(
    finished: tuple[pathlib.Path, str], tmp_path: pathlib.Path
) -> None:
    """The same dvc.lock but for the digests of measured times, and of what shows them."""
    folder = make_project(tmp_path / "again")
    done = thaw_repro(folder, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    ours, theirs = (read_lock(project) for project in (folder, finished[0]))
    assert len(theirs) > 300 and ours == theirs
