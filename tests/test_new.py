"""./run thaw new: a params.yaml that can run, for folders of all sizes, and nothing lost on the way."""

import math
import pathlib
import sys
from typing import Any

import pytest

from small import write_photos
from thaw.base.errors import InputError
from thaw.base.files import read_table
from thaw.cli import new as command
from thaw.cli.new import Photos, new, write_document
from thaw.config.checking import Params
from thaw.config.loading import load
from thaw.config.presets import ROOT
from thaw.drawn.flowers import draw
from thaw.photos.sections import Folder
from tiny import DOCUMENT, change_params, dvc, git, make_project, prepare, run


def make(folder: pathlib.Path, classes: dict[str, int], side: float = 500) -> Params:
    """Return the checked params.yaml of a folder with so many photos of each class."""
    file = folder / "params.yaml"
    file.write_text(write_document(Photos(folder / "my: #photos", classes, side), "new: photos"), encoding="utf-8")
    return load(file)


@pytest.mark.parametrize("count", [5, 100, 700, 5_000])
def test_the_table_of_every_size_of_set_can_run_and_names_the_folder(count: int, tmp_path: pathlib.Path) -> None:
    params = make(tmp_path, {"a b": count, "snow: drop": count, "NA": count})
    assert params.dataset.source == "folder" and params.dataset.path.endswith("my: #photos")
    assert round(1 / params.split.test) <= count and params.image.size == 224
    assert {run.start for run in params.finetune.values()} == {"mobilenet"} and params.replicates


def test_a_small_set_has_as_many_photos_to_judge_by_as_to_choose_by_and_folds(tmp_path: pathlib.Path) -> None:
    small, large = make(tmp_path, {"a": 50, "b": 50}), make(tmp_path, {"a": 3_000, "b": 3_000})
    assert small.split.test == small.split.validation == 0.2 and small.folds
    assert large.split.test == 0.1 and not large.folds
    assert small.frozen["mobilenet"].epochs > large.frozen["mobilenet"].epochs


def test_one_small_class_in_a_large_set_gets_into_test(tmp_path: pathlib.Path) -> None:
    assert make(tmp_path, {"a": 3_000, "b": 7}).split.test == 0.2
    with pytest.raises(InputError, match=r"^new: photos: must have 5 photos of each class at least \(got 4 of b\)$"):
        make(tmp_path, {"a": 3_000, "b": 4})


@pytest.mark.parametrize("side, size", [(math.nan, 224), (1000, 224), (200, 192), (40, 96)])
def test_pictures_are_not_made_larger_than_the_photos_are(side: float, size: int, tmp_path: pathlib.Path) -> None:
    assert make(tmp_path, {"a": 50, "b": 50}, side).image.size == size


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A project with the results of another table, all of it in git, beside a folder of photos."""
    folder = tmp_path / "project"
    for name in ("params.yaml", "dvc.lock", "dvc.yaml", "metrics/a.json", "plots/a.csv", "report/report.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("before")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Before")
    write_photos(tmp_path / "photos", 30, 3)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("THAW_CALLED_FROM", str(tmp_path))
    monkeypatch.setattr(command, "measure_rate", lambda: 5e10)
    monkeypatch.setattr(command, "count_flops", lambda _: 5e10)
    return folder


def test_the_results_of_the_table_before_go_and_what_comes_is_told(
    project: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new("photos")
    assert sorted(path.name for path in project.iterdir()) == [".git", "dvc.yaml", "params.yaml"]
    assert load().dataset.path.endswith("/photos") and load().image.size == 96
    told = capsys.readouterr().out
    assert "30 photos of 3 classes (class0 10, class1 10, class2 10)" in told and "./run dvc repro" in told
    # 30 photos of a second each, and the start of every stage.
    assert "about 3 minutes" in told


@pytest.mark.parametrize("name", ["params.yaml", "metrics/a.json", "plots/new.csv"])
def test_what_git_does_not_have_is_not_replaced(name: str, project: pathlib.Path) -> None:
    (project / name).write_text("mine")
    with pytest.raises(InputError, match=rf"^new: .*git does not have all of them.*1 file, the first: {name}\)$"):
        new("photos")
    assert (project / name).read_text() == "mine" and (project / "dvc.lock").read_text() == "before"


def test_folders_of_parts_are_written_as_parts_and_no_shares_are(
    project: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, count in (("Train", 12), ("valid", 4), ("test", 4)):
        write_photos(project.parent / "parted" / part, count, 2)
    new("parted")
    params = load()
    assert isinstance(params.dataset, Folder) and params.dataset.parts == "folders"
    assert params.split.train is params.split.validation is params.split.test is None
    assert "split: train 12, validation 4, test 4, as the folders have them" in capsys.readouterr().out


@pytest.mark.long
def test_a_folder_of_parts_runs_from_its_params_yaml_to_a_report_that_names_its_photos(tmp_path: pathlib.Path) -> None:
    folder, photos, names = make_project(tmp_path / "project"), tmp_path / "photos", []
    for part, count in (("train", 8), ("val", 4), ("test", 4)):
        for flower in ("aster", "lily"):
            (photos / part / flower).mkdir(parents=True)
            for number in range(count):
                names.append(f"{part}/{flower}/IMG_{number:04}.jpg")
                (photos / names[-1]).write_bytes(draw(1, "flowers", flower, len(names), 96))
    (photos / "train/aster/copy.jpg").write_bytes((photos / "train/aster/IMG_0000.jpg").read_bytes())
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Before")
    run(folder, sys.executable, "-m", "thaw", "new", str(photos), PYTHONPATH=str(ROOT / "src"))
    # Two photos in a row are a group; the copy is in that of the last two, which makes one of both.
    rows = [f"{name},{name[:-5]}{int(name[-5]) // 2}" for name in names]
    rows.append("train/aster/copy.jpg,train/aster/IMG_0003")
    (tmp_path / "groups.csv").write_text("\n".join(["file,group", *rows]))

    def shrink(document: dict[str, Any]) -> None:
        document["dataset"]["csv"] = str(tmp_path / "groups.csv")
        document["split"]["near_duplicate_bits"] = 0  # drawings of one species are near each other
        document.update({key: DOCUMENT[key] for key in ("image", "backbones", "baseline_cnn", "frozen", "replicates")})
        document.update(finetune={}, folds={"tiny": {"backbone": "tiny", "count": 2}})

    change_params(folder, shrink)
    prepared = prepare(folder, "repro")
    assert prepared.returncode == 0, prepared.stderr
    dvc(folder, "repro")
    split = read_table(folder / "data/split.csv").merge(read_table(folder / "data/names.csv"), on="id")
    parts = {"train": "train", "val": "validation", "test": "test"}
    assert len(split) == len(names) + 1
    assert list(split["part_x"]) == [parts[name.split("/")[0]] for name in split["name"]]
    mistakes, issues, left_out = (
        read_table(folder / f"plots/{name}.csv") for name in ("mistakes", "label_issues", "left_out")
    )
    assert set(mistakes["name"]) <= {name for name in names if name.startswith("test/")} and "name" in issues
    assert left_out["name"].tolist() == ["train/aster/IMG_0000.jpg, train/aster/copy.jpg"]
    page = (folder / "report/report.html").read_text()
    assert "The parts came with the photos" in page and sum(f"<small>{name}" in page for name in names) >= 12
    folds = read_table(folder / "plots/predictions/folds/tiny.csv").merge(split, on="id")
    assert folds.groupby("group_y")["fold"].nunique().max() == 1 and folds["group_y"].nunique() > 3


def test_a_folder_that_holds_no_classes_changes_nothing(project: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"^new: photos/class0: must hold a folder of photos for each class"):
        new("photos/class0")
    assert git(project, "status", "--porcelain") == ""
