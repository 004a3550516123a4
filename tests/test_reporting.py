"""The report, on made-up results of four runs: a baseline, a frozen run and two fine-tuned ones."""

import json
import pathlib
import re
import shutil
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from outcomes import (
    OUTCOMES,
    SIZE,
    STANDIN,
    make_params,
    make_results,
    opening,
    phase,
    share_latency,
    write,
    write_latency,
    write_run,
    write_times,
    write_weights,
)
from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import read_json
from thaw.comparison import pairs, published, results
from thaw.comparison.words import escape, to_markdown
from thaw.config.checking import Params
from thaw.evaluation import latency
from thaw.reporting import figures, publication, tables, timing
from thaw.reporting.backbones import locate_cut


@pytest.fixture
def params() -> Any:
    return make_params()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return make_results(tmp_path)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the figures out, for what only reads the pages."""
    monkeypatch.setattr("thaw.reporting.publication.write_drawings", lambda *_: None)
    monkeypatch.setattr("thaw.reporting.publication.render_page", lambda *_: "")


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves empty files where figures would be saved, for what only asks which there are."""
    monkeypatch.setattr("thaw.reporting.publication.save", lambda figure, path: path.touch())
    monkeypatch.setattr("thaw.reporting.publication.render_page", lambda *_: "")


def read_page(folder: pathlib.Path, params: Params, name: str = "report.md") -> str:
    publication.write_report(params, SIZE, folder)
    return (folder / "report" / name).read_text()


def find_row(page: Any, run: str) -> list[Any]:
    """Return the cells of the comparison's row of `run`, or of the first; the name may be bold and marked."""
    page = page.partition("## Comparison\n")[2] or page
    line = next(line for line in page.splitlines() if re.match(rf"\| \**{run}\**[⁰¹²³⁴-⁹]* \|", line))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_fine_tuned_run_follows_the_frozen_run_that_it_starts_from(params: Params) -> None:
    params.frozen["slim"] = phase(backbone="slim")
    params.finetune["slim-all"] = phase(start="slim", unfreeze=opening(all=True))
    params.finetune["wide-fresh"] = phase(start="pretrained/wide", unfreeze=opening(all=True))
    params.frozen["wide-deep-head"] = phase(backbone="wide")
    assert [run.name for run in results.list_runs(params)] == [
        "baseline_cnn", "wide", "wide-layers-3", "wide-blocks-2", "wide-deep-head", "wide-fresh", "slim", "slim-all",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unfreeze", "words"),
    [
        (None, "nothing (head only)"),
        ({"layers": 6}, "last 6 layers"),
        ({"blocks": 1}, "last block"),
        ({"from_layer": 100}, "from layer 100"),
        ({"from_layer": 0}, "from layer 0"),
        ({"stages": ["conv4", "conv5"]}, "stages conv4, conv5"),
        ({"stages": ["conv5"], "blocks": None}, "stage conv5"),
        ({"all": True, "blocks": 2}, "all"),
        ({"stages": ["conv2"], "blocks": 4}, "last 4 blocks and stage conv2"),
    ],
)
def test_what_is_unfrozen_is_described(unfreeze: dict[str, Any] | None, words: str) -> None:
    assert results.describe_unfreeze(unfreeze) == words


def test_epochs_of_a_fine_tuned_run_are_those_of_both_phases(params: Params) -> None:
    training = {run.name: run.training for run in results.list_runs(params)}
    assert (training["baseline_cnn"], training["wide"], training["wide-blocks-2"]) == ("4", "2", "2 + 3")


def test_a_run_with_a_head_of_its_own_has_one_phase(params: Params) -> None:
    params.finetune["fresh"] = phase(epochs=7, start="pretrained/wide", unfreeze=opening(all=True))
    fresh = next(run for run in results.list_runs(params) if run.name == "fresh")
    assert (fresh.training, fresh.start, fresh.backbone) == ("7", None, "wide")


def test_the_best_run_is_chosen_on_validation_and_of_equals_the_one_that_trains_less(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    publication.write_report(params, SIZE, folder)
    # wide-layers-3 is better on test, and trains more.
    summary = json.loads((folder / "metrics/summary.json").read_text())["summary"]
    # Wilson's interval of 90 of 100, by hand: centre (0.9 + 1.9207 / 100) / 1.038415 = 0.8852, half 0.0596.
    low, high = summary.pop("low"), summary.pop("high")
    assert (round(low, 3), round(high, 3)) == (0.826, 0.945)
    assert summary == {
        "best": "wide-blocks-2", "validation": 0.9, "test": 0.9, "as_good": 0, "cheapest": "wide-blocks-2", "runs": 4,
    }  # fmt: skip


def test_a_row_of_the_table_holds_what_the_metrics_say(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    # Wilson's interval of 92 of 100, by hand: centre (0.92 + 1.9207 / 100) / 1.038415 = 0.9045, half 0.0544.
    assert find_row(read_page(folder, params), "wide-layers-3") == [
        "wide-layers-3¹", "WideNet", "last 3 layers", "2 + 3", "98,765", "85.71", "90.00", "92.00", "85.0 – 95.9",
        "0.7500", "1.50",
    ]  # fmt: skip


def name_figures(params: Params, folder: pathlib.Path) -> list[Any]:
    """Return the names of the figures that the report draws."""
    evidence = pairs.read_evidence(results.read_results(params, folder), folder)
    return [drawing.name for drawing in figures.list_drawings(evidence, folder)]


@pytest.mark.long
def test_files_of_a_removed_run_leave_no_row_and_no_figure(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    publication.write_report(params, SIZE, folder)
    del params.finetune["wide-layers-3"]
    page = read_page(folder, params)
    assert "Left over from runs that `params.yaml` no longer lists, and read by nothing: wide-layers-3 (" in page
    assert page.count("wide-layers-3") == 1
    assert sorted(name for name in name_figures(params, folder) if "-" in name) == [
        "confusion-baseline_cnn", "confusion-wide", "confusion-wide-blocks-2",
        "curves-baseline_cnn", "curves-wide", "curves-wide-blocks-2",
    ]  # fmt: skip


def test_every_figure_is_on_the_page_with_its_data_and_no_other(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    named = re.findall(r"\(figures/(.+?)\)", read_page(folder, params))
    assert sorted(named) == sorted(f"{name}.{kind}" for name in name_figures(params, folder) for kind in ("svg", "csv"))


def test_every_figure_has_its_data_beside_it(params: Params, folder: pathlib.Path, unsaved: None) -> None:
    publication.write_report(params, SIZE, folder)
    for place in ("figures", "cost"):
        files = list((folder / "report" / place).iterdir())
        drawn, tabulated = ({file.stem for file in files if file.suffix == ending} for ending in (".svg", ".csv"))
        assert drawn and drawn == tabulated


def test_the_figure_of_measured_times_is_on_the_page_of_the_costs_alone(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    page = read_page(folder, params)
    assert "latency" not in page and "(cost/latency.svg)" in (folder / "report/cost.md").read_text()


def test_the_same_results_give_the_same_bytes(params: Params, folder: pathlib.Path) -> None:
    del params.finetune["wide-layers-3"], params.finetune["wide-blocks-2"]

    def read_all() -> dict[str, Any]:
        publication.write_report(params, SIZE, folder)
        files = [
            *(folder / "report/figures").iterdir(),
            *(folder / "report").glob("report.*"),
            folder / "metrics/summary.json",
        ]
        return {path.name: path.read_bytes() for path in files}

    assert read_all() == read_all()


@pytest.mark.long
def test_times_change_the_costs_and_not_the_report(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    before = read_page(folder, params)
    write_times(folder, "wide", 12.34)
    assert read_page(folder, params) == before
    assert "| 12.34 |" in (folder / "report/cost.md").read_text()


def test_the_costs_are_those_of_the_run(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    write_times(folder, "wide", 2.0)
    page = read_page(folder, params, "cost.md")
    assert find_row(page, "wide")[3:] == ["store", "1.50", "2.00", "6.00", "7.50", "1.5", "1,024"]
    assert "500.5 images per second" in page


def list_latencies(page: str) -> list[list[str]]:
    """Return the cells of the rows of cost.md on inference."""
    lines = [line for line in find_section(page, "Inference").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_network_has_one_row_of_inference_times_whichever_of_its_layers_were_trained(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    share_latency(folder)
    assert list_latencies(read_page(folder, params, "cost.md")) == [
        ["baseline_cnn", "–", "1", "7.25", "8.50", "3.12", "4.75"],
        ["wide¹", "WideNet", "3", "7.25", "8.50", "3.12", "4.75"],
    ]


def test_runs_that_were_each_timed_have_a_row_of_inference_times_each(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    rows = list_latencies(read_page(folder, params, "cost.md"))
    assert [row[0] for row in rows] == ["baseline_cnn", "wide¹", "wide-layers-3¹", "wide-blocks-2¹"]


def test_a_network_whose_timed_run_has_no_file_has_dashes(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    share_latency(folder, "gone")
    assert list_latencies(read_page(folder, params, "cost.md"))[-1] == ["gone", "WideNet", "2", "–", "–", "–", "–"]


def test_the_costs_state_over_how_many_batches_the_medians_are(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    counts = " and ".join(f"{count} batches of {size}" for size, count in latency.BATCHES.items())
    assert f"95th percentiles over {counts}, " in read_page(folder, params, "cost.md")


def test_a_run_without_inference_time_is_named_before_anything_is_written(params: Params, folder: pathlib.Path) -> None:
    (folder / "metrics/timing/evaluate/wide.json").unlink()
    with pytest.raises(InputError, match=r"metrics/timing/evaluate/wide\.json: no such file"):
        publication.write_report(params, SIZE, folder)
    assert not (folder / "report").exists()


def test_the_costs_say_on_which_processors_runs_were_trained(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    kind = {"name": "Some_Processor", "family": 6, "model": 85, "instruction_sets": ["avx2"]}
    for name in ("wide", "wide-layers-3"):
        path = folder / paths.find_training_time(name)
        times = read_json(path)
        times[name]["processor"] = kind
        path.write_text(json.dumps(times))
    page = read_page(folder, params, "cost.md")
    assert f"- {escape('Some_Processor')}, family 6, model 85, avx2: wide, wide-layers-3\n" in page
    assert "- not recorded: baseline_cnn, wide-blocks-2\n" in page


def test_the_costs_name_the_machine(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    page = read_page(folder, params, "cost.md")
    for fact in ("Processor: ", "cores", "GiB", "Python 3.", "TensorFlow 2."):
        assert fact in page


@pytest.mark.parametrize("name", ["report.md", "cost.md"])
def test_weights_that_are_not_the_published_ones_are_footnoted_and_the_baseline_is_not(
    params: Params, folder: pathlib.Path, undrawn: None, name: str
) -> None:
    page = read_page(folder, params, name)
    assert "¹ rests on weights that are not the file that Keras publishes: a stand-in from the mirror" in page
    for run in ("wide", "wide-blocks-2", "wide-layers-3"):
        assert find_row(page, run)[0].endswith("¹")
    assert find_row(page, "baseline_cnn")[0] == "baseline_cnn"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"weights": "imagenet", "official": None}, "publishes no hash"),
        ({"weights": "sample", "official": False}, "trained on drawn flowers"),
        ({"weights": "random", "official": False}, "random numbers"),
        ({"weights": "/home/somebody/my.h5", "official": False, "file": "my.h5"}, "a file named in params.yaml"),
    ],
)
def test_weights_of_each_origin_have_words_of_their_own(
    params: Params, folder: pathlib.Path, undrawn: None, document: dict[str, Any], words: str
) -> None:
    write_weights(folder, **document)
    page = read_page(folder, params)
    assert [words in line for line in page.splitlines() if line.startswith("¹ ")] == [True]
    assert "/home" not in page


def test_official_weights_have_no_footnote(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    write_weights(folder, **{**STANDIN, "official": True})
    assert "¹" not in read_page(folder, params)


def test_weights_of_two_origins_have_two_marks(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    params.frozen["slim"] = phase(backbone="slim")
    write_weights(folder, "slim", weights="random", official=False)
    write_run(folder, "slim", (10, 100, 50))
    write_times(folder, "slim", 1.0)
    page = read_page(folder, params)
    assert (find_row(page, "wide")[0], find_row(page, "slim")[0]) == ("wide¹", "slim²")


def test_marked_figures_carry_the_footnote(
    params: Params, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    monkeypatch.setattr("thaw.reporting.publication.save", lambda figure, path: drawn.update({path.name: figure}))
    monkeypatch.setattr("thaw.reporting.publication.render_page", lambda *_: "")
    monkeypatch.setattr("thaw.base.files.sync_to_disk", lambda path: None)
    publication.write_report(params, SIZE, folder)
    noted = {name: "stand-in" in " ".join(figure.get_supxlabel().split()) for name, figure in drawn.items()}
    assert {name for name in noted if not noted[name]} == {"curves-baseline_cnn.svg", "confusion-baseline_cnn.svg"}


def test_a_difference_that_may_be_chance_is_reported_as_none(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    # 90 and 85 of 100, the same 85 among the 90: 2 / 32 = 0.0625 by itself, twice that as the fourth of five tests.
    page = read_page(folder, params)
    assert "The frozen run wide¹ reaches 85.00 % (76.7 – 90.7 %); photo by photo the two cannot be told apart" in page
    assert "(5 against 0, p = 0.12)" in page


def test_a_difference_that_is_more_than_chance_is_said_to_be_one(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    write_run(folder, "wide", (1_234, 100, 50))
    assert "photo by photo the best is better (40 against 0, p < 0.001)" in read_page(folder, params)


def read_answer(folder: pathlib.Path, params: Params) -> Any:
    """Return what the report says before its first section."""
    return read_page(folder, params).partition("\n## ")[0]


def test_the_report_opens_with_the_run_to_pick_and_its_interval(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    answer = read_answer(folder, params)
    assert "The run to pick (on stand-in weights) is **wide-blocks-2**¹: last 2 blocks of WideNet open." in answer
    assert "it reaches **90.00** % (95 % interval 82.6 – 94.5 %)" in answer


def test_the_answer_names_the_runs_that_are_as_good_those_that_are_worse_and_the_others(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    """Of 100 photos, the best run has 90 right, wide-layers-3 two more, wide five fewer, the baseline thirty fewer."""
    answer = read_answer(folder, params)
    assert "as good" not in answer and "Shown to be worse: baseline_cnn." in answer
    assert "Neither is shown of wide¹, wide-layers-3¹: 100 photos are too few to tell." in answer
    params.report.margin = 4.0
    assert "Shown to be as good, to lose less than 4 points: wide-layers-3¹." in read_answer(folder, params)


def test_what_is_as_good_depends_on_the_margin(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    """wide may lose 11 points of the best run's 90: five of 100, by an interval of about six to each side."""
    params.report.margin = 20.0
    answer = read_answer(folder, params)
    assert "to lose less than 20 points: wide¹, wide-layers-3¹." in answer
    assert "Of the runs that are as good, wide¹ (head only, on a frozen WideNet) trains least: 1,234" in answer


def test_the_answer_names_a_run_that_is_better_on_test_and_that_this_decides_nothing(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    write_run(folder, "wide-layers-3", (98_765, 170, 100))
    answer = read_answer(folder, params)
    assert "The run to pick (on stand-in weights) is **wide-blocks-2**" in answer
    assert "wide-layers-3¹ is better than it on test, which decides nothing." in answer


def test_what_opening_brings_is_told_of_the_frozen_run_that_the_best_starts_from_alone(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    assert "**What opening it brings.** The frozen run wide¹" in read_answer(folder, params)
    write_run(folder, "wide", (1_234, 190, 95))
    assert "**The runner-up.** The fine-tuned run wide-blocks-2¹" in read_answer(folder, params)


def test_where_no_cheaper_run_is_as_good_the_answer_says_what_each_may_lose(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    answer = read_answer(folder, params)
    assert "No run that trains less is shown to lose less than 2 points: 100 photos are too few." in answer
    found = re.search(r"it may lose \(95 %\): wide¹ (\S+) points", answer)
    assert found and 5 < float(found[1]) < 15


def test_a_best_run_that_trains_least_itself_has_no_cheaper_one(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    write_run(folder, "wide", (1_234, 190, 95))
    assert "trains least" not in read_answer(folder, params)


def test_many_such_runs_are_counted_and_not_named(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    for number in range(5):
        params.finetune[f"wide-{number}"] = phase(start="wide", unfreeze=opening(layers=number + 10))
        write_run(folder, f"wide-{number}", (77_777, 175, 90))
        write_times(folder, f"wide-{number}", 1.0)
    assert "Neither is shown of 7 runs: 100 photos are too few to tell." in read_answer(folder, params)


def test_each_pair_is_tested_once(params: Params, folder: pathlib.Path) -> None:
    questions = pairs.list_questions(results.read_results(params, folder))
    found = [set(pair) for asked in questions.values() for pair in asked]
    assert len(found) == 5 and all(found.count(pair) == 1 for pair in found)
    assert {"wide", "wide-layers-3"} in found and {"wide", "baseline_cnn"} in found


def test_a_pair_that_two_questions_ask_for_in_either_order_is_tested_once(params: Params, folder: pathlib.Path) -> None:
    """The best is frozen: it is held against the runs that start from it, and they against it."""
    write_run(folder, "wide", (1_234, 190, 95))
    found = pairs.list_questions(results.read_results(params, folder))
    best = [("wide", "baseline_cnn"), ("wide", "wide-layers-3"), ("wide", "wide-blocks-2")]
    assert found == {"best": best, "start": [], "baseline": []}


def test_the_table_of_pairs_holds_what_each_run_alone_has_right(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    publication.write_report(params, SIZE, folder)
    row = pd.read_csv(folder / "plots/pairs.csv").set_index(["first", "second"]).loc[("wide-layers-3", "wide")]
    assert (row.question, row["photos"], row.first_only, row.second_only) == ("start", 100, 7, 0)
    assert (row.p, row.p_holm) == pytest.approx((2 / 128, 2 / 128), rel=1e-3)  # the question's only pair
    assert row.difference == 0.07 and row.low < 0.07 < row.high


def test_the_pairs_of_a_question_have_a_table_with_differences_and_verdicts(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    section = find_section(read_page(folder, params), "Which differences are real")
    row = find_row(section, "wide-layers-3¹ \\| wide")
    assert (row[2], row[4:]) == ("+7.0", ["7 : 0", "0.016", "better"])
    best, _, started = section.partition("Is a fine-tuned run better")
    assert find_row(best, "wide")[1::2] == ["+5.0", "5 : 0", "not shown to be worse"]
    assert find_row(best, "wide-layers-3")[-1] == "not shown to be worse" and "| wide-layers-3¹ | wide¹ |" in started


def test_the_order_of_a_pair_changes_nothing_but_the_words(params: Params, folder: pathlib.Path) -> None:
    evidence = pairs.read_evidence(results.read_results(params, folder), folder)
    there = pairs.find_pair(evidence, "wide-layers-3", "wide")
    back = pairs.find_pair(evidence, "wide", "wide-layers-3")
    assert there.winner == back.winner == "wide-layers-3"
    assert (there.paired.first_only, there.paired.second_only) == (7, 0)
    assert (back.paired.first_only, back.paired.second_only) == (0, 7)


def test_runs_scored_on_other_photos_are_an_error(params: Params, folder: pathlib.Path) -> None:
    table = pd.read_csv(folder / "plots/predictions/wide.csv", keep_default_na=False)
    table[::-1].to_csv(folder / "plots/predictions/wide.csv", index=False)
    with pytest.raises(InputError, match=r"predictions/wide\.csv: must have the photos that baseline_cnn was"):
        publication.write_report(params, SIZE, folder)


def test_a_run_alone_is_compared_with_nothing(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    for name in set(OUTCOMES) - {"wide"}:
        (folder / f"metrics/evaluate/{name}.json").unlink()
    page = read_page(folder, params)
    assert "There is one run: nothing to compare it with." in page
    assert (
        folder / "plots/pairs.csv"
    ).read_text() == "question,first,second,part,photos,first_only,second_only,difference,low,high,p,p_holm\n"


def find_section(page: Any, title: Any) -> Any:
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_section_on_training_judges_each_run(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    write_run(folder, "wide", (1_234, 100, 85))
    history = pd.read_csv(folder / "plots/history/wide.csv")
    history = pd.concat([history] * 4, ignore_index=True)
    history["validation_loss"] = [0.4, *(0.4 + 0.01 * i for i in range(11))]
    history["validation_accuracy"] = [0.5] * 6 + [0.3, 0.5] * 3
    history.to_csv(folder / "plots/history/wide.csv", index=False)
    section = find_section(read_page(folder, params), "How the runs trained")
    # 600 of 700 on train, 100 of 200 on validation; confidence 0.9 throughout, 50 and 85 % right.
    row = find_row(section, "wide")
    assert row[1] == "35.7" and row[3:5] == ["25.0", "20.0"] and 5 < float(row[5]) < 10
    assert row[6:8] == ["yes, one seed", "yes, one seed"]
    # Brier's score of 0.9 for the class that is right, and for the one that is wrong: 0.02 and 1.62.
    assert [row[8], row[9], row[11], row[12]] == ["0.820", "40.0", "0.260", "5.0"]
    assert find_row(section, "wide-layers-3")[6:8] == ["no, one seed", "no, one seed"]


def test_probabilities_that_are_no_numbers_have_no_calibration(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    table = pd.read_csv(folder / "plots/predictions/wide.csv", keep_default_na=False)
    table.assign(p_NA="", p_rose="").to_csv(folder / "plots/predictions/wide.csv", index=False)
    assert find_row(find_section(read_page(folder, params), "How the runs trained"), "wide")[-6:] == ["–"] * 6


@pytest.mark.parametrize("digest, there", [("cd" * 32, False), (published.DIGEST, True)])
def test_the_published_tables_are_held_against_their_own_photos_only(
    params: Params, folder: pathlib.Path, undrawn: None, digest: Any, there: bool
) -> None:
    path = folder / "metrics/download.json"
    path.write_text(path.read_text().replace("cd" * 32, digest))
    page = read_page(folder, params)
    assert ("## Claims" in page) == ("## Published beside measured" in page) == there


def test_a_best_run_that_starts_from_no_other_is_compared_with_the_runner_up(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    write_run(folder, "wide", (1_234, 190, 95))
    assert "The fine-tuned run wide-blocks-2¹ reaches" in read_page(folder, params)


def test_the_data_section_counts_photos_by_class_and_part(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    page = read_page(folder, params)
    assert "| NA | 500 | 350 | 100 | 50 |" in page
    assert "| **all** | **1,005** | **700** | **200** | **100** |" in page
    assert "1 photo came under two classes or more: 2 files left out." in page
    assert "64 × 64 pixels: 12 MB of records" in page


def test_the_section_on_backbones_has_their_size_and_the_cut_of_each_run(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    section = find_section(read_page(folder, params), "Backbones")
    assert find_row(section, "wide") == ["wide", "WideNet", "17", "3", "4,321,000", "17.3", "0.00"]
    row = find_row(section, "wide-blocks-2")
    assert row[1:] == ["last 2 blocks", "`relu`", "inside block 2 of 3 (two)", "40.0", "56,789"]


BLOCKS = [
    {"stage": "stem", "end": "pad", "flops": 100},
    {"stage": "one", "end": "one_out", "flops": 300},
    {"stage": "two", "end": "two_out", "flops": 900},
    {"stage": "top", "end": "last", "flops": 1000},
]


@pytest.mark.parametrize(
    "cut, share, words",
    [
        ("pixels", 0.0, "before the first layer"),
        ("pooling", 1.0, "behind the last layer"),
        ("one_out", 0.3, "behind block 1 of 2 (one)"),
        ("two_out", 0.9, "behind block 2 of 2 (two)"),
        ("some", 0.05, "before the first block"),
        ("some", 0.2, "inside block 1 of 2 (one)"),
        ("some_pad", 0.2999, "inside block 2 of 2 (two)"),  # nothing between them has FLOPs
        ("some", 0.95, "behind the last block"),
    ],
)
def test_a_cut_is_found_by_its_name_or_by_the_flops_before_it(cut: str, share: float, words: str) -> None:
    assert locate_cut(BLOCKS, cut, share) == words


def test_weights_that_tell_no_blocks_are_an_error(params: Params, folder: pathlib.Path) -> None:
    write_weights(folder, **STANDIN)
    document = json.loads((folder / "metrics/weights/wide.json").read_text())
    del document["weights"]["wide"]["blocks"]
    write(folder / "metrics/weights/wide.json", document)
    with pytest.raises(InputError, match=r"metrics/weights/wide\.json: must have the key weights\.wide\.blocks"):
        publication.write_report(params, SIZE, folder)


def test_the_last_table_has_every_number_of_a_run(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    section = find_section(read_page(folder, params), "Every number")
    assert find_row(section, "wide-layers-3") == [
        "wide-layers-3¹", "3", "WideNet", "last 3 layers", "2 + 3", "adam 0.001", "98,765", "9,999,999", "1.50", "1.00",
        "1.80", "85.71", "0.5000", "0.8000", "0.7000", "0.7500", "90.00", "0.5000", "0.8000", "0.7000", "0.7500",
        "92.00", "0.5000", "0.8000", "0.7000", "0.7500", "-4.3",
    ]  # fmt: skip


def test_the_published_tables_have_no_column_that_the_pages_lack(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    page = read_page(folder, params)
    header = find_section(page, "Every number").strip().splitlines()[0]
    for column in published.read_published().columns:
        part, _, score = column.partition("_")
        if score in ("accuracy", "loss"):
            assert f"| {part.capitalize()} {'%' if score == 'accuracy' else score} |" in header
    assert "| Trainable parameters |" in header
    assert "| ms/image, batch 1 |" in (folder / "report/cost.md").read_text()


def test_published_accuracies_are_drawn_beside_those_of_runs_that_open_the_same(
    params: Params, folder: pathlib.Path
) -> None:
    write_weights(folder, **{**STANDIN, "architecture": "MobileNet"})
    params.finetune["wide-layers-3"].unfreeze = opening(layers=5)
    found = results.read_results(params, folder)
    found.download["digest"] = published.DIGEST
    table = figures.tabulate_published(found).set_index("published_as")
    row = table.loc["MobileNet, last 5 layers"]
    assert (row["run"], row.published, row.measured) == ("wide-layers-3", 0.8856, 0.92)
    # Wilson's interval of 325 of 367, by hand: centre (0.88556 + 0.00523) / 1.01047 = 0.8816, half 0.0327.
    assert (round(row.published_low, 3), round(row.published_high, 3)) == (0.849, 0.914)


def write_without_test(folder: pathlib.Path) -> None:
    split = json.loads((folder / "metrics/split.json").read_text())
    split["split"]["test"] = {"photos": 0, "classes": {"NA": 0, "rose": 0}}
    write(folder / "metrics/split.json", split)
    for name, outcome in OUTCOMES.items():
        write_run(folder, name, outcome, test=False)


def test_without_a_test_part_the_report_speaks_of_validation(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    write_without_test(folder)
    page = read_page(folder, params)
    # 180 of 200: Wilson's interval is 85.1 to 93.4.
    assert find_row(page, "wide-layers-3")[5:] == ["85.71", "90.00", "85.1 – 93.4", "0.7500", "1.50"]
    assert "The split has no test part" in page
    assert "Test" not in page
    assert "test" not in read_json(folder / "metrics/summary.json")["summary"]


def test_without_a_test_part_the_terminal_table_has_no_test_column(params: Params, folder: pathlib.Path) -> None:
    write_without_test(folder)
    table = tables.render_table(params, folder)
    assert " test " not in table.splitlines()[0] and " validation " in table.splitlines()[0]
    assert "no test part" in table


def test_a_run_scored_on_test_beside_one_that_is_not_is_an_error(params: Params, folder: pathlib.Path) -> None:
    write_run(folder, "wide", OUTCOMES["wide"], test=False)
    with pytest.raises(InputError, match=r"metrics/evaluate/wide\.json: must have scores on test"):
        publication.write_report(params, SIZE, folder)


@pytest.mark.parametrize(
    "file",
    [
        "metrics/download.json", "metrics/split.json", "metrics/preprocess.json", "metrics/weights/wide.json",
        "plots/history/wide.csv", "plots/predictions/wide.csv", "metrics/train/wide.json",
        "plots/classes/wide-blocks-2.csv",
    ],
)  # fmt: skip
def test_a_stage_that_has_not_run_is_named_before_anything_is_written(
    params: Params, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    (folder / file).unlink()
    monkeypatch.chdir(folder)
    with pytest.raises(InputError) as caught:
        publication.write_report(params, SIZE)
    assert str(caught.value) == f"{file}: no such file; ./run dvc repro makes it"
    assert not (folder / "report").exists()


def test_a_broken_metrics_file_is_named_with_its_line(params: Params, folder: pathlib.Path) -> None:
    (folder / "metrics/split.json").write_text('{\n<<<<<<< HEAD\n"split": 1}')
    with pytest.raises(InputError, match=r"metrics/split\.json: must be JSON \(line 2: "):
        publication.write_report(params, SIZE, folder)


def test_a_metrics_file_of_another_run_is_an_error(params: Params, folder: pathlib.Path) -> None:
    shutil.copy(folder / "metrics/evaluate/wide.json", folder / "metrics/evaluate/wide-blocks-2.json")
    with pytest.raises(InputError, match=r"wide-blocks-2\.json: must have the key wide-blocks-2"):
        publication.write_report(params, SIZE, folder)


def test_curves_of_a_fine_tuned_run_go_on_where_the_frozen_run_ended(params: Params, folder: pathlib.Path) -> None:
    write_run(folder, "wide", OUTCOMES["wide"], epochs=2)
    evidence = pairs.read_evidence(results.read_results(params, folder), folder)
    run = next(run for run in evidence.results.runs if run.name == "wide-blocks-2")
    history, unfrozen_after = figures.join_histories(evidence, run)
    assert list(history["epoch"]) == [1, 2, 3, 4, 5]
    assert unfrozen_after == 2


def test_curves_of_a_frozen_run_have_no_epoch_at_which_a_backbone_is_unfrozen(
    params: Params, folder: pathlib.Path
) -> None:
    evidence = pairs.read_evidence(results.read_results(params, folder), folder)
    run = next(run for run in evidence.results.runs if run.name == "wide")
    assert figures.join_histories(evidence, run)[1] is None


def test_a_loss_that_is_not_a_number_is_drawn_around(params: Params, folder: pathlib.Path) -> None:
    path = folder / "plots/history/wide.csv"
    history = pd.read_csv(path)
    history["train_loss"], history.loc[1:, "validation_loss"] = float("nan"), float("inf")
    history.to_csv(path, index=False)
    evidence = pairs.read_evidence(results.read_results(params, folder), folder)
    drawings = figures.list_drawings(evidence, folder)
    drawings = [drawing for drawing in drawings if drawing.name == "curves-wide-blocks-2"]
    publication.write_drawings(drawings, folder / "figures")
    assert (folder / "figures/curves-wide-blocks-2.svg").stat().st_size > 10_000


def describe_figure(params: Params, folder: pathlib.Path, name: str) -> Any:
    evidence = pairs.read_evidence(results.read_results(params, folder), folder)
    return next(drawing.words for drawing in figures.list_drawings(evidence, folder) if drawing.name == name)


def test_published_rows_are_counted_once_however_many_runs_open_the_same(params: Params, folder: pathlib.Path) -> None:
    write_weights(folder, **{**STANDIN, "architecture": "MobileNet"})
    path = folder / "metrics/download.json"
    path.write_text(path.read_text().replace("cd" * 32, published.DIGEST))
    one = describe_figure(params, folder, "published")
    params.frozen["again"] = params.frozen["wide"]
    write_run(folder, "again", OUTCOMES["wide"])
    assert describe_figure(params, folder, "published") == one and re.match("[1-9]", one)


def show_latency(params: Params, folder: pathlib.Path) -> figures.Drawing | None:
    found = results.read_results(params, folder)
    return figures.draw_latency(pairs.read_evidence(found, folder), timing.read_latencies(found, folder))


def read_milliseconds(drawing: figures.Drawing | None) -> dict[str, float]:
    assert drawing
    return drawing.table.set_index("run")["milliseconds"].to_dict()


def test_a_run_is_drawn_at_the_time_of_the_run_that_was_timed_for_its_network(
    params: Params, folder: pathlib.Path
) -> None:
    share_latency(folder)
    write_latency(folder, "wide", 5.5)
    others = dict.fromkeys(("wide", "wide-layers-3", "wide-blocks-2"), 5.5)
    assert read_milliseconds(show_latency(params, folder)) == {"baseline_cnn": 7.25, **others}


def test_runs_that_were_each_timed_are_each_drawn_at_their_own_time(params: Params, folder: pathlib.Path) -> None:
    write_latency(folder, "wide-blocks-2", 5.5)
    found = read_milliseconds(show_latency(params, folder))
    assert (found["wide"], found["wide-blocks-2"]) == (7.25, 5.5)


def test_a_run_whose_timed_run_has_no_file_is_left_out_of_the_figure_which_notes_that(
    params: Params, folder: pathlib.Path
) -> None:
    share_latency(folder, "gone")
    drawing = show_latency(params, folder)
    assert drawing and set(drawing.table["run"]) == {"baseline_cnn", "wide"}
    note = " ".join(drawing.draw().get_supxlabel().split())
    assert "Not timed, left out: wide-layers-3¹, wide-blocks-2¹." in note


def test_where_no_run_has_a_time_there_is_no_figure_of_them(params: Params, folder: pathlib.Path) -> None:
    share_latency(folder, "gone")
    for name in ("baseline_cnn", "wide"):
        write(folder / f"metrics/timing/evaluate/{name}.json", {name: {"timed": "gone"}})
    assert show_latency(params, folder) is None


def test_a_confusion_matrix_has_a_row_for_each_actual_class(params: Params, folder: pathlib.Path) -> None:
    evidence = pairs.read_evidence(results.read_results(params, folder), folder)
    counts, classes = figures.count_confusion(evidence, "wide", "test")
    assert classes == ["NA", "rose"]
    assert counts.tolist() == [[43, 7], [8, 42]]  # wrong are photos 85 to 99, the even ones of the first class


def test_the_terminal_table_is_aligned_and_names_the_best(params: Params, folder: pathlib.Path) -> None:
    lines = tables.render_table(params, folder).splitlines()
    ends = {len(line) for line in lines[1:6]}  # the last column is aligned right
    assert len(ends) == 1
    assert [line.split()[:2] for line in lines[2:6] if " * " in line] == [["wide-blocks-2¹", "*"]]


def test_the_terminal_table_ends_with_the_seconds_of_an_epoch(params: Params, folder: pathlib.Path) -> None:
    write_times(folder, "wide", 12.34)
    lines = tables.render_table(params, folder).splitlines()
    assert [line.split()[-1] for line in lines[2:6]] == ["9.87", "12.34", "9.87", "9.87"]


def test_the_plotted_accuracies_carry_the_footnote(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    publication.write_report(params, SIZE, folder)
    notes = pd.read_csv(folder / "plots/accuracy.csv", keep_default_na=False).set_index("run").footnote
    assert notes["baseline_cnn"] == "" and "stand-in" in notes["wide"]


def test_a_width_that_is_not_the_published_one_is_shown(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    write_weights(folder, **{**STANDIN, "width": 0.25})
    assert find_row(read_page(folder, params), "wide")[1] == "WideNet × 0.25"


def test_a_class_named_with_a_bar_keeps_the_table_whole() -> None:
    table = to_markdown(["Class", "Photos"], [["a|b", 1]])
    assert table.splitlines()[2] == "| a\\|b | 1 |"


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ({"source": "archive", "url": "https://example.org/flowers.tgz?download=1"}, "flowers.tgz"),
        ({"source": "folder", "path": "/home/somebody/photos"}, "a folder of photos"),
        ({"source": "sample"}, "the drawn sample"),
    ],
)
def test_a_dataset_is_named_without_places_of_this_machine(dataset: dict[str, Any], words: str) -> None:
    assert results.name_dataset(SimpleNamespace(**dataset)) == words


def test_a_run_that_has_not_been_run_says_so_in_every_table(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    (folder / "metrics/evaluate/wide-layers-3.json").unlink()
    page = read_page(folder, params)
    row = find_row(page, "wide-layers-3")
    assert row[1] == "WideNet" and "not run yet" in row
    assert "1 run of the table not run yet: wide-layers-3." in page
    assert re.search("^wide-layers-3 +.*not run yet( +–){4}$", tables.render_table(params, folder), re.MULTILINE)
    assert "curves-wide-layers-3.svg" not in page
    assert read_json(folder / "metrics/summary.json")["summary"]["runs"] == 3


def test_without_its_frozen_run_the_best_is_compared_with_the_runner_up(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    (folder / "metrics/evaluate/wide.json").unlink()
    assert "The fine-tuned run wide-layers-3" in read_page(folder, params)


def test_where_nothing_has_been_run_the_first_missing_file_is_named(params: Params, folder: pathlib.Path) -> None:
    shutil.rmtree(folder / "metrics/evaluate")
    with pytest.raises(InputError, match=r"metrics/evaluate/baseline_cnn\.json: no such file"):
        publication.write_report(params, SIZE, folder)


RACE = {
    "chosen": "blocks-2",
    "epochs": 1,
    "share": 0.0712,
    "share_trained": 0.1534,
    "candidates": {
        "head": {"validation_loss": 0.5, "validation_accuracy": 0.85, "epoch_flops": 2_000_000_000},
        "blocks-2": {"validation_loss": 0.41234, "validation_accuracy": 0.875, "epoch_flops": 34_000_000_000},
        "all": {"validation_loss": None, "validation_accuracy": 0.5, "epoch_flops": 99_000_000_000},
    },
}


def add_race(params: Params, folder: pathlib.Path, race: dict[str, Any]) -> None:
    """Have the run wide-blocks-2 choose its cut by a race, which left that document."""
    params.finetune["wide-blocks-2"] = phase(epochs=3, start="wide", unfreeze=opening(auto={}))
    path = folder / "metrics/train/wide-blocks-2.json"
    document = read_json(path)
    document["wide-blocks-2"]["race"] = race
    write(path, document)


def test_the_report_says_what_a_race_tried_what_it_chose_and_what_it_cost(
    params: Params, folder: pathlib.Path, undrawn: None
) -> None:
    add_race(params, folder, RACE)
    page = read_page(folder, params)
    assert find_row(page, "wide-blocks-2")[2] == "last 2 blocks (by a race)"
    section = page.partition("## What the races tried\n")[2].partition("\n## ")[0]
    assert "tried 3 cuts for 1 epoch each" in section and "7.12 % of training every cut" in section
    assert "15.34 % with the rest" in section
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line][
        2:
    ] == [
        ["nothing (head only)", "85.00", "0.5000", "2"],
        ["**last 2 blocks**", "87.50", "0.4123", "34"],
        ["all", "50.00", "–", "99"],
    ]


def test_a_table_without_a_race_has_no_section_on_races(params: Params, folder: pathlib.Path, undrawn: None) -> None:
    assert "races" not in read_page(folder, params)


@pytest.mark.parametrize("change", [{"chosen": "block-2"}, {"share": 2}, {"candidates": {"head": {}}}])
def test_a_damaged_document_of_a_race_is_a_fault_that_names_its_file(
    change: dict[str, Any], params: Params, folder: pathlib.Path
) -> None:
    add_race(params, folder, RACE | change)
    with pytest.raises(InputError, match=r"metrics/train/wide-blocks-2\.json: wide-blocks-2\.race\."):
        results.read_results(params, folder)


def test_of_many_runs_the_best_are_shown_and_all_are_in_the_tables_and_corrected_for(
    params: Params, folder: pathlib.Path, unsaved: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thaw.comparison.results.MOST_SHOWN", 1)
    # The best is wide-blocks-2, which starts from wide.
    page = read_page(folder, params)
    for heading in ("Comparison", "Which differences are real", "How the runs trained", "Every number"):
        section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        assert "| wide-layers-3" not in section
        assert re.search(r"\| \**wide\**[⁰¹²³⁴-⁹]* \|", section)
    assert "Of 4 runs the tables have 3" in page
    assert {path.stem for path in (folder / "report/figures").glob("curves-*.svg")} == {
        f"curves-{name}" for name in ("baseline_cnn", "wide", "wide-blocks-2")
    }
    assert set(pd.read_csv(folder / "plots/accuracy.csv")["run"]) == set(OUTCOMES)
    assert set(pd.read_csv(folder / "report/figures/overview.csv")["run"]) == set(OUTCOMES)
    pairs_ = pd.read_csv(folder / "plots/pairs.csv")
    assert set(pairs_.loc[pairs_["question"] == "best", "second"]) == {*OUTCOMES} - {"wide-blocks-2"}
