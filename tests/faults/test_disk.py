"""What the system refuses: a disk that is full, a place that may not be written, memory. One line, and nothing lost."""

import errno
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from disks import SOURCE, as_another_user, run_code, run_on_disk
from thaw.base.errors import InputError, find_cause, run_program
from thaw.base.files import publish, write_text
from thaw.base.quiet import tf
from thaw.drawn import flowers
from thaw.weights import drawing

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all

FULL = "no space left on the disk; make some, then run it again"


def refuse(number: int, *names: str | bytes) -> OSError:
    return OSError(number, os.strerror(number), *names)


def tensorflow(text: str) -> Exception:
    return tf.errors.ResourceExhaustedError(None, None, text)


# The line that ends a program

LINES: dict[str, tuple[Exception, str]] = {
    "a full disk": (refuse(errno.ENOSPC, "data/records"), f"data/records: {FULL}"),
    "a quota that is used up": (
        refuse(errno.EDQUOT, "data/raw"),
        "data/raw: the quota of the disk is used up; free some of it, then run it again",
    ),
    "a file too large for the disk or the limit": (refuse(errno.EFBIG, "a"), "a: File too large"),
    "a read-only disk": (refuse(errno.EROFS, "data"), "data: Read-only file system"),
    "a file of another user": (refuse(errno.EACCES, "a"), "a: Permission denied"),
    "what only root may do": (refuse(errno.EPERM, "a"), "a: Operation not permitted"),
    "a disk that fails": (refuse(errno.EIO, "a"), "a: Input/output error"),
    "a name that is too long": (refuse(errno.ENAMETOOLONG, "a"), "a: File name too long"),
    "a file where a folder is expected": (refuse(errno.ENOTDIR, "a/b"), "a/b: Not a directory"),
    "a folder where a file is expected": (refuse(errno.EISDIR, "a"), "a: Is a directory"),
    "a file that is gone": (refuse(errno.ENOENT, "a"), "a: No such file or directory"),
    "a link to itself": (refuse(errno.ELOOP, "a"), "a: Too many levels of symbolic links"),
    "too many open files": (refuse(errno.EMFILE, "a"), "a: Too many open files"),
    "a network disk whose server has lost the file": (refuse(errno.ESTALE, "a"), "a: Stale file handle"),
    "a name in bytes, not UTF-8": (refuse(errno.EACCES, b"a\xff"), "a\udcff: Permission denied"),
    "a name with an end of line in it": (refuse(errno.EACCES, "a\nb"), "a b: Permission denied"),
    "an error that is a text alone": (OSError("a.npy: shorter than it was"), "a.npy: shorter than it was"),
    "an error with nothing at all": (OSError(), "OSError"),
    "an error that names no file names the program": (refuse(errno.EMFILE), "stage.py: Too many open files"),
    "no memory": (MemoryError(), "not enough memory"),
    "no memory for an array": (
        MemoryError("Unable to allocate 3 GiB for an array"),
        "not enough memory: Unable to allocate 3 GiB for an array",
    ),
    "TensorFlow on a full disk": (tensorflow("a b/c.tfrecord; No space left on device"), f"a b/c.tfrecord: {FULL}"),
    "TensorFlow inside a graph": (
        tensorflow("{{function_node __wrapped__WriteFile}} a; Too many open files [Op:WriteFile]"),
        "a: Too many open files",
    ),
    "TensorFlow without memory": (
        tensorflow("{{function_node f}} OOM when allocating tensor with shape[9,9] and type float on /device:CPU:0"),
        "not enough memory: OOM when allocating tensor with shape[9,9] and type float",
    ),
    "bad input": (InputError("params.yaml: image.size: must be 32 to 512 (got 7)"),) * 2,  # type: ignore[dict-item]
}


@pytest.mark.parametrize("error, line", LINES.values(), ids=LINES)
def test_what_the_system_refuses_is_one_line(error: Exception, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stage.py"])

    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_program(fail)
    assert ended.value.code == str(line)


@pytest.mark.parametrize(
    "error", [ValueError("a"), KeyError("a"), RuntimeError("a"), tf.errors.InternalError(None, None, "a")]
)
def test_an_error_of_the_program_keeps_its_traceback(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        run_program(fail)


def test_an_interruption_is_status_130() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        run_program(stop)
    assert ended.value.code == 130


@pytest.mark.parametrize(
    "read, line",
    [
        (lambda: list(tf.data.TFRecordDataset(["no/such"])), "no/such: No such file or directory"),
        (
            lambda: list(tf.data.Dataset.from_tensors("no/such").map(tf.io.read_file)),
            "no/such: No such file or directory",
        ),
        (lambda: tf.io.TFRecordWriter("."), ".: Is a directory"),
        (lambda: tf.io.write_file("/dev/null/a", b""), "/dev/null/a: Not a directory"),
    ],
    ids=["a missing file", "a missing file inside a pipeline", "a folder", "a file for a folder"],
)
def test_errors_of_tensorflow_about_files_are_those_of_the_system(read: Callable[[], object], line: str) -> None:
    with pytest.raises(tf.errors.OpError) as raised:
        read()
    cause = find_cause(raised.value)
    assert isinstance(cause, OSError) and f"{cause.filename}: {cause.strerror}" == line


def test_an_error_of_python_inside_a_pipeline_is_that_of_the_system() -> None:
    def fail() -> np.float32:
        raise refuse(errno.EIO, "values.npy")

    batches = tf.data.Dataset.range(1).map(lambda _: tf.numpy_function(fail, [], tf.float32))
    with pytest.raises(tf.errors.OpError) as raised:
        list(batches)
    cause = find_cause(raised.value)
    assert isinstance(cause, OSError) and (cause.errno, cause.filename) == (errno.EIO, "values.npy")


# Outputs: the line names what was to be written, and what was there stays


class Output(NamedTuple):
    """What writes more than the disk takes, and the file that the line names."""

    code: str
    name: str
    options: str = "size=1m"
    reason: str = f": {FULL}"


BEGIN = """
import os, pathlib, resource, sys
import numpy as np, pandas as pd
from thaw.base.errors import run_program
from thaw.base.files import publish, write_json, write_table, write_text
os.chdir(sys.argv[1])
write_text("out/a.txt", "old")
write_text("out/b/old.txt", "old")
def main():
"""
END = """
try:
    run_program(main)
finally:
    print(sorted(str(path) for path in pathlib.Path("out").rglob("*")), pathlib.Path("out/a.txt").read_text())
"""
OUTPUTS = {
    "a text": Output('write_text("out/a.txt", "a" * 2_000_000)', "out/a.txt"),
    "a document": Output('write_json("out/a.txt", ["a" * 2_000_000])', "out/a.txt"),
    "a table": Output('write_table("out/a.txt", pd.DataFrame({"a": ["a" * 2_000_000]}))', "out/a.txt"),
    "an array that numpy writes and tells no reason of": Output(
        'with publish("out/a.txt") as path: np.save(path.open("wb"), np.ones(300_000))',
        "out/a.txt",
        reason=": 300000 requested and 130032 written",
    ),
    "arrays of numpy": Output(
        'with publish("out/a.txt") as path: np.savez(path.open("wb"), np.ones(300_000))', "out/a.txt"
    ),
    "a table that pandas writes": Output(
        'with publish("out/a.txt") as path: pd.DataFrame({"a": ["a" * 2_000_000]}).to_csv(path)', "out/a.txt"
    ),
    "a file in a folder": Output(
        'with publish("out/b") as path: path.mkdir(); write_text(path / "c" / "d.txt", "a" * 2_000_000)',
        "out/b/c/d.txt",
    ),
    "records of TensorFlow": Output(
        """from thaw.base.quiet import tf
    with publish("out/b") as path:
        path.mkdir()
        with tf.io.TFRecordWriter(str(path / "train.tfrecord")) as writer: writer.write(bytes(2_000_000))""",
        "out/b/train.tfrecord",
    ),
    "more files than the disk has room for": Output(
        'with publish("out/b") as path: path.mkdir(); [(path / f"{i}").touch() for i in range(99)]',
        "out/b/",
        "nr_inodes=40",
    ),
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_a_full_disk_is_one_line_with_the_output_and_the_last_good_one_stays(
    output: Output, tmp_path: pathlib.Path
) -> None:
    done = run_on_disk(tmp_path, output.options, f"{BEGIN}    {output.code}\n{END}", tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr.startswith(output.name)
        and done.stderr.endswith(output.reason + "\n")
        and done.stderr.count("\n") == 1
    )
    assert done.stdout == "['out/a.txt', 'out/b', 'out/b/old.txt'] old\n"


LIMITS = {
    "no file may be as large": (
        'resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); write_text("out/a.txt", "a" * 2000)',
        "out/a.txt: File too large",
    ),
    "no more files may be open": (
        'resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6)); files = [open("/dev/null") for _ in range(os.dup(0), 5)]; '
        'write_text("out/a.txt", "new")',
        "out/a.txt: Too many open files",
    ),
    "no more memory may be taken": (
        "resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32)); np.ones(2**40)",
        "not enough memory: Unable to allocate 8.00 TiB for an array with shape (1099511627776,) and data type float64",
    ),
    "the name is longer than a file name may be": (
        'write_text("out/" + "a" * 300, "new")',
        f"out/{'a' * 300}: File name too long",
    ),
    "the path leads through a file": ('write_text("out/a.txt/b", "new")', "out/a.txt: Not a directory"),
}


@pytest.mark.parametrize("code, line", LIMITS.values(), ids=LIMITS)
def test_a_limit_is_one_line_with_the_output_and_the_last_good_one_stays(
    code: str, line: str, tmp_path: pathlib.Path
) -> None:
    done = run_code(f"{BEGIN}    {code}\n{END}", tmp_path)
    assert (done.returncode, done.stderr) == (1, line + "\n")
    assert done.stdout.endswith(" old\n") and ".publishing" not in done.stdout


def test_an_output_on_a_read_only_disk_is_one_line(tmp_path: pathlib.Path) -> None:
    write_text(tmp_path / "out" / "a.txt", "old")
    code = "import os, sys\nfrom thaw.base.errors import run_program\nfrom thaw.base.files import write_text\n"
    code += 'os.chdir(sys.argv[1])\nrun_program(lambda: write_text("out/a.txt", "new"))'
    done = run_on_disk(tmp_path, "ro", code, tmp_path)
    assert (done.returncode, done.stderr) == (1, "out/a.txt: Read-only file system\n")
    assert (tmp_path / "out" / "a.txt").read_text() == "old"


def test_an_output_in_a_folder_of_another_user_is_one_line(tmp_path: pathlib.Path) -> None:
    write_text(tmp_path / "out" / "a.txt", "old")
    with as_another_user(tmp_path), pytest.raises(PermissionError) as raised:
        write_text(tmp_path / "out" / "a.txt", "new")
    assert raised.value.filename == str(tmp_path / "out" / "a.txt")


def test_an_error_about_another_file_keeps_its_name(tmp_path: pathlib.Path) -> None:
    """The output is not to blame for a photo that cannot be read."""
    with pytest.raises(FileNotFoundError) as raised, publish(tmp_path / "a.txt"):
        (tmp_path / "photo.jpg").read_bytes()
    assert raised.value.filename == str(tmp_path / "photo.jpg")


# What is printed


def run_with_output(code: str, **streams: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python code with its output streams at the named files, the others captured."""
    files = {name: open(path, "wb") for name, path in streams.items()}  # noqa: SIM115
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    options: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **files}
    return subprocess.run([sys.executable, "-c", code], env=environment, **options)  # type: ignore[call-overload]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_result_that_cannot_be_printed_is_one_line() -> None:
    code = 'from thaw.base.errors import run_program; run_program(lambda: print("the best run"))'
    done = run_with_output(code, stdout="/dev/full")
    assert (done.returncode, done.stderr.decode()) == (1, f"standard output: {FULL}\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_progress_that_cannot_be_printed_ends_no_run() -> None:
    code = """
from thaw.base.errors import run_program
from thaw.base.progress import log_output, say, track
def main():
    say("going on")
    with log_output(): print("epoch 1")
    print(sum(track([1, 2], "photos", 2, "photos")))
run_program(main)
"""
    done = run_with_output(code, stderr="/dev/full")
    assert (done.returncode, done.stdout) == (0, b"3\n")


# Other processes

DRAW = """
import hashlib
from thaw.drawn import flowers
from thaw.weights.drawing import draw_all
tasks = [(1, "pretraining", name, index, 32) for name in flowers.PRETRAINING for index in range(9)]
print(hashlib.sha256(b"".join(draw_all(tasks))).hexdigest())
"""


@pytest.mark.parametrize("options", ["size=4k", "size=1m,ro"], ids=["tiny", "read-only"])
def test_without_shared_memory_the_same_is_drawn(options: str) -> None:
    if not os.path.isdir("/dev/shm"):
        pytest.skip("shared memory is elsewhere here")
    done, elsewhere = run_on_disk("/dev/shm", options, DRAW), run_code(DRAW)
    assert (done.stdout, done.stderr) == (elsewhere.stdout, "") and len(done.stdout) == 65


@pytest.mark.parametrize("error", [refuse(errno.EAGAIN), subprocess.CalledProcessError(-9, "python")])
def test_where_no_other_process_can_be_had_this_one_draws(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system starts no more of them, or kills them."""

    def fail(*_: object, **__: object) -> None:
        raise error

    tasks: list[drawing.Task] = [(1, "pretraining", name, 0, 32) for name in list(flowers.PRETRAINING)[:4]]
    monkeypatch.setattr(subprocess, "run", fail)
    assert list(drawing.draw_all(tasks)) == [flowers.draw(*task) for task in tasks]


def test_what_other_processes_draw_comes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "TOGETHER", 2)
    tasks: list[drawing.Task] = [(1, "pretraining", name, 0, 32) for name in list(flowers.PRETRAINING)[:5]]
    assert list(drawing.draw_all(tasks)) == [flowers.draw(*task) for task in tasks]
