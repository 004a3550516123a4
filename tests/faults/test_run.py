"""Inputs that would be lost, or that no stage could use: what the project has, and the line before DVC starts.

DVC deletes the outputs of a stage before it runs it, and with them what a user keeps there. So all of it is looked at
first, and a fault costs nothing: every file is there afterwards as it was.
"""

import copy
import hashlib
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL.Image
import pytest

from thaw.base.errors import InputError
from thaw.config import outputs
from thaw.config.loading import write_yaml
from thaw.config.starting import prepare
from tiny import DOCUMENT, attempt, change_params, git, make_project

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all

HDF5 = b"\x89HDF\r\n\x1a\n"
APART = "must lie apart from what the pipeline makes and deletes"
Arranged = Callable[[pathlib.Path, pytest.MonkeyPatch], dict[str, Any]]  # makes files; returns changed sections


def draw(folder: pathlib.Path) -> None:
    """Draw a photo of each of two classes below `folder`."""
    for name in "ab":
        (folder / name).mkdir(parents=True)
        PIL.Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / name / "1.png")


def photos(path: str, at: str | None = None) -> Arranged:
    """Return what draws photos at `at`, which is `path` where it is left out, and names `path` in the parameters."""

    def arrange(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
        draw(project / (path if at is None else at))
        return {"dataset": {"source": "folder", "path": path, "digest": None}}

    return arrange


def link(path: str, target: str, at: str) -> Arranged:
    """Return what draws photos at `at`, makes `path` a link to `target` and names the folder `photos`."""

    def arrange(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
        draw(project / at)
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).symlink_to(project / target)
        return {"dataset": {"source": "folder", "path": "photos", "digest": None}}

    return arrange


def weights(path: str, content: bytes | None = HDF5) -> Arranged:
    """Return what writes `content`, if any, to `path` and names it as weights."""

    def arrange(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
        if content is not None:
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_bytes(content)
        return {"backbones": {"tiny": {"architecture": "ResNet50", "width": 1.0, "weights": path}}}

    return arrange


def variable(name: str, value: str) -> Arranged:
    """Return what sets a variable of the environment, for published weights."""

    def arrange(_: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setenv(name, value)
        return {"backbones": {"tiny": {"architecture": "ResNet50", "width": 1.0, "weights": "imagenet"}}}

    return arrange


def name_folder(path: str) -> Arranged:
    """Return what names a folder of photos that nobody made."""
    return lambda *_: {"dataset": {"source": "folder", "path": path, "digest": None}}


def empty_class(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    draw(project / "photos")
    (project / "photos/b/1.png").rename(project / "photos/b/.1.png")
    return {"dataset": {"source": "folder", "path": "photos"}}


def one_file(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    (project / "photos").write_text("")
    return {"dataset": {"source": "folder", "path": "photos"}}


def given(*rows: str, at: str = "rows.csv", path: str = "rows.csv", **keys: str) -> Arranged:
    """Return what draws two photos of each of two classes and writes these rows on them to the CSV file `at`."""

    def arrange(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
        for number, file in enumerate(("a/1.png", "a/2.png", "b/1.png", "b/2.png")):
            (project / "photos" / file).parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.new("L", (40, 40), number).save(project / "photos" / file)
        (project / at).parent.mkdir(exist_ok=True)
        (project / at).write_text("\n".join(rows))
        return {"dataset": {"source": "folder", "path": "photos", "csv": path, **keys}}

    return arrange


def parted(*files: str, path: str = "photos") -> Arranged:
    """Return what writes the same photo to each of these files, class folders in parts, beside one of each class."""

    def arrange(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
        for number, part in enumerate(("train", "val")):
            draw(project / "photos" / part)
            for name in "ab":
                PIL.Image.new("L", (40, 40), number * 9 + ord(name)).save(project / "photos" / part / name / "1.png")
        for file in files:
            PIL.Image.new("L", (40, 40), 3).save(project / "photos" / file)
        split = {"seed": 1, "near_duplicate_bits": 0}
        return {"dataset": {"source": "folder", "path": path, "parts": "folders"}, "split": split}

    return arrange


def empty_folder(project: pathlib.Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    (project / "photos").mkdir()
    return {"dataset": {"source": "folder", "path": "photos"}}


def page_in_a_mirror(project: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    (project / "mirror/weights").mkdir(parents=True)
    (project / "mirror/weights" / name).write_text("<html>Sign in to this network")
    return variable("THAW_MIRROR", "mirror")(project, monkeypatch)


def another_archive(project: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    (project / "mirror").mkdir()
    (project / "mirror/photos.zip").write_text("photos")
    monkeypatch.setenv("THAW_MIRROR", "mirror")
    dataset = {"source": "archive", "url": "https://a.example/photos.zip", "sha256": "0" * 64}
    return {"dataset": dataset}


PHOTOS = hashlib.sha256(b"photos").hexdigest()
PATH, WEIGHTS = "params.yaml: dataset.path", "params.yaml: backbones.tiny.weights"
CASES: dict[str, tuple[Arranged, str]] = {
    "photos where DVC keeps the photos": (photos("data/raw"), f"{PATH}: 'data/raw': {APART} (it is in data/raw)"),
    "photos in a folder of models": (photos("models/mine"), f"{PATH}: 'models/mine': {APART} (it is in models)"),
    "photos among the records": (
        photos("data/records/x"),
        f"{PATH}: 'data/records/x': {APART} (it is in data/records)",
    ),
    "photos in the report": (photos("report/figures"), f"{PATH}: 'report/figures': {APART} (it is in report)"),
    "photos in DVC's cache": (photos(".dvc/cache/x"), f"{PATH}: '.dvc/cache/x': {APART} (it is in .dvc)"),
    "photos in the folder that rm -rf frees": (photos(".thaw/x"), f"{PATH}: '.thaw/x': {APART} (it is in .thaw)"),
    "the project itself": (photos("."), f"{PATH}: '.': {APART} (it contains data/raw)"),
    "the folder around the project": (photos(".."), f"{PATH}: '..': {APART} (it contains data/raw)"),
    "the folder around the outputs": (photos("data"), f"{PATH}: 'data': {APART} (it contains data/raw)"),
    "a way back into the outputs": (
        photos("data/../models/x"),
        f"{PATH}: 'data/../models/x': {APART} (it is in models)",
    ),
    "a link to the outputs": (link("photos", "models", "models"), f"{PATH}: 'photos': {APART} (it is in models)"),
    "outputs that are a link to the photos": (
        link("plots", "photos", "photos"),
        f"{PATH}: 'photos': {APART} (it is in plots)",
    ),
    "a class that is a link into the outputs": (
        link("photos/c", "data/raw/a", "data/raw"),
        f"{PATH}: 'photos': the link c: {APART} (it is in data/raw)",
    ),
    "a photo that is a link into the outputs": (
        link("photos/a/2.png", "data/raw/a/1.png", "data/raw"),
        f"{PATH}: 'photos': the link a/2.png: {APART} (it is in data/raw)",
    ),
    "weights beside those of the runs": (
        weights("models/x.h5"),
        f"{WEIGHTS}: 'models/x.h5': {APART} (it is in models)",
    ),
    "weights under the name of an output": (
        weights("models/pretrained/tiny.weights.h5"),
        f"{WEIGHTS}: 'models/pretrained/tiny.weights.h5': {APART} (it is in models)",
    ),
    "a mirror in the report": (variable("THAW_MIRROR", "report"), f"THAW_MIRROR: 'report': {APART} (it is in report)"),
    "a store among the records": (
        variable("THAW_STORE", "data/records/store"),
        f"THAW_STORE: 'data/records/store': {APART} (it is in data/records)",
    ),
    "a typing mistake in the path of photos": (
        name_folder("photoz"),
        f"{PATH}: 'photoz': must be a folder (there is none)",
    ),
    "a file for a folder of photos": (one_file, f"{PATH}: 'photos': must be a folder (it is a file)"),
    "a class of hidden files": (empty_class, f"{PATH}: 'photos': must hold a folder of photos for each class"),
    "a folder with nothing in it": (
        empty_folder,
        f"{PATH}: 'photos': must hold a folder of photos for each class, two at least (got none)",
    ),
    "a class folder for the folder of classes": (
        photos("photos/a", "photos"),
        f"{PATH}: 'photos/a': must hold a folder of photos for each class, two at least (got none)",
    ),
    "folders of parts that nobody took for parts": (
        lambda project, patch: {"dataset": {**parted()(project, patch)["dataset"], "parts": None}},
        f"{PATH}: 'photos': must hold class folders that hold photos alone (got the folder train/a): these are parts",
    ),
    "class folders for folders of parts": (
        parted(path="photos/train"),
        f"{PATH}: 'photos/train': must hold, with parts: folders, the folders train and val",
    ),
    "the same photo in two parts": (
        parted("train/a/2.png", "val/a/2.png"),
        f"{PATH}: 'photos': a photo must be in one part (got the same bytes twice: train/a/2.png in train is val/a/2",
    ),
    "a CSV file that is not there": (
        given(path="none.csv"),
        "params.yaml: dataset.csv: 'none.csv': must be a file (there is none)",
    ),
    "a CSV file among the outputs": (
        given("file,group", at="plots/x.csv", path="plots/x.csv"),
        f"params.yaml: dataset.csv: 'plots/x.csv': {APART} (it is in plots)",
    ),
    "a CSV file that lacks a photo": (
        given("file,group", "a/1.png,x", "a/2.png,x", "b/1.png,y"),
        "params.yaml: dataset.csv: 'rows.csv': must have a row for each photo (got none for b/2.png)",
    ),
    "the home of nobody": (name_folder("~no-such-user/photos"), f"{PATH}: must be a path ("),
    "a path with a NUL in it": (name_folder("photos\0"), f"{PATH}: must be a path ("),
    "a path that is too long": (name_folder("x/" * 3000), "params.yaml: line "),
    "a typing mistake in the path of weights": (
        weights("mine.h5", None),
        f"{WEIGHTS}: 'mine.h5': must be a file (there is none)",
    ),
    "weights that are a web page": (
        weights("mine.h5", b"<html>"),
        f"{WEIGHTS}: 'mine.h5': must be an HDF5 file (its first bytes are another's)",
    ),
    "weights of no bytes": (
        weights("mine.h5", b""),
        f"{WEIGHTS}: 'mine.h5': must be an HDF5 file (its first bytes are another's)",
    ),
    "a web page in the mirror": (
        page_in_a_mirror,
        "THAW_MIRROR: weights/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5: must be an HDF5 file",
    ),
    "another archive in the mirror": (
        another_archive,
        f"params.yaml: dataset.sha256: must be that of photos.zip in THAW_MIRROR, {PHOTOS} (got 0000",
    ),
    "a mirror that is not there": (variable("THAW_MIRROR", "mirror"), "THAW_MIRROR: must name a folder"),
}


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder with the outputs of a pipeline as the working directory."""
    folder = tmp_path / "around" / "project"
    for path in ("data/raw/manifest.csv", "models/tiny.json", "metrics/summary.json", "report/report.md"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("made")
    monkeypatch.chdir(folder)
    for name in ("THAW_MIRROR", "THAW_STORE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def read_all(folder: pathlib.Path) -> dict[str, bytes]:
    """Return {path: content} of the files below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_an_input_is_refused_before_dvc_starts(
    case: str, project: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrange, message = CASES[case]
    document = {**copy.deepcopy(DOCUMENT), **arrange(project, monkeypatch)}
    (project / "params.yaml").write_text(write_yaml(document))
    before = read_all(project)
    for command in (["repro"], ["exp", "run", "--temp"], ["repro", "--pull", "download"]):
        with pytest.raises(InputError) as raised:
            prepare(command)
        assert str(raised.value).startswith(message) and "\n" not in str(raised.value), raised.value
    assert read_all(project) == before


USED: dict[str, Arranged] = {
    "photos beside the outputs": photos("data/mine"),
    "photos in a folder whose name begins as that of an output": photos("models-of-mine"),
    "photos outside the project": photos("../photos"),
    "weights in the project": weights("mine.h5"),
    "weights behind a preamble, as HDF5 allows": weights("mine.h5", b"x" * 1024 + HDF5),
    "a store in .thaw": variable("THAW_STORE", ".thaw/activations"),
    "no store": variable("THAW_STORE", "none"),
    "a mirror around the project": variable("THAW_MIRROR", ".."),
}


@pytest.mark.parametrize("case", USED)
def test_an_input_elsewhere_is_used(case: str, project: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {**copy.deepcopy(DOCUMENT), **USED[case](project, monkeypatch)}
    (project / "params.yaml").write_text(write_yaml(document))
    prepare(["repro"])


def test_where_capitals_make_no_difference_an_output_is_known_by_any_name(
    project: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that ignores case is played: paths are the same where they differ in case alone."""
    monkeypatch.setattr(pathlib.Path, "samefile", lambda path, other: str(path).lower() == str(other).lower())
    with pytest.raises(InputError, match=r"it is in data/raw"):
        outputs.check_place("x", project / "Data/RAW/photos")


OVERRIDES: dict[str, tuple[Sequence[str], str]] = {
    "photos in an output": (["-S", "dataset.path=data/raw"], f"{PATH}: 'data/raw': {APART} (it is in data/raw)"),
    "a value that is not allowed": (["-Simage.size=8"], "params.yaml: image.size: must be at least 32 (got 8)"),
    "one of several values that is not allowed": (
        ["--set-param", "image.size=32,8", "--queue"],
        "params.yaml: image.size: must be at least 32 (got 8)",
    ),
    "the last of a range": (
        ["--set-par=split.near_duplicate_bits=range(15,19)", "--queue"],
        "params.yaml: split.near_duplicate_bits: must be at most 16 (got 17)",
    ),
    "a key that there is not": (["-S", "image.colour=1"], "-S image.colour=1: must be KEY=VALUE, a key of params.yaml"),
    "no value": (["-S", "image.size"], "-S image.size: must be KEY=VALUE, a key of params.yaml"),
    "a run whose name leads out of the project": (
        ["-S", "+finetune={../../x: {epochs: 1}}"],
        f"params.yaml: finetune.../../x: {'a name must be of a-z, 0-9, - and _'} (got '../../x')",
    ),
    "a run whose name is two words of a shell": (
        ["-S", "+finetune={touch x: {epochs: 1}}"],
        "params.yaml: finetune.touch x: a name must be of a-z, 0-9, - and _ (got 'touch x')",
    ),
    "a run whose name is a command of a shell": (
        ["-S", "+finetune.$(touch x).epochs=1"],
        "-S +finetune.$(touch x).epochs=1: must be KEY=VALUE, a key of params.yaml",
    ),
    "photos of two folders in one queue": (
        ["-S", "dataset.path=photos,others", "--queue"],
        "-S: values that change what data/inputs lists must be queued one by one",
    ),
    "a run taken away on which another rests": (
        ["-S", "~frozen.tiny"],
        "params.yaml: frozen: must have at least one entry",
    ),
}


@pytest.mark.parametrize("case", OVERRIDES)
def test_an_experiment_is_refused_for_its_values_before_dvc_starts(case: str, project: pathlib.Path) -> None:
    arguments, message = OVERRIDES[case]
    draw(project / "photos")
    draw(project / "others")
    (project / "others/a/2.png").write_bytes((project / "others/a/1.png").read_bytes())
    dataset = {"source": "folder", "path": "photos", "digest": None}
    (project / "params.yaml").write_text(write_yaml({**DOCUMENT, "dataset": dataset}))
    before = read_all(project)
    with pytest.raises(InputError) as raised:
        prepare(["exp", "run", *arguments])
    assert any(line.startswith(message) for line in str(raised.value).split("\n")), raised.value
    assert read_all(project) == before


@pytest.mark.parametrize("name", ["../../x", "touch x", "a|touch x"])
def test_dvc_without_run_runs_no_command_of_a_name_and_writes_nothing_outside(
    name: str, tmp_path: pathlib.Path
) -> None:
    project = make_project(tmp_path / "around" / "project")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "First")
    before = read_all(tmp_path)
    entry = f"+frozen={{{name}: {{backbone: tiny, epochs: 1}}}}"
    done = attempt(project, sys.executable, "-m", "dvc", "exp", "run", "-S", entry, f"train_frozen@{name}")
    assert done.returncode != 0 and ("a name must be of a-z" in done.stderr or "overlapping output" in done.stderr)
    outside = {path for path in read_all(tmp_path) if not path.startswith("around/project/")}
    assert outside == {path for path in before if not path.startswith("around/project/")}
    assert not list(tmp_path.rglob("x")) and not list(tmp_path.rglob("x.json"))


def test_a_stage_checks_all_names_itself(tmp_path: pathlib.Path) -> None:
    project = make_project(tmp_path / "project")
    change_params(project, lambda document: document["frozen"].update({"../../x": document["frozen"]["tiny"]}))
    done = attempt(project, sys.executable, "stages/download.py", PYTHONPATH="src")
    assert done.returncode == 1 and done.stderr.startswith("params.yaml: frozen.../../x: a name must be of a-z")
