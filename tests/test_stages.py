"""dvc.yaml against the code: every stage declares the modules that it imports, and no other."""

import ast
import pathlib

import pytest
import ruamel.yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
STAGES = ruamel.yaml.YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def find_script(stage):
    command = stage.get("do", stage)["cmd"]
    return next(word for word in command.split() if word.startswith("stages/"))


def find_imports(path):
    """Return the project's files that the file at `path` imports, inside functions too, but not theirs."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "thaw":
            continue
        for end in range(2, len(parts) + 1):  # a package's __init__ runs too; that of thaw holds nothing
            stem = ROOT.joinpath("src", *parts[:end])
            found |= {file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.exists()}
    return found


def find_all_imports(script):
    found, waiting = set(), [ROOT / script]
    while waiting:
        for file in find_imports(waiting.pop()) - found:
            found.add(file)
            waiting.append(file)
    return {script, *(str(file.relative_to(ROOT)) for file in found)}


@pytest.mark.parametrize("name", list(STAGES))
def test_a_stage_declares_the_modules_that_it_imports_and_no_other(name):
    script = find_script(STAGES[name])
    code = {dep for dep in STAGES[name].get("do", STAGES[name])["deps"] if dep.endswith(".py")}
    assert code == find_all_imports(script)


def test_an_import_inside_a_function_is_found(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("def main():\n    from thaw import scoring\n")
    assert find_imports(script) == {ROOT / "src/thaw/scoring.py"}


def test_only_the_check_of_the_whole_file_is_imported_by_name():
    """What is imported by name is hidden from the walk; see thaw.params.load for the one exception."""
    code = "".join(file.read_text() for folder in ("src", "stages") for file in (ROOT / folder).rglob("*.py"))
    assert code.count("import_module(") == 1 and "__import__" not in code


def test_the_package_itself_holds_no_code():
    tree = ast.parse((ROOT / "src/thaw/__init__.py").read_text())
    assert [type(node) for node in tree.body] == [ast.Expr]


def test_imports_run_one_way():
    """No module imports one that imports it."""
    files = {str(file) for file in (ROOT / "src/thaw").rglob("*.py")}
    for file in sorted(files):
        relative = str(pathlib.Path(file).relative_to(ROOT))
        behind = set()
        for imported in find_imports(pathlib.Path(file)):
            behind |= find_all_imports(str(imported.relative_to(ROOT)))
        assert relative not in behind, relative


def test_there_are_eleven_stages():
    assert len({find_script(stage) for stage in STAGES.values()}) == 11


def test_no_stage_depends_on_measured_times():
    for stage in STAGES.values():
        assert not [dep for dep in stage.get("do", stage)["deps"] if "timing" in dep]
