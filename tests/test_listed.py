"""The runs of a table are those that params.yaml lists: one taken out is named and not read, a baseline may be none."""

import pathlib
import re
from typing import Any

import pytest

from outcomes import OUTCOMES, SIZE, make_params, make_results, write_run
from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import read_json
from thaw.base.stage import leave_out
from thaw.cli.best import print_best
from thaw.cli.reviewing.review import print_review
from thaw.cli.show import print_table
from thaw.comparison.leftovers import list_leftovers
from thaw.prediction.models import check_run
from thaw.reporting import publication
from tiny import change_params, dvc, find_stages_run, git


def test_files_of_what_is_not_listed_are_named_once_and_the_run_stands_for_all_of_its_own(
    tmp_path: pathlib.Path,
) -> None:
    params = make_params()
    make_results(tmp_path)
    assert list_leftovers(params, tmp_path) == []
    write_run(tmp_path, "old", OUTCOMES["wide"])
    for section, name in (("folds", "old"), ("folds", "wide"), ("replicates", "wide-blocks-2")):
        leave_out([str(tmp_path / paths.find_repetition(section, name))])
    leave_out([str(tmp_path / paths.find_maps("wide")), str(tmp_path / paths.find_export_scores("baseline_cnn"))])
    assert list_leftovers(params, tmp_path) == [
        "old", "replicates.wide-blocks-2", "folds.wide", "export.baseline_cnn", "explain.wide",
    ]  # fmt: skip
    params.folds = {"wide": None}
    del params.finetune["wide-layers-3"]
    assert list_leftovers(params, tmp_path)[:3] == ["old", "wide-layers-3", "replicates.wide-blocks-2"]
    assert "folds.wide" not in list_leftovers(params, tmp_path)


def test_a_report_without_a_baseline_does_not_speak_of_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thaw.reporting.publication.save", lambda figure, path: path.touch())
    monkeypatch.setattr("thaw.reporting.publication.render_page", lambda page, *_: page)
    folder, params = make_results(tmp_path), make_params()  # the files of an earlier baseline are there
    params.baseline_cnn = None
    publication.write_report(params, SIZE, folder)
    for page in ("report.md", "report.html", "cost.md"):
        assert "baseline" not in (folder / "report" / page).read_text()
    assert read_json(folder / paths.SUMMARY)["summary"]["runs"] == len(OUTCOMES) - 1
    for table in (paths.ACCURACIES, paths.PAIRS, paths.CLAIMS):
        assert "baseline" not in (folder / table).read_text()


@pytest.mark.parametrize("name", ["gone", "baseline_cnn"])
def test_a_network_of_a_run_that_is_not_listed_answers_no_photo(name: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "params.yaml").write_text("baseline_cnn:\nfrozen: {wide: {}}\n")
    for find in (paths.find_weights, paths.find_description):
        leave_out([str(tmp_path / find(each)) for each in (name, "wide")])
    check_run("wide", tmp_path)
    with pytest.raises(InputError, match=f"has no run '{name}'; there are wide$"):
        check_run(name, tmp_path)


@pytest.mark.long
def test_a_baseline_that_is_left_out_trains_nothing_and_comes_back_as_it_was(
    workspace: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    kept: dict[str, Any] = {}
    change_params(workspace, lambda document: kept.update(baseline_cnn=document["baseline_cnn"]))
    change_params(workspace, lambda document: document.update(baseline_cnn=None))
    ran = dvc(workspace, "repro")
    assert set(find_stages_run(ran)) == {"baseline_cnn", "evaluate_baseline@baseline_cnn", "report"}
    assert "loss:" not in ran
    assert read_json("metrics/headline/baseline_cnn.json") == read_json("models/baseline_cnn.json") == {}
    assert pathlib.Path("models/baseline_cnn.weights.h5").read_bytes() == b""
    assert "baseline" not in pathlib.Path("report/report.md").read_text()
    assert read_json("metrics/summary.json")["summary"]["runs"] == 3
    assert find_stages_run(dvc(workspace, "repro")) == []
    git(workspace, "commit", "--quiet", "--all", "--message", "Without a baseline")
    for show in (lambda: print_table("text"), print_best):
        show()
        assert "baseline" not in capsys.readouterr().out
    header = dvc(workspace, "exp", "show", "--csv").splitlines()[0].split(",")
    assert not [column for column in header if re.match("baseline_cnn[.]", column)] and "tiny.validation" in header
    assert print_review("HEAD~1", "HEAD") and "baseline_cnn" in capsys.readouterr().out
    change_params(workspace, lambda document: document.update(kept))
    assert "loss:" not in dvc(workspace, "repro")  # the run cache has it
    assert git(workspace, "diff", "--stat", "HEAD~1", "--", "metrics", "plots", "report/report.md") == ""
