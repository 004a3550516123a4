"""dvc.lock that a kill cut off."""

import fcntl
import pathlib
import re
from typing import Any

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import parse_yaml

from thaw.config.lockfile import BUSY, KEPT, LOCK, is_whole, mend, mend_lock
from thaw.config.presets import ROOT
from tiny import dvc, find_stages_run, prepare

TEXT = "".join((ROOT / "dvc.lock").read_text().splitlines(keepends=True)[:229])  # some stages, and the next one's name
TEXT = TEXT[: TEXT.rindex("\n  ") + 1]
CUTS = [*range(0, 60), *range(60, len(TEXT), 61)]  # characters that are left
STAGES = list(parse_yaml(TEXT, "dvc.lock")["stages"])

CUT = TEXT[: TEXT.rindex("cmd:") + 2]


def read_stages(text: str) -> dict[str, Any]:
    """Return the stages of a dvc.lock as DVC reads them; what DVC refuses raises an error."""
    return dict(COMPILED_LOCKFILE_SCHEMA(parse_yaml(text, "dvc.lock"))["stages"])


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty project of DVC as the working directory."""
    monkeypatch.chdir(tmp_path)
    BUSY.parent.mkdir(parents=True)
    return tmp_path


def test_wherever_it_was_cut_off_all_stages_are_as_the_copy_has_them() -> None:
    whole = read_stages(TEXT)
    for length in CUTS:
        cut = TEXT[:length]
        if not is_whole(cut):
            mended = mend(cut, TEXT)
            assert mended is not None and read_stages(mended) == whole


def test_without_a_copy_the_entries_that_were_written_whole_stay() -> None:
    whole = read_stages(TEXT)
    for length in CUTS:
        cut = TEXT[:length]
        if is_whole(cut):
            assert read_stages(cut)  # DVC reads it
            continue
        mended = mend(cut, "")
        assert mended is not None
        written = sum(f"\n  {stage}:\n" in cut for stage in STAGES)
        found = read_stages(mended) if mended else {}
        assert found == {stage: whole[stage] for stage in STAGES[: max(written - 1, 0)]}


def test_what_was_written_is_kept_where_the_copy_has_something_else() -> None:
    newer = re.sub("md5: [0-9a-f]{8}", "md5: 01234567", TEXT, count=1)
    mended = mend(newer[: newer.index(f"\n  {STAGES[2]}:") + 30], TEXT)
    assert mended is not None
    assert read_stages(mended)[STAGES[0]] == read_stages(newer)[STAGES[0]] != read_stages(TEXT)[STAGES[0]]
    assert list(read_stages(mended)) == STAGES


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("    cmd:", "<<<<<<< HEAD\n    cmd:", 1),
        lambda text: text.replace("    - path:", "    - pith:", 1),
        lambda text: "nothing of DVC's",
        lambda text: text.replace("schema", "scheme", 1)[:60],
    ],
    ids=["a conflict", "a wrong key", "another file", "another head"],
)
def test_what_else_is_wrong_with_it_is_left_for_dvc_to_report(change: Any, here: pathlib.Path) -> None:
    LOCK.write_text(change(TEXT))
    mend_lock()
    assert LOCK.read_text() == change(TEXT) and not KEPT.exists()


def test_one_that_is_whole_is_copied_and_stays(here: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    LOCK.write_text(TEXT)
    mend_lock()
    assert LOCK.read_text() == KEPT.read_text() == TEXT and capsys.readouterr().err == ""


def test_one_line_says_that_it_was_put_together_again(here: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    LOCK.write_text(TEXT)
    mend_lock()
    LOCK.write_text(CUT)
    mend_lock()
    assert LOCK.read_text() == TEXT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"dvc.lock: a kill cut it off while DVC wrote it, put together again with {len(STAGES)} stages"
    )


def test_one_that_was_only_begun_is_removed_where_nothing_is_known(here: pathlib.Path) -> None:
    LOCK.write_text("")
    mend_lock()
    assert not LOCK.exists()


def test_nothing_is_done_while_another_dvc_command_works(here: pathlib.Path) -> None:
    LOCK.write_text(CUT)
    with open(BUSY, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mend_lock()
    assert LOCK.read_text() == CUT


@pytest.mark.long
def test_after_a_kill_in_its_midst_dvc_has_nothing_to_run(workspace: pathlib.Path) -> None:
    prepare(workspace, "repro")
    text = (workspace / LOCK).read_text()
    (workspace / LOCK).write_text(text[: len(text) // 2])
    prepare(workspace, "repro")
    assert find_stages_run(dvc(workspace, "repro")) == []
    assert (workspace / LOCK).read_text() == text
