"""./run thaw repro --cluster: workers of Dask as processes with folders of their own, sharing nothing but a remote."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import psutil
import pytest
from dvc.repo import Repo

from quick import copy, expect_one_line, read_events, read_lock, read_tracked, start, tell, thaw_repro
from thaw.base.errors import InputError
from thaw.config.inputs import FOLDER
from thaw.engine import errand, parcel, remote, workers
from thaw.engine.costs import Cost
from thaw.engine.pipeline import Step, open_pipeline
from thaw.engine.workers import CORES, GPU, MEMORY, Worker, find_room, list_asked
from tiny import change_params, dvc, find_stages_run, git, make_project

TUNED, SCORED = "finetune@tiny-all", "evaluate_finetune@tiny-all"
ISOLATED = ("PYTHONPATH", "THAW_STORE", "THAW_MIRROR")


def share(folder: pathlib.Path, storage: str | pathlib.Path, server: str | None = None) -> pathlib.Path:
    """Give the project in `folder` the folder or address `storage`, of an S3 server, as its remote, and commit all."""
    dvc(folder, "remote", "add", "--default", "storage", storage)
    if server is not None:
        dvc(folder, "remote", "modify", "storage", "endpointurl", server)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A remote")
    return folder


class Machines:
    """A scheduler and workers as processes; each worker has a folder of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.processes = folder, dict[str, subprocess.Popen[bytes]]()
        folder.mkdir()
        self._start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", "at.json")
        self.file = folder / "scheduler" / "at.json"

    def add(self, name: str, *options: str) -> None:
        """Start a worker, which is one process: its number is that of the process."""
        own = ["--no-nanny", "--name", name, "--local-directory", str(self.folder / name), "--host", "127.0.0.1"]
        self._start(name, "worker", "--scheduler-file", str(self.file), *own, *options)

    def find_address(self) -> str:
        deadline = time.monotonic() + 60
        while not self.file.exists() or not self.file.read_text().strip().endswith("}"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        import json

        return str(json.loads(self.file.read_text())["address"])

    def _start(self, name: str, *words: str) -> None:
        folder = self.folder / name
        folder.mkdir()
        variables = {key: value for key, value in os.environ.items() if key not in ISOLATED}
        with open(folder / "log.txt", "w") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", words[0], "--no-dashboard", *words[1:]],
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    """A scheduler without workers."""
    with contextlib.closing(Machines(tmp_path / "machines")) as found:
        yield found


@pytest.mark.long
def test_what_git_sees_is_what_dvc_repro_leaves_and_dvc_repro_finds_nothing_to_do(
    ran: pathlib.Path, machines: Machines, tmp_path: pathlib.Path
) -> None:
    """One run changed, and the workers know nothing of the project. Their outputs take the place of earlier ones."""
    machines.add("one", "--resources", "CORES=2")
    folder = share(copy(ran, tmp_path / "project"), tmp_path / "storage")
    other = copy(folder, tmp_path / "other")
    for each in (folder, other):
        change_params(each, lambda document: document["finetune"]["tiny-all"].update(epochs=2))
        tell(each, {})
    dvc(other, "repro", SCORED)
    done = thaw_repro(folder, "--cluster", machines.find_address(), SCORED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 stages: 2 run, 5 unchanged (")
    assert f"{TUNED} | working on {TUNED}" in done.stderr.splitlines() and not read_events(folder)
    expected, found = read_tracked(other), read_tracked(folder)
    assert found.keys() == expected.keys()
    assert not [name for name in found if found[name] != expected[name]]
    assert find_stages_run(dvc(folder, "repro", "--pull", SCORED)) == []
    model = pathlib.Path("models", "tiny-all.json")
    assert (folder / model).read_bytes() == (other / model).read_bytes()


@pytest.mark.long
def test_a_table_comes_out_the_same_though_a_worker_is_killed_in_the_middle_of_a_training(
    finished: tuple[pathlib.Path, str], bucket: str, machines: Machines, tmp_path: pathlib.Path
) -> None:
    """Real stages on three workers that share a bucket alone. What the killed one had started ends with it."""
    folder = make_project(tmp_path / "project")
    (folder / ".gitignore").write_text("__pycache__/\n.thaw/\n")
    share(folder, "s3://bucket/table", bucket)
    for name in ("one", "two", "three"):
        machines.add(name, "--resources", "CORES=2 MEMORY=4e9")
    process = start(folder, "--cluster", machines.find_address())
    left = kill_in_training(machines, folder / ".thaw" / "logs" / "train_frozen@tiny.log")
    assert not psutil.wait_procs(left, timeout=10)[1]
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    assert "is gone, and with it what the stage had done; it starts again from its beginning (1 of 3)" in errors
    ours, theirs = (read_lock(project) for project in (folder, finished[0]))
    assert len(theirs) > 300 and ours == theirs
    assert set(find_stages_run(dvc(folder, "repro", "--pull"))) <= {"report"}


def kill_in_training(machines: Machines, log: pathlib.Path) -> list[psutil.Process]:
    """Kill the worker that trains once `log`, which has its output, says that the epochs begin; return its children."""
    deadline = time.monotonic() + 600
    while not log.exists() or "records of validation checked" not in log.read_text():
        assert time.monotonic() < deadline, "no training began"
        time.sleep(0.05)
    for process in machines.processes.values():
        started = psutil.Process(process.pid).children(recursive=True)
        if any("stages/train_frozen.py" in child.cmdline() for child in started):
            process.send_signal(signal.SIGKILL)
            return started
    raise AssertionError("no worker trains")


@pytest.mark.long
def test_an_address_where_no_scheduler_answers_is_one_line(ran: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = share(copy(ran, tmp_path / "project"), tmp_path / "storage")
    done = thaw_repro(folder, "--cluster", "tcp://127.0.0.1:9", "split")
    expect_one_line(done, "--cluster: no scheduler of Dask answers at 'tcp://127.0.0.1:9': ")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (None, "core.remote: must name a remote, by which workers get and give data (got none)"),
        ("../storage", "remote 'storage': url: must mean the same on every machine, an address or an absolute path"),
    ],
)
def test_a_remote_that_workers_cannot_find_is_one_line(
    url: str | None, words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    dvc(folder, "init", "--quiet", "--no-scm")
    if url:
        dvc(folder, "remote", "add", "--default", "storage", url)
    with Repo(str(folder)) as repo, pytest.raises(InputError, match="^.dvc/config: ") as raised:
        remote.check_configured(repo)
    assert words in str(raised.value)


def test_a_remote_that_is_another_on_a_worker_is_told(tmp_path: pathlib.Path) -> None:
    """One address, and two folders behind it, as where a path is no shared one."""
    places = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        dvc(folder, "init", "--quiet", "--no-scm")
        dvc(folder, "remote", "add", "--default", "storage", "storage")
        places.append(Repo(str(folder)))
    here, there = places
    with remote.mark(here) as mark:
        remote.check_mark(here, mark)
        with pytest.raises(InputError, match="is another one here: a file just written to it is not there"):
            remote.check_mark(there, mark)
    assert not list(tmp_path.rglob("thaw-*"))


@pytest.mark.parametrize(
    ("path", "differs"),
    [
        ("src/thaw/base/names.py", True),
        ("src/thaw/base/new.py", True),
        ("dvc.yaml", True),
        ("outs.json", True),
        ("notes.txt", False),
        ("params.yaml", False),
        ("dvc.lock", False),
        ("metrics/split.json", False),
        ("data/inputs/dataset.json", False),
    ],
)
def test_code_must_be_that_of_the_commit_and_results_may_differ(
    path: str, differs: bool, ran: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(ran, tmp_path / "project")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Ran")
    monkeypatch.chdir(folder)
    with open(folder / path, "a") as file:
        file.write("\n")
    steps = [Step("split", frozenset(), True, ("metrics/split.json",), (), ("data/raw", "src/thaw/base"))]
    if differs:
        with pytest.raises(InputError, match=f"^--cluster: must be as in the last commit, .*: {path} "):
            parcel.read_commit(steps, FOLDER)
    else:
        assert len(parcel.read_commit(steps, FOLDER).archive) > 1000


def test_stages_that_read_what_lies_outside_the_pipeline_run_here_and_so_does_the_report(
    ran: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thaw.engine.cluster import is_here

    monkeypatch.chdir(ran)
    with open_pipeline() as pipeline:
        steps = pipeline.read_steps([], force=False)
    assert {step.name for step in steps if is_here(step, FOLDER)} == {"download", "weights@tiny", "report"}
    computing = {step.name.partition("@")[0] for step in steps if step.computes}
    trained = {"baseline_cnn", "train_frozen", "finetune"}
    assert computing == {"weights", *trained, "evaluate_baseline", "evaluate_frozen", "evaluate_finetune"}


def place(resources: Mapping[str, Mapping[str, float]], running: Mapping[str, int], gpu: bool = False) -> str | None:
    """Return the worker that a stage of 2 threads and 3 GB gets where so many such stages run on each."""
    asked = list_asked(Cost(1, 3_000_000_000), 2, gpu)
    found = find_room(
        [Worker(*each) for each in resources.items()], {name: [asked] * count for name, count in running.items()}, asked
    )
    return found and found.address


def test_a_worker_gets_what_it_has_room_for_and_a_single_stage_where_it_declares_no_cores() -> None:
    small, large = {CORES: 2.0}, {CORES: 8.0, MEMORY: 7e9}
    assert place({"small": small, "large": large}, {"small": 1}) == "large"
    assert place({"small": small, "large": large}, {"large": 1}) == "small"
    assert place({"large": large}, {"large": 1}) == "large"
    assert place({"large": large}, {"large": 2}) is None  # of memory
    assert place({"silent": {}}, {}) == "silent"
    assert place({"silent": {}}, {"silent": 1}) is None
    assert place({"tiny": {CORES: 1.0, MEMORY: 1e9}}, {}) == "tiny"  # alone, on whatever there is


def test_a_stage_that_asks_for_a_gpu_runs_nowhere_else() -> None:
    plain, single = {CORES: 8.0}, {CORES: 8.0, GPU: 1.0}
    assert place({"plain": plain, "single": single}, {}, gpu=True) == "single"
    assert place({"plain": plain, "single": single}, {"single": 1}, gpu=True) is None
    assert place({"plain": plain}, {}, gpu=True) is None


def test_a_worker_with_other_packages_or_another_processor_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"host": {"python": "3.11.7.final.0"}, "packages": dict.fromkeys(workers.PACKAGES, "1.0")}
    patched = {"host": {"python": "3.11.9.final.0"}, "packages": ours["packages"]}
    assert workers.compare_packages(ours, patched, "worker a") is None
    theirs = {"host": {"python": "3.12.1.final.0"}, "packages": {**ours["packages"], "keras": "2.0", "dvc": None}}
    told = workers.compare_packages(ours, theirs, "worker a")
    assert told and "(it has Python 3.12 (here 3.11), dvc not at all (here 1.0), keras 2.0 (here 1.0))" in told
    monkeypatch.setattr(errand, "find_isa", lambda: "AVX512_CORE")
    assert workers.compare_isa("AVX2", "AVX512_CORE", "worker a") is None
    assert workers.compare_isa("AVX2", "AVX2", "worker a") is None
    for isa, other in (("AVX512_CORE", "AVX2"), ("DEFAULT", "AVX2"), ("AVX2", "AVX")):
        told = workers.compare_isa(isa, other, "worker a")
        assert told and f"(it has {other})" in told
