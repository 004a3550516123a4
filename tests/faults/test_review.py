"""`thaw best` and `thaw review` in repositories that git cannot read, and on files that are damaged or half merged."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from typing import NamedTuple

import pytest

from thaw.base.errors import InputError
from thaw.cli.reviewing.differences import read_side
from thaw.cli.reviewing.lockfile import audit
from thaw.cli.reviewing.revisions import HEAD, WORK_TREE, check_out, describe, find_commit, list_alternatives
from thaw.config.presets import ROOT
from tiny import attempt, git

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all


def leave_conflict(text: str) -> str:
    """Return `text` as git leaves it where both sides changed its middle line."""
    lines = text.splitlines(keepends=True)
    middle = len(lines) // 2
    conflict = ["<<<<<<< HEAD\n", lines[middle], "=======\n", lines[middle], ">>>>>>> other\n"]
    return "".join([*lines[:middle], *conflict, *lines[middle + 1 :]])


def cut_short(text: str) -> str:
    """Return the first half of `text`, which ends in a line and not behind one."""
    return text[: len(text) // 2].rstrip("\n")


def replace(old: str, new: str) -> Callable[[str], str]:
    """Return a function that replaces the first `old` in a text."""
    return lambda text: text.replace(old, new, 1)


class Damage(NamedTuple):
    """What happened to a file of a finished table, and what is said of it."""

    words: str
    file: str
    change: Callable[[str], str] | None  # of its text, where \udcXX is the byte XX; None: the file is gone
    told: str  # a regular expression: all of the line


CONFLICT = r"line \d+: a merge left a conflict here \(<<<<<<< HEAD\)"
AGAIN = r"; \./run dvc repro makes it"
SCORES, HISTORY, PREDICTIONS = "metrics/evaluate/tiny.json", "plots/history/tiny.csv", "plots/predictions/tiny.csv"
DAMAGES = [
    Damage("a conflict in dvc.lock is told by its line", "dvc.lock", leave_conflict, rf"dvc\.lock: {CONFLICT}"),
    Damage("a conflict in dvc.yaml is told by its line", "dvc.yaml", leave_conflict, rf"dvc\.yaml: {CONFLICT}"),
    Damage(
        "a conflict in params.yaml is told by its line", "params.yaml", leave_conflict, rf"params\.yaml: {CONFLICT}"
    ),
    Damage(
        "a conflict in DVC's configuration", ".dvc/config", lambda _: "<<<<<<< HEAD\n", rf"\.dvc/config: {CONFLICT}"
    ),
    Damage("an empty dvc.lock", "dvc.lock", lambda _: "", r"dvc\.lock: schema: required key not provided"),
    Damage(
        "a dvc.lock of another form", "dvc.lock", lambda _: "- 1\n", r"dvc\.lock: the document: expected a dictionary"
    ),
    Damage(
        "a dvc.lock with a key that is misspelt",
        "dvc.lock",
        replace("outs:", "ouuts:"),
        r"dvc\.lock: stages\.download\.ouuts: extra keys not allowed",
    ),
    Damage(
        "a dvc.lock that ends in a value",
        "dvc.lock",
        lambda text: text.rstrip("\n") + "\n  a: [",
        r"dvc\.lock: line \d+, column \d+: .+",
    ),
    Damage("a dvc.lock that is no text", "dvc.lock", lambda _: "\udcff", r"dvc\.lock: must be UTF-8 text .*"),
    Damage("a dvc.yaml that is gone", "dvc.yaml", None, r"dvc\.yaml: no such file"),
    Damage(
        "an empty dvc.yaml", "dvc.yaml", lambda _: "", r"dvc\.yaml: must have the stages of the pipeline \(got none\)"
    ),
    Damage("a params.yaml that is gone", "params.yaml", None, r"params\.yaml: no such file in it"),
    Damage("a params.yaml that is a list", "params.yaml", lambda _: "[1]", r"params\.yaml: must be a mapping of .*"),
    Damage(
        "a section of params.yaml that is a list",
        "params.yaml",
        lambda text: re.sub(r"^replicates:.*", "replicates: [tiny]", text, flags=re.MULTILINE),
        r"params\.yaml: replicates: must be a mapping .*",
    ),
    Damage("a .dvcignore that is no text", ".dvcignore", lambda _: "\udcff", r"\.dvcignore: must be UTF-8 text .*"),
    Damage(
        "a remote without an address",
        ".dvc/config",
        lambda _: '[remote "x"]\nregion = here\n',
        r"\.dvc/config: config file error: .*",
    ),
    Damage("a conflict in scores", SCORES, leave_conflict, rf"{SCORES}: must be JSON \(line \d+: [^()]+\){AGAIN}"),
    Damage("scores that are cut short", SCORES, cut_short, rf"{SCORES}: must be JSON \(line \d+: [^()]+\){AGAIN}"),
    Damage("scores that are empty", SCORES, lambda _: "", rf"{SCORES}: must be JSON \(line 1: [^()]+\){AGAIN}"),
    Damage("scores that are no text", SCORES, lambda _: "\udcff", rf"{SCORES}: must be JSON \(.*\){AGAIN}"),
    Damage(
        "scores of another form", SCORES, lambda _: '{"tiny": [1]}', rf"{SCORES}: tiny: must be a mapping .*{AGAIN}"
    ),
    Damage(
        "scores with a flipped letter in a key",
        SCORES,
        replace('"accuracy"', '"acduracy"'),
        rf"{SCORES}: tiny\.\w+\.accuracy: must be given{AGAIN}",
    ),
    Damage(
        "an accuracy above 1",
        SCORES,
        lambda text: re.sub(r'"accuracy": [0-9.]+', '"accuracy": 1.5', text),
        rf"{SCORES}: tiny\.train\.accuracy: must be at most 1\.0 \(got 1\.5\){AGAIN}",
    ),
    Damage(
        "an accuracy that is text",
        SCORES,
        lambda text: re.sub(r'"accuracy": [0-9.]+', '"accuracy": "high"', text),
        rf"{SCORES}: tiny\.train\.accuracy: must be a number \(got 'high'\){AGAIN}",
    ),
    Damage(
        "costs of another form",
        "metrics/train/tiny.json",
        lambda _: '{"tiny": {"flops": 3}}',
        rf"metrics/train/tiny\.json: tiny\.flops: must be a mapping \(got 3\){AGAIN}",
    ),
    Damage(
        "a summary of another form",
        "metrics/summary.json",
        lambda _: '{"summary": 3}',
        rf"metrics/summary\.json: summary: must be a mapping \(got 3\){AGAIN}",
    ),
    Damage(
        "a conflict in metrics of no run",
        "metrics/split.json",
        leave_conflict,
        rf"metrics/split\.json: must be JSON \(line \d+: [^()]+\){AGAIN}",
    ),
    Damage(
        "a conflict in a learning curve", HISTORY, leave_conflict, rf"{HISTORY}: line 2: must have 11 fields .*{AGAIN}"
    ),
    Damage(
        "a learning curve without epochs", HISTORY, lambda text: text.splitlines()[0] + "\n", rf"{HISTORY}: must .*"
    ),
    Damage(
        "a learning curve with a letter for a digit",
        HISTORY,
        lambda text: re.sub(r"^1,[^,]*", "l,1", text, flags=re.MULTILINE),
        rf"{HISTORY}: epoch: must be a number \(got 'l'\){AGAIN}",
    ),
    Damage("a conflict in predictions", PREDICTIONS, leave_conflict, rf"{PREDICTIONS}: line \d+: must have .*{AGAIN}"),
    Damage("predictions that are cut short", PREDICTIONS, cut_short, rf"{PREDICTIONS}: line \d+: must have .*{AGAIN}"),
    Damage(
        "predictions without a column",
        PREDICTIONS,
        replace("actual", "axtual"),
        rf"{PREDICTIONS}: must have the column actual{AGAIN}",
    ),
    Damage("predictions that are no text", PREDICTIONS, lambda _: "\udcff", rf"{PREDICTIONS}: must be a CSV .*{AGAIN}"),
    Damage(
        "a p value that is text",
        "plots/pairs.csv",
        lambda text: re.sub(r"[^,\n]+$", "small", text, flags=re.MULTILINE).replace("small", "p_holm", 1),
        rf"plots/pairs\.csv: p_holm: must be a number \(got 'small'\){AGAIN}",
    ),
    Damage(
        "claims with a quotation mark that does not end",
        "plots/claims.csv",
        lambda text: f'{text}"MobileNet',
        rf"plots/claims\.csv: must be a CSV table .*{AGAIN}",
    ),
]


@pytest.fixture(scope="session")
def tracked(finished: tuple[pathlib.Path, str], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The files of a finished tiny table that git tracks; tests must not change them."""
    folder = tmp_path_factory.mktemp("tracked")
    archive = folder / "files.tar"
    subprocess.run(["git", "archive", f"--output={archive}", "HEAD"], cwd=finished[0], check=True)
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "files", filter="data")
    return folder / "files"


def examine(folder: pathlib.Path) -> None:
    """Read all that a review reads of one side."""
    audit(folder)
    read_side(folder)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.words)
def test_a_damaged_file_is_one_line(damage: Damage, tracked: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "files"
    shutil.copytree(tracked, folder)
    file = folder / damage.file
    if damage.change is None:
        file.unlink()
    else:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(damage.change(text), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError) as raised:
        examine(folder)
    told = str(raised.value).replace(f"{folder}/", "").replace(str(folder), "it").split("\n")[0]
    assert re.fullmatch(damage.told, told)


def test_what_is_not_damaged_is_read(tracked: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "files"
    shutil.copytree(tracked, folder)
    examine(folder)


@pytest.fixture
def repository(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A git repository with one commit and an experiment on it, as the working directory; nobody's settings count."""
    for name, value in (("GIT_CONFIG_GLOBAL", os.devnull), ("GIT_CONFIG_NOSYSTEM", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Größe")
    add_reference(folder, "tried", read_head(folder))
    monkeypatch.chdir(folder)
    return folder


def read_head(folder: pathlib.Path) -> str:
    return str(git(folder, "rev-parse", "HEAD").strip())


def add_reference(folder: pathlib.Path, name: str, content: str) -> None:
    """Write what DVC keeps of an experiment on the last commit."""
    head = read_head(folder)
    file = folder / ".git" / "refs" / "exps" / head[:2] / head[2:] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{content}\n")


def find_object(folder: pathlib.Path) -> pathlib.Path:
    """Return the file of the last commit."""
    head = read_head(folder)
    file = folder / ".git" / "objects" / head[:2] / head[2:]
    file.chmod(0o644)
    return file


def forget_all(folder: pathlib.Path) -> None:
    """Make it a repository without a commit."""
    shutil.rmtree(folder / ".git")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")


def make_worktree_of_what_is_gone(folder: pathlib.Path) -> None:
    shutil.rmtree(folder / ".git")
    (folder / ".git").write_text("gitdir: /nowhere/.git/worktrees/project\n")


NONE = "none"  # there is no commit and no experiment, and that is no fault
FOUND = "found"  # the last commit and the experiment
REPOSITORIES: list[tuple[str, Callable[[pathlib.Path], object], dict[str, str], str]] = [
    ("no repository is no fault", lambda folder: shutil.rmtree(folder / ".git"), {}, NONE),
    ("a repository without a commit is no fault", forget_all, {}, NONE),
    ("a branch without a commit is no fault", lambda folder: git(folder, "switch", "--orphan", "new"), {}, NONE),
    (
        "a dvc.yaml that git does not track is no fault",
        lambda folder: git(folder, "rm", "--quiet", "--cached", "dvc.yaml"),
        {},
        NONE,
    ),
    ("no branch, but a commit, is no fault", lambda folder: git(folder, "checkout", "--detach", "--quiet"), {}, FOUND),
    (
        "a shallow clone is no fault",
        lambda folder: (folder / ".git/shallow").write_text(f"{read_head(folder)}\n"),
        {},
        FOUND,
    ),
    (
        "a repository of another owner is told with what mends it",
        lambda _: None,
        {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"},
        r"git ls-files: fatal: detected dubious ownership .*git config --global --add safe\.directory \S+/project",
    ),
    (
        "a damaged index",
        lambda folder: (folder / ".git/index").write_bytes(b"DIRC"),
        {},
        r"git ls-files: fatal: \.git/index: .*",
    ),
    (
        "a damaged configuration",
        lambda folder: (folder / ".git/config").write_text("[core\n"),
        {},
        r"git ls-files: fatal: bad config line 1 .*",
    ),
    (
        "a lost HEAD",
        lambda folder: (folder / ".git/HEAD").unlink(),
        {},
        r"git ls-files: fatal: not a git repository .*",
    ),
    (
        "a branch whose file is empty, as after a power cut",
        lambda folder: (folder / ".git/refs/heads/main").write_text(""),
        {},
        r"git log: fatal: your current branch appears to be broken",
    ),
    ("a lost commit", lambda folder: find_object(folder).unlink(), {}, r"git log: fatal: bad object HEAD"),
    (
        "a damaged commit",
        lambda folder: find_object(folder).write_bytes(b"junk"),
        {},
        r"git log: error: .* is corrupt",
    ),
    (
        "a work tree whose repository is gone",
        make_worktree_of_what_is_gone,
        {},
        r"git ls-files: fatal: not a git repository: /nowhere\S+",
    ),
    ("no git", lambda _: None, {"PATH": "/nowhere"}, r"git: must be installed.*"),
]


@pytest.mark.parametrize(
    ("change", "variables", "expected"), [case[1:] for case in REPOSITORIES], ids=[case[0] for case in REPOSITORIES]
)
def test_a_repository(
    change: Callable[[pathlib.Path], object],
    variables: dict[str, str],
    expected: str,
    repository: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(repository)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if expected in (NONE, FOUND):
        alternatives, notes = list_alternatives()
        assert list(alternatives) == ([HEAD, "tried"] if expected == FOUND else []) and not notes
        return
    with pytest.raises(InputError) as raised:
        list_alternatives()
    assert re.fullmatch(expected, str(raised.value))


def test_an_experiment_whose_reference_is_empty_is_passed_over_with_a_note(repository: pathlib.Path) -> None:
    add_reference(repository, "broken", "")
    alternatives, (note,) = list_alternatives()
    assert list(alternatives) == [HEAD, "tried"] and re.search(r"ignoring broken ref \S+/broken$", note)


@pytest.mark.parametrize("name", ["nothing", "HEAD~9", "a..b", "HEAD^{tree}", "HEAD@{9}", "0" * 40, "--all"])
def test_a_name_of_no_commit_is_told_as_one(name: str, repository: pathlib.Path) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(name)}: must name a commit of this repository"):
        find_commit(name)


def test_a_commit_in_a_repository_of_another_owner_is_no_unknown_name(
    repository: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(InputError, match="^git rev-parse: fatal: detected dubious ownership"):
        find_commit(HEAD)


SETTINGS = [  # of a person's own git
    "[core]\nautocrlf = true\n",
    "[core]\nautocrlf = input\neol = crlf\n",
    "[i18n]\nlogOutputEncoding = latin1\n",
    "[log]\nshowSignature = true\n[color]\nui = always\n[core]\npager = false\n",
]


@pytest.mark.parametrize("settings", SETTINGS, ids=[re.sub(r"\W+", " ", text).strip() for text in SETTINGS])
def test_a_persons_own_settings_of_git_change_no_file_and_no_word(
    settings: str, repository: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (repository / "crlf.csv").write_bytes(b"a,b\r\n")
    for revision in (HEAD, WORK_TREE):
        with check_out(revision) as files:
            assert (files / "dvc.yaml").read_bytes() == b"stages: {}\n"
            assert revision is HEAD or (files / "crlf.csv").read_bytes() == b"a,b\r\n"
    assert re.fullmatch(r"[0-9a-f]{7,} \(Größe\)", describe(HEAD))


@pytest.mark.parametrize("command", [("best",), ("review", "HEAD")], ids=["thaw best", "thaw review"])
def test_a_command_in_a_repository_of_another_owner_is_one_line_with_what_mends_it(
    command: tuple[str, ...], workspace: pathlib.Path
) -> None:
    variables = {"PYTHONPATH": str(ROOT / "src"), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = attempt(workspace, sys.executable, "-m", "thaw", *command, **variables, GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert "git config --global --add safe.directory" in line
