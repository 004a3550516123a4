"""Labels that may be wrong, on made-up cross-validations."""

import pathlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from outcomes import SIZE, make_params, make_results
from test_repeats import list_params, spread, write
from thaw.comparison.labels import COLUMNS, LabelIssues, describe_issues, find_issues, rank_issues
from thaw.comparison.repeats import read_repeats
from thaw.reporting import publication

CLASSES = ["NA", "=rose", "tulip"]
RESULTS: Any = SimpleNamespace(marks={"wide": "¹"})


def simulate(photos: int = 200, flipped: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (labels, probabilities, numbers of those flipped): good probabilities, and so many labels moved on."""
    generator = np.random.default_rng(4)
    truth = np.arange(photos) % len(CLASSES)
    probabilities = generator.dirichlet(np.ones(len(CLASSES)), photos) * 0.3
    probabilities[np.arange(photos), truth] += 0.7
    chosen = generator.choice(photos, flipped, replace=False)
    labels = truth.copy()
    labels[chosen] = (truth[chosen] + 1) % len(CLASSES)
    return labels, probabilities, chosen


def write_folds(folder: pathlib.Path, name: str, pooled: float = 0.9, columns: bool = True) -> set[str]:
    """Write the cross-validation of a run as its stage does; return the ids of the photos whose labels are flipped."""
    labels, probabilities, chosen = simulate()
    scores = {"accuracy": spread(0.9, 0.01, [0.9, 0.9], pooled=pooled), "f1": {"pooled": 0.9}}
    write(folder, "folds", name, {"photos": 200, **scores})
    ids, names = np.array([f"{i:04}" for i in range(200)]), np.array(CLASSES)
    table = pd.DataFrame({"id": ids, "fold": 1 + np.arange(200) % 2, "actual": names[labels]})
    table["predicted"] = names[probabilities.argmax(axis=1)]
    for i, label in enumerate(CLASSES if columns else []):
        table[f"p_{label}"] = probabilities[:, i].round(5)
    path = folder / f"plots/predictions/folds/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    return set(ids[chosen])


def find(folder: pathlib.Path, *names: str) -> LabelIssues:
    return find_issues(read_repeats(list_params(folds=names), folder))


def test_flipped_labels_lead_the_list_with_what_they_were_before(tmp_path: pathlib.Path) -> None:
    flipped = write_folds(tmp_path, "wide")
    issues = find(tmp_path, "wide")
    assert len(flipped & set(issues.table["id"])) >= 9  # how many to list is itself estimated
    assert set(issues.table["id"].head(9)) <= flipped and len(issues.table) < 15
    expected = {name: CLASSES[i - 1] for i, name in enumerate(CLASSES)}
    first = issues.table.head(9)
    assert list(first["suggested"]) == [expected[name] for name in first["class"]]
    assert list(issues.table) == COLUMNS and list(issues.table["rank"]) == list(range(1, len(issues.table) + 1))


def test_the_least_likely_label_comes_first_and_of_equals_the_first_photo() -> None:
    labels, probabilities, _ = simulate()
    table = rank_issues(np.array(CLASSES)[labels], probabilities, CLASSES)
    assert list(table["confidence"]) == sorted(table["confidence"])
    one, other = sorted(table["id"][table["class"] == "tulip"])[:2]
    probabilities[other] = probabilities[one]
    ids = list(rank_issues(np.array(CLASSES)[labels], probabilities, CLASSES)["id"])
    assert ids.index(other) == ids.index(one) + 1


def test_labels_that_agree_are_not_in_the_list() -> None:
    labels, probabilities, _ = simulate(flipped=0)
    assert rank_issues(np.array(CLASSES)[labels], probabilities, CLASSES).empty


def test_the_most_accurate_run_that_was_cross_validated_is_asked(tmp_path: pathlib.Path) -> None:
    write_folds(tmp_path, "wide", pooled=0.8)
    write_folds(tmp_path, "deep", pooled=0.9)
    assert find(tmp_path, "wide", "deep", "not-run-yet").run == "deep"


def test_the_section_counts_them_by_class(tmp_path: pathlib.Path) -> None:
    write_folds(tmp_path, "wide")
    issues = find(tmp_path, "wide")
    text = describe_issues(issues, RESULTS)
    assert "By the folds of wide¹, the most accurate of the runs that were cross-validated, " in text
    assert f", {len(issues.table)} labels of 200 may be wrong." in text
    count = (issues.table["class"] == "=rose").sum()
    assert f"| `=rose` | {count} | NA (" in text


def test_without_folds_the_section_says_what_is_missing(tmp_path: pathlib.Path) -> None:
    issues = find(tmp_path, "not-run-yet")
    assert issues.table.empty and "`folds` of `params.yaml` names no run" in describe_issues(issues, RESULTS)


def test_predictions_without_probabilities_ask_for_the_folds_again(tmp_path: pathlib.Path) -> None:
    write_folds(tmp_path, "wide", columns=False)
    text = describe_issues(find(tmp_path, "wide"), RESULTS)
    assert "the folds must run again: `./run dvc repro --force --single-item crossvalidate@wide`" in text


def test_probabilities_that_are_no_numbers_are_told(tmp_path: pathlib.Path) -> None:
    write_folds(tmp_path, "wide")
    path = tmp_path / "plots/predictions/folds/wide.csv"
    table = pd.read_csv(path, keep_default_na=False)
    table["p_tulip"] = ""
    table.to_csv(path, index=False)
    assert "holds probabilities that are no numbers" in describe_issues(find(tmp_path, "wide"), RESULTS)


@pytest.mark.parametrize("crossvalidated", [True, False])
def test_the_report_writes_the_list(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, crossvalidated: bool
) -> None:
    monkeypatch.setattr("thaw.reporting.publication.write_drawings", lambda *_: None)
    monkeypatch.setattr("thaw.reporting.publication.render_page", lambda *_: "")
    params = make_params()
    if crossvalidated:
        write_folds(tmp_path, "wide")
        params.folds = {"wide": None}
    publication.write_report(params, SIZE, make_results(tmp_path))
    lines = (tmp_path / "plots/label_issues.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS) and (len(lines) >= 10) == crossvalidated
    section = (tmp_path / "report/report.md").read_text().split("## Labels that may be wrong\n")[1].split("\n## ")[0]
    assert (f"{len(lines) - 1} labels of 200 may be wrong" in section) == crossvalidated
