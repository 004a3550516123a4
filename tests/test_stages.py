"""dvc.yaml against the code: each stage declares the packages that it imports, and imports run one way."""

import ast
import functools
import graphlib
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import ruamel.yaml
from dvc.repo import Repo

from thaw.config.presets import ROOT
from tiny import attempt

STAGES = ruamel.yaml.YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
SOURCE = ROOT / "src" / "thaw"

# The packages, from the top down: what one imports stands below it. CONTRIBUTING.md draws the same list.
FLOORS = (
    "cli", "notebook", "serving", "config", "reporting", "comparison", "training", "export", "explanation",
    "prediction", "evaluation", "weights", "store", "networks", "architectures", "records", "split", "photos",
    "pictures", "drawn", "engine", "base",
)  # fmt: skip

# What a stage imports and does not declare: the check of the whole of params.yaml. `config` reads the file, and the
# `sections.py` of every package type its sections. They can stop a stage and do nothing else: what a stage does follows
# from the values of its own section, which dvc.yaml lists under `params`, and its own packages are declared with their
# sections. Declared, an edit of any section would make every stage stale. The cost: an edit of a default value in the
# `sections.py` of a package that a stage does not declare does not make that stage stale.
#
# And the table of backbones. What a stage does follows from the row of its own backbone, and a digest of it stands in
# the description beside the first weights, on which the stages behind `weights` depend. Declared, a row for one more
# network would make every training stale.
UNDECLARED = "config", "sections", "architectures"

TRAININGS = {"baseline_cnn", "train_frozen", "finetune"}
EVALUATIONS = {"evaluate_frozen", "evaluate_finetune", "evaluate_baseline"}
# What must run again after an edit in a package. The scratch table repeats no run.
STALE = {
    "base": {"download", "weights", "split", "preprocess", *TRAININGS, *EVALUATIONS, "report"},
    "drawn": {"download", "weights"},
    "photos": {"download", "weights"},
    "pictures": {"download", "split", "preprocess", "report"},
    "split": {"split"},
    "records": {"preprocess", *TRAININGS, *EVALUATIONS},
    "networks": {"weights", *TRAININGS, *EVALUATIONS},
    "architectures": {"weights"},
    "store": {*TRAININGS, *EVALUATIONS},
    "weights": {"weights"},
    "explanation": {"report"},
    "evaluation": {*EVALUATIONS, "report"},
    "export": set(),  # the scratch table exports no run
    "training": TRAININGS,
    "comparison": {"report"},
    "reporting": {"report"},
    "prediction": set(),
    "config": set(),
    "notebook": set(),
    "cli": set(),
    "engine": set(),
    "serving": set(),
}


def find_script(stage: dict) -> str:
    command = stage.get("do", stage)["cmd"]
    return next(word for word in command.split() if word.startswith("stages/"))


@functools.cache
def find_imports(path: pathlib.Path) -> set[pathlib.Path]:
    """Return the files of the package that the file at `path` imports, inside functions too, but not theirs."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = set()
    for name in names:
        first, *parts = name.split(".")
        if first == "thaw" and parts:
            stem = SOURCE.joinpath(*parts)
            found |= {file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.exists()}
    return found


def find_package(file: pathlib.Path) -> str:
    return file.relative_to(SOURCE).parts[0]


def find_all_imports(script: pathlib.Path, but: tuple[str, ...] = ()) -> set[pathlib.Path]:
    """Return what the file at `script` imports, and what that imports; not through the packages and modules `but`."""
    found: set[pathlib.Path] = set()
    waiting = [script]
    while waiting:
        for file in find_imports(waiting.pop()) - found:
            if find_package(file) not in but and file.stem not in but:
                found.add(file)
                waiting.append(file)
    return found


@pytest.mark.parametrize("name", list(STAGES))
def test_a_stage_declares_the_packages_that_it_imports_and_no_other(name: str) -> None:
    script = find_script(STAGES[name])
    declared = {dep for dep in STAGES[name].get("do", STAGES[name])["deps"] if dep.startswith(("stages/", "src/"))}
    but = tuple(part for part in UNDECLARED if (name, part) != ("weights", "architectures"))
    packages = {find_package(file) for file in find_all_imports(ROOT / script, but)}
    assert declared == {script, *(f"src/thaw/{package}" for package in packages)}


def test_an_import_inside_a_function_is_found(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("def main():\n    from thaw.evaluation import scoring\n")
    assert find_imports(script) >= {SOURCE / "evaluation/scoring.py"}


def test_nothing_is_imported_by_name() -> None:
    """What is imported by name is hidden from the walk."""
    code = "".join(file.read_text() for folder in ("src", "stages") for file in (ROOT / folder).rglob("*.py"))
    assert "import_module" not in code and "__import__" not in code


def test_a_package_itself_holds_no_code() -> None:
    for file in SOURCE.glob("*/__init__.py"):
        assert [type(node) for node in ast.parse(file.read_text()).body] == [ast.Expr], file


def test_thaw_itself_loads_nothing_until_it_is_asked() -> None:
    """The one exception: `thaw.load_results` and `thaw.load_model`. Every program passes here, and no stage uses it."""
    code = "import sys, thaw; print([name for name in sys.modules if name.startswith(('thaw.', 'numpy'))])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=SOURCE.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_nothing_in_the_project_uses_what_thaw_itself_gives() -> None:
    """The walk of imports does not see through `thaw.__getattr__`."""
    for file in [*SOURCE.rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "thaw"), file
            assert not (isinstance(node, ast.Import) and "thaw" in [alias.name for alias in node.names]), file


def test_every_package_has_its_floor() -> None:
    assert sorted(FLOORS) == sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


def test_packages_import_only_from_the_floors_below() -> None:
    for file in SOURCE.glob("*/**/*.py"):
        for imported in find_imports(file):
            here, there = (FLOORS.index(find_package(path)) for path in (file, imported))
            assert here <= there, f"{file} imports {imported}"


def test_no_module_imports_one_that_imports_it() -> None:
    graph = {file: find_imports(file) for file in SOURCE.rglob("*.py")}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which lists the modules of a circle


def test_contributing_lists_the_packages_from_the_top_down() -> None:
    lines = re.findall(r"^  ([a-z]+)/ ", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert tuple(lines) == FLOORS


@pytest.fixture(scope="module")
def scratch(finished: tuple[pathlib.Path, str], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A copy of the finished table's project; a test that edits it takes the edit back."""
    folder = tmp_path_factory.mktemp("edits") / "a project"
    shutil.copytree(finished[0], folder, symlinks=True)
    return folder


EDITS = [
    *((package, "__init__.py") for package in STALE),
    ("comparison", "published.csv"), ("reporting", "classes.json"), ("training", "sections.py"),
    ("architectures", "table.py"),
]  # fmt: skip
USUAL = (
    "base",
    "records",
    "networks",
    "architectures",
    "comparison",
)  # packages that are edited in every run of the tests


@pytest.mark.parametrize(
    ("package", "file"),
    [pytest.param(*edit, marks=() if edit[0] in USUAL else pytest.mark.long) for edit in EDITS],
)
def test_an_edit_makes_stale_the_stages_that_it_reaches(
    package: str, file: str, scratch: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scratch)
    path = pathlib.Path("src/thaw", package, file)
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        with Repo() as repo:
            status = repo.status()
    finally:
        path.write_bytes(before)
    changed = {
        name.partition("@")[0]
        for name, entries in status.items()
        if any("changed deps" in entry or "changed command" in entry for entry in entries)
    }
    assert changed == STALE[package]


def test_there_are_thirteen_stages() -> None:
    assert len({find_script(stage) for stage in STAGES.values()}) == 13


def test_dvc_yaml_is_read_at_a_sitting() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 300


def test_no_key_of_params_stands_in_a_command() -> None:
    """A key is text of the user's; DVC would put it into a shell line as it is."""
    assert not [stage for stage in STAGES.values() if "$" in stage.get("do", stage)["cmd"]]


def test_a_stage_that_dvc_does_not_run_is_one_clear_line(workspace: pathlib.Path) -> None:
    done = attempt(workspace, sys.executable, "stages/finetune.py", PYTHONPATH="src", DVC_STAGE="")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("DVC_STAGE: must name a stage as STAGE@KEY")
    assert "Traceback" not in done.stderr


def test_no_stage_depends_on_measured_times() -> None:
    for stage in STAGES.values():
        assert not [dep for dep in stage.get("do", stage)["deps"] if "timing" in dep]
