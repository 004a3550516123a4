"""Presets and their workspaces."""

import pathlib
import shutil

import pytest

from thaw.params import InputError, read_yaml
from thaw.presets import ROOT, make_workspace, read_preset


@pytest.fixture
def root(tmp_path):
    """A copy of what a preset needs of the project."""
    copy = tmp_path / "root"
    for name in ("dvc.yaml", "params.yaml"):
        copy.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for name in ("stages", "src", "presets"):
        shutil.copytree(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "presets").glob("*.yaml")))
def test_every_preset_has_no_fault(name):
    assert read_preset(name)


def test_a_section_of_a_preset_replaces_that_of_params(root):
    document = read_preset("demo", root)
    assert document["finetune"] == read_yaml(root / "presets" / "demo.yaml")["finetune"]


def test_the_demo_does_not_depend_on_the_users_parameters():
    assert set(read_yaml(ROOT / "presets" / "demo.yaml")) == set(read_yaml(ROOT / "params.yaml"))


def test_an_unknown_preset_is_told_with_those_there_are(root):
    with pytest.raises(InputError, match="no preset 'other'; there are demo"):
        read_preset("other", root)


def test_a_fault_in_a_preset_names_its_file(root):
    with (root / "presets" / "demo.yaml").open("a") as file:
        file.write("colour: 1\n")
    with pytest.raises(InputError, match=r"^presets/demo\.yaml: colour: no such section"):
        read_preset("demo", root)


def test_a_workspace_is_renewed_and_keeps_what_its_stages_made(root, tmp_path):
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


def test_making_a_workspace_changes_nothing_of_the_project(root, tmp_path):
    def read():
        return {path: path.read_bytes() for path in sorted(pathlib.Path(root).rglob("*")) if path.is_file()}

    before = read()
    make_workspace(tmp_path / "workspace", read_preset("demo", root), root)
    assert read() == before
