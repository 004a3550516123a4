"""data/inputs: what lies outside the pipeline is listed by its content, and DVC sees that it changes."""

import copy
import hashlib
import json
import os
import pathlib
import shutil
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import PIL.Image
import pytest

from thaw.architectures.table import ARCHITECTURES
from thaw.base.errors import InputError
from thaw.base.files import read_json
from thaw.cli.workspaces import make_workspace
from thaw.config import inputs
from thaw.config.checking import Params, check
from thaw.config.inputs import DATASET, Digests, confirm_photos, confirm_weights, find_listings, name_listing
from thaw.config.loading import write_yaml
from thaw.config.starting import prepare as prepare_here
from tiny import DOCUMENT, attempt, change_params, dvc, find_stages_run, git, make_project, prepare

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all

WEIGHTS = name_listing("tiny")
Listings = dict[str, dict[str, Any]]


def draw(folder: pathlib.Path, classes: str = "ab", count: int = 2) -> pathlib.Path:
    """Draw `count` photos of each class below `folder`; return it."""
    generator = np.random.default_rng(len(classes))
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = generator.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def write_weights(path: pathlib.Path, value: float = 0) -> pathlib.Path:
    """Write an HDF5 file with one number to `path`; return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["value"] = value
    return path


def make_params(**changes: Any) -> Params:
    """Return the parameters of DOCUMENT with other values of `dataset`, and of `weights` of its backbone."""
    document = json.loads(json.dumps(DOCUMENT))
    document["dataset"] = changes.get("dataset", document["dataset"])
    if "weights" in changes:
        backbone = {"architecture": changes.get("architecture", "ResNet50"), "width": 1.0}
        document["backbones"]["tiny"] = {**backbone, "weights": changes["weights"]}
    return check(document, "params.yaml")


def list_all(params: Params) -> Listings:
    """Return the listing of each input, an empty one where there is no input."""
    with Digests() as digests:
        inputs = {file: find() for file, find in find_listings(params.dataset, params.backbones).items()}
        return {file: found.read(digests) if found else {} for file, found in inputs.items()}


def list_photos(path: pathlib.Path) -> dict[str, Any]:
    """Return the listing of a folder of photos."""
    return list_all(make_params(dataset={"source": "folder", "path": str(path)}))[DATASET]


@pytest.fixture(autouse=True)
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty folder as the working directory, and no mirror."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("THAW_MIRROR", raising=False)
    return tmp_path / "here"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read whole, all of them old enough to be known again."""
    read: list[str] = []

    def digest(file: Any, algorithm: str) -> Any:
        read.append(os.path.basename(file.name))
        return hashlib.new(algorithm, file.read())

    monkeypatch.setattr(hashlib, "file_digest", digest)
    monkeypatch.setattr(inputs, "SETTLED", -(10**18))
    return read


def test_what_the_pipeline_makes_itself_has_an_empty_listing() -> None:
    assert list_all(make_params()) == {DATASET: {}, WEIGHTS: {}}


def test_a_folder_elsewhere_with_the_same_photos_has_the_same_listing(tmp_path: pathlib.Path) -> None:
    first, second = draw(tmp_path / "x"), tmp_path / "y z"
    for file in sorted(first.rglob("*.png"), reverse=True):  # another order, other times
        target = second / file.relative_to(first)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
        os.utime(target, (1, 1))
    listed = list_photos(first)
    assert listed == list_photos(second) and listed["files"] == 4


def test_names_count_in_the_form_that_all_file_systems_share(tmp_path: pathlib.Path) -> None:
    decomposed, composed = draw(tmp_path / "x", "b"), draw(tmp_path / "y", "b")
    for folder, form in ((decomposed, "NFD"), (composed, "NFC")):
        shutil.copytree(folder / "b", folder / unicodedata.normalize(form, "Löwenzahn"))  # type: ignore[arg-type]
    assert list_photos(decomposed) == list_photos(composed)


CHANGES: dict[str, Callable[[pathlib.Path], object]] = {
    "a photo more": lambda folder: shutil.copy(folder / "a/0.png", folder / "a/new.png"),
    "a photo less": lambda folder: (folder / "a/0.png").unlink(),
    "another name": lambda folder: (folder / "a/0.png").rename(folder / "a/9.png"),
    "another class": lambda folder: (folder / "a/0.png").rename(folder / "b/9.png"),
    "other bytes": lambda folder: (folder / "a/0.png").write_bytes((folder / "a/1.png").read_bytes()),
    "a list of credits": lambda folder: (folder / "credits.csv").write_text("file,author,licence,url\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_stage_reads_changes_the_listing(change: str, tmp_path: pathlib.Path) -> None:
    before = list_photos(draw(tmp_path / "x"))
    CHANGES[change](tmp_path / "x")
    assert list_photos(tmp_path / "x") != before


def test_what_the_stage_passes_over_does_not_change_the_listing(tmp_path: pathlib.Path) -> None:
    before = list_photos(draw(tmp_path / "x"))
    (tmp_path / "x/.DS_Store").write_text("")
    (tmp_path / "x/a/.hidden").write_text("")
    (tmp_path / "x/notes.txt").write_text("")
    os.mkfifo(tmp_path / "x/a/pipe")
    assert list_photos(tmp_path / "x") == before


def test_a_file_is_read_again_only_after_a_change(tmp_path: pathlib.Path, reads: list[str]) -> None:
    list_photos(draw(tmp_path / "x"))
    assert len(reads) == 4
    list_photos(tmp_path / "x")
    assert len(reads) == 4
    shutil.copy(tmp_path / "x/a/0.png", tmp_path / "x/a/new.png")
    list_photos(tmp_path / "x")
    assert reads[4:] == ["new.png"]


def test_a_change_that_keeps_size_and_time_of_a_file_is_seen(tmp_path: pathlib.Path, reads: list[str]) -> None:
    path = write_weights(tmp_path / "mine.h5", 1.0)
    before, status = list_all(make_params(weights=str(path))), path.stat()
    write_weights(path, 2.0)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert list_all(make_params(weights=str(path))) != before


def test_a_file_that_has_just_changed_is_read_each_time(tmp_path: pathlib.Path) -> None:
    """Its times may be too coarse to show a change that follows at once."""
    list_photos(draw(tmp_path / "x"))
    assert not pathlib.Path(inputs.KNOWN).exists()


@pytest.mark.parametrize("content", ["", "[]", '{"sha256:/x": 1}', "\x00"])
def test_a_damaged_memory_of_digests_is_begun_anew(content: str, tmp_path: pathlib.Path) -> None:
    expected = list_photos(draw(tmp_path / "x"))
    pathlib.Path(inputs.KNOWN).parent.mkdir()
    pathlib.Path(inputs.KNOWN).write_text(content)
    assert list_photos(tmp_path / "x") == expected


def test_a_weights_file_is_listed_by_its_content(tmp_path: pathlib.Path) -> None:
    path = write_weights(tmp_path / "mine.h5")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert list_all(make_params(weights=str(path)))[WEIGHTS] == {"file": "mine.h5", "sha256": digest}


def test_of_a_mirror_only_what_no_digest_pins_is_listed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THAW_MIRROR", str(tmp_path))
    draw(tmp_path / "flower_photos")
    row = ARCHITECTURES["ResNet50"]
    path = write_weights(tmp_path / "weights" / pathlib.Path(row.file).name)
    tfds = {"source": "tfds", "name": "tf_flowers:3.0.1"}
    assert list_all(make_params(dataset={**tfds, "digest": "0" * 64}, weights="imagenet"))[DATASET] == {}
    found = list_all(make_params(dataset=tfds, weights="imagenet"))
    assert found[DATASET] == list_photos(tmp_path / "flower_photos")
    assert found[WEIGHTS]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    published = row._replace(published=f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}")
    monkeypatch.setitem(ARCHITECTURES, "ResNet50", published)
    assert list_all(make_params(weights="imagenet"))[WEIGHTS] == {}


def test_a_workspace_has_a_listing_of_each_backbone_and_of_no_other(tmp_path: pathlib.Path) -> None:
    make_workspace(tmp_path / "w", DOCUMENT)
    (tmp_path / "w" / name_listing("gone")).write_text("{}")
    (tmp_path / "w" / WEIGHTS).write_text('{"sha256": "0"}')
    make_workspace(tmp_path / "w", DOCUMENT)
    assert [path.name for path in (tmp_path / "w/data/inputs/weights").iterdir()] == ["tiny.json"]
    size = DOCUMENT["backbones"]["tiny"]["pretraining"]["size"]
    assert read_json(tmp_path / "w" / WEIGHTS) == {"pretraining.size": size}  # all that it rests on: it is drawn


def test_a_listing_that_still_holds_is_not_written_again(here: pathlib.Path) -> None:
    inputs.write_listings({DATASET: {"files": 1}})
    before = pathlib.Path(DATASET).stat().st_mtime_ns
    inputs.write_listings({DATASET: {"files": 1}})
    assert pathlib.Path(DATASET).stat().st_mtime_ns == before


def test_photos_that_change_while_they_are_read_end_the_stage(tmp_path: pathlib.Path) -> None:
    params = make_params(dataset={"source": "folder", "path": str(draw(tmp_path / "x"))})
    inputs.write_listings(list_all(params))
    confirm_photos(params)
    shutil.copy(tmp_path / "x/a/0.png", tmp_path / "x/a/new.png")
    with pytest.raises(InputError, match=r"^params.yaml: dataset: is not what data/inputs/dataset.json lists"):
        confirm_photos(params)


def test_weights_of_another_file_than_the_listed_one_end_the_stage(here: pathlib.Path) -> None:
    inputs.write_listings({WEIGHTS: {"file": "mine.h5", "sha256": "1" * 64}})
    confirm_weights("tiny", "1" * 64)
    confirm_weights("tiny", None)  # of no file
    with pytest.raises(InputError, match=r"^params.yaml: backbones.tiny.weights: is not what data/inputs/weights/tiny"):
        confirm_weights("tiny", "2" * 64)


def test_without_a_listing_a_stage_takes_what_is_there(tmp_path: pathlib.Path) -> None:
    confirm_photos(make_params(dataset={"source": "folder", "path": str(draw(tmp_path / "x"))}))
    confirm_weights("tiny", "2" * 64)


# Through real DVC.


def test_photos_that_come_and_go_run_the_stage_and_return_from_the_cache(tmp_path: pathlib.Path) -> None:
    project, photos = make_project(tmp_path / "project"), draw(tmp_path / "x")
    change_params(project, lambda document: document.update(dataset={"source": "folder", "path": str(photos)}))

    def download() -> tuple[list[str], list[str]]:
        assert prepare(project, "repro").returncode == 0
        printed = dvc(project, "repro", "--single-item", "download")
        return find_stages_run(printed), sorted(path.name for path in (project / "data/raw/photos").glob("*/*"))

    first, before = download()
    shutil.copy(photos / "a/0.png", photos / "b/new.png")
    second, more = download()
    (photos / "b/new.png").unlink()
    third, again = download()
    assert (first, second, third) == (["download"], ["download"], [])
    assert len(before) == 4 and len(more) == 5 and again == before


def test_a_listed_file_of_a_backbone_that_changes_makes_its_stage_stale_and_no_other(workspace: pathlib.Path) -> None:
    assert json.loads(dvc(workspace, "status", "--json")) == {}
    (workspace / WEIGHTS).write_text('{"sha256": "0"}\n')
    status = json.loads(dvc(workspace, "status", "--json"))
    assert list(status) == ["weights@tiny"] and WEIGHTS in str(status)


def test_an_experiment_takes_the_listing_of_its_own_values_along(tmp_path: pathlib.Path) -> None:
    project, first, second = make_project(tmp_path / "project"), draw(tmp_path / "x"), draw(tmp_path / "y", "abc")
    change_params(project, lambda document: document.update(dataset={"source": "folder", "path": str(first)}))
    assert prepare(project, "status").returncode == 0
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "First")
    arguments = ("exp", "run", "--queue", "--name", "other", "-S", f"dataset.path={second}")
    assert prepare(project, *arguments).returncode == 0
    assert read_json(project / DATASET)["files"] == 6
    dvc(project, *arguments)
    stashed = git(project, "show", f"refs/exps/celery/stash:{DATASET}")
    assert json.loads(stashed)["files"] == 6
    assert prepare(project).returncode == 0
    assert read_json(project / DATASET)["files"] == 4
    assert git(project, "diff", "--stat") == ""


def test_an_experiment_on_a_new_backbone_finds_its_listing_in_git(workspace: pathlib.Path) -> None:
    change_params(workspace, lambda document: document["backbones"].update(new=document["backbones"]["tiny"]))
    assert prepare(workspace, "exp", "run", "--temp").returncode == 0
    assert name_listing("new") in git(workspace, "ls-files").splitlines()


@pytest.fixture
def elsewhere(workspace: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A finished table's project whose photos are on another machine: its path is not here."""
    photos = draw(tmp_path / "x", count=5)
    change_params(workspace, lambda document: document.update(dataset={"source": "folder", "path": str(photos)}))
    assert prepare(workspace, "repro").returncode == 0
    dvc(workspace, "repro", "--single-item", "download")
    shutil.rmtree(photos)
    return workspace


def test_who_has_the_results_of_photos_needs_no_photos(elsewhere: pathlib.Path) -> None:
    for command in (["repro"], ["status"], ["exp", "run"]):
        done = prepare(elsewhere, *command)
        assert done.returncode == 0, done.stderr
    assert read_json(elsewhere / DATASET)["files"] == 10
    shutil.rmtree(elsewhere / "data/raw")
    assert prepare(elsewhere, "repro", "--pull").returncode == 0
    done = prepare(elsewhere, "repro")
    assert done.returncode == 1 and "must be a folder (there is none)" in done.stderr


def test_a_path_with_a_typing_mistake_is_no_path_of_another_machine(elsewhere: pathlib.Path) -> None:
    change_params(elsewhere, lambda document: document["dataset"].update(path="photoz"))
    done = prepare(elsewhere, "repro")
    assert done.returncode == 1 and "params.yaml: dataset.path: 'photoz': must be a folder" in done.stderr


def test_paths_that_lead_nowhere_are_told_with_all_other_faults_before_a_photo_is_read(
    here: pathlib.Path, reads: list[str]
) -> None:
    draw(here / "photos")
    document = copy.deepcopy(DOCUMENT)
    document["backbones"]["other"] = {"architecture": "ResNet50", "width": 1.0, "weights": "other.h5"}
    document["split"]["seed"] = -1
    for path in ("photoz", "photos"):
        document["dataset"] = {"source": "folder", "path": path, "digest": None}
        (here / "params.yaml").write_text(write_yaml(document))
        with pytest.raises(InputError) as raised:
            prepare_here(["repro"])
        places = [line.split(": ")[1] for line in str(raised.value).splitlines()]
        assert places == ["split.seed", *["dataset.path"] * (path == "photoz"), "backbones.other.weights"]
    assert not reads


def test_the_stage_itself_sees_that_its_photos_are_not_the_listed_ones(tmp_path: pathlib.Path) -> None:
    project, photos = make_project(tmp_path / "project"), draw(tmp_path / "x")
    change_params(project, lambda document: document.update(dataset={"source": "folder", "path": str(photos)}))
    assert prepare(project, "repro").returncode == 0
    (photos / "a/0.png").rename(photos / "b/9.png")
    done = attempt(project, sys.executable, "stages/download.py", PYTHONPATH="src")
    assert done.returncode == 1 and "is not what data/inputs/dataset.json lists" in done.stderr.splitlines()[-1]
    assert not (project / "metrics/download.json").exists()
