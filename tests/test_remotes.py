"""docs/remotes.md: its commands, from one clone to another, through a folder and an S3 server."""

import pathlib
import shutil
import sys
from collections.abc import Callable, Mapping

import pytest
import ruamel.yaml

from tiny import attempt, change_params, dvc, find_stages_run, follow, git, read_commands

pytestmark = pytest.mark.long

OURS = {"mobilenet-blocks-4": "tiny-blocks-1"}  # run of the page -> run of the tiny table
PULL, PULL_ONE = read_commands("remotes.md", "On another clone")
CHANGED, UNCHANGED, LACKING = read_commands("remotes.md", "Only what changed")
Shared = tuple[pathlib.Path, pathlib.Path]  # a project and its remote


def follow_section(folder: pathlib.Path, section: str, places: Mapping[str, str | pathlib.Path]) -> None:
    """Run the commands of a section of the page, with the values of `places` in the place of its keys."""
    for command in read_commands("remotes.md", section):
        for place, ours in places.items():
            command = command.replace(place, str(ours))
        follow(folder, command)


def clone(project: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Clone the repository at `project`; return `target`, where the clone is, without data."""
    git(project, "clone", "--quiet", ".", target)
    assert not (target / ".dvc" / "cache").exists() and not (target / "data" / "raw").exists()
    return target


def change_rate(folder: pathlib.Path) -> None:
    """Give one run of the tiny table another learning rate."""
    optimizer = {"name": "adam", "learning_rate": 0.0003}
    change_params(folder, lambda document: document["finetune"]["tiny-blocks-1"].update(optimizer=optimizer))


@pytest.fixture(scope="module")
def shared(make_once: Callable[..., tuple[pathlib.Path, str]], finished: tuple[pathlib.Path, str]) -> Shared:
    """(project, the folder that is its remote and has all that it computed); tests must not change them."""

    def make(folder: pathlib.Path) -> str:
        shutil.copytree(finished[0], folder / "project", symlinks=True)
        follow_section(folder / "project", "A folder", {"/mnt/storage/thaw": folder / "storage"})
        return "pushed"

    folder, _ = make_once("remote", make)
    return folder / "project", folder / "storage"


@pytest.fixture
def lacking(shared: Shared, tmp_path: pathlib.Path) -> pathlib.Path:
    """A clone whose remote lacks the records."""
    there, storage = clone(shared[0], tmp_path / "clone"), tmp_path / "storage"
    shutil.copytree(shared[1], storage)
    stages = ruamel.yaml.YAML(typ="safe").load(there / "dvc.lock")["stages"]
    digest = next(out["md5"] for out in stages["preprocess"]["outs"] if out["path"] == "data/records")
    (storage / "files" / "md5" / digest[:2] / digest[2:]).unlink()
    dvc(there, "remote", "modify", "--local", "storage", "url", str(storage))
    return there


def test_a_clone_that_pulled_has_nothing_to_do(shared: Shared, tmp_path: pathlib.Path) -> None:
    there = clone(shared[0], tmp_path / "clone")
    follow(there, PULL)
    assert "Data and pipelines are up to date" in dvc(there, "status")


def test_one_run_alone_can_be_pulled(shared: Shared, tmp_path: pathlib.Path) -> None:
    there = clone(shared[0], tmp_path / "clone")
    follow(there, PULL_ONE.replace(*next(iter(OURS.items()))))
    assert [path.name for path in (there / "models").rglob("*.h5")] == ["tiny-blocks-1.weights.h5"]
    assert not (there / "data" / "raw").exists()


def test_after_one_changed_rate_a_clone_without_data_runs_that_run_alone(
    shared: Shared, tmp_path: pathlib.Path
) -> None:
    there = clone(shared[0], tmp_path / "clone")
    change_rate(there)
    expected = ["finetune@tiny-blocks-1", "evaluate_finetune@tiny-blocks-1", "report"]
    assert find_stages_run(follow(there, CHANGED)) == expected
    assert (there / "models" / "tiny.weights.h5").exists()  # which the run starts from
    assert not (there / "models" / "tiny-all.weights.h5").exists()


def test_a_clone_without_data_is_up_to_date_where_nothing_was_edited(shared: Shared, tmp_path: pathlib.Path) -> None:
    assert find_stages_run(follow(clone(shared[0], tmp_path / "clone"), UNCHANGED)) == []


def test_what_the_remote_lacks_is_computed_again_and_nothing_else(lacking: pathlib.Path) -> None:
    assert find_stages_run(follow(lacking, LACKING)) == ["preprocess"]


def test_a_stage_whose_input_the_remote_lacks_names_the_input(lacking: pathlib.Path) -> None:
    change_rate(lacking)
    done = attempt(lacking, sys.executable, "-m", *CHANGED.split()[1:])
    assert done.returncode != 0 and "Checkout failed" in done.stderr and "data/records" in done.stderr


def test_a_clone_takes_everything_from_an_s3_server(
    workspace: pathlib.Path, bucket: str, tmp_path: pathlib.Path
) -> None:
    follow_section(workspace, "S3", {"https://s3.example.com": bucket})
    there = clone(workspace, tmp_path / "clone")
    follow(there, PULL)
    assert "Data and pipelines are up to date" in dvc(there, "status")
