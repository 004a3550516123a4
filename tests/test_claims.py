"""Each claim of the published reports, judged on made-up runs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from thaw.comparison import claims, inference, judging, published
from thaw.comparison.judging import Finding
from thaw.comparison.pairs import Evidence, answer_questions, judge_histories
from thaw.comparison.results import Results, Run, describe_unfreeze

REPORTS = [*published.read_published()["report"].unique()]
CLASSES = ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
PHOTOS = 100  # of each part
LEVEL = [0.8, *[0.9] * 11]  # accuracies, an epoch each
CALM, RISING = ([0.5, *[0.4] * 11], LEVEL), ([0.5, 0.4, *(0.4 + 0.02 * i for i in range(10))], LEVEL)
JUMPING = ([0.5, *[0.4] * 11], [0.9, 0.5] * 6)


def make_run(
    name: str,
    architecture: str = "ResNet50",
    kind: str = "finetuned",
    unfreeze: dict[str, Any] | None = None,
    start: str | None = None,
    right: int = 90,
    validation: int | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """Return what `gather` takes of one run, the first `right` of PHOTOS photos right.

    `rest`: offset (of the photos that are right), train (share right), history (losses, accuracies of validation),
    flops (forward, prefix, training_step), total, confidence, wrong (actual and predicted class of the errors).
    """
    validation = right if validation is None else validation
    return {"name": name, "architecture": architecture, "kind": kind, "unfreeze": unfreeze, "start": start,
            "right": right, "validation": validation, **rest}  # fmt: skip


def gather(*made: dict[str, Any]) -> Evidence:
    """Return the Evidence on runs of `make_run`."""
    runs, weights, scores, predictions, histories, flops = [], {}, {}, {}, {}, {}
    for each in made:
        name, kind, backbone = each["name"], each["kind"], each["architecture"].lower()
        baseline = kind == "baseline"
        words = "all (from scratch)" if baseline else describe_unfreeze(each["unfreeze"])
        runs.append(Run(name, kind, None if baseline else backbone, each["start"], words, (3,), each["unfreeze"]))
        weights[backbone] = {"architecture": each["architecture"], "width": 1, "official": True}
        scores[name] = {
            "train": {"accuracy": each.get("train", each["validation"] / PHOTOS), "photos": 1000},
            "validation": {"accuracy": each["validation"] / PHOTOS, "photos": PHOTOS},
            "test": {"accuracy": each["right"] / PHOTOS, "photos": PHOTOS},
            "trainable_parameters": 1,
            "total_parameters": each.get("total", 1000),
        }
        tables = [tabulate(part, each[key], each) for part, key in (("validation", "validation"), ("test", "right"))]
        predictions[name] = pd.concat(tables)
        losses, accuracies = each.get("history", CALM)
        histories[name] = pd.DataFrame({"validation_loss": losses, "validation_accuracy": accuracies})
        flops[name] = dict(zip(("forward", "prefix", "training_step"), each.get("flops", (10, 6, 10)), strict=True))
    marks = {run.name: "" for run in runs}
    results = Results(
        "tf_flowers", {"digest": published.DIGEST}, {}, {}, runs, runs, weights, marks, [], scores, "test"
    )
    return answer_questions(
        Evidence(results, predictions, histories, flops, {}, judge_histories(results, histories), [], {})
    )


def tabulate(part: str, right: int, made: dict[str, Any]) -> pd.DataFrame:
    hit = (np.arange(PHOTOS) - made.get("offset", 0)) % PHOTOS < right
    table = pd.DataFrame({"part": part, "actual": [CLASSES[i % 5] for i in range(PHOTOS)], "right": hit})
    table["predicted"] = [
        label if ok else CLASSES[CLASSES.index(label) - 1] for label, ok in zip(table.actual, hit, strict=True)
    ]
    if "wrong" in made:
        table.loc[~hit, ["actual", "predicted"]] = made["wrong"]
    confidence = made.get("confidence", 0.9)
    return table.assign(confidence=confidence, brier=(confidence - table["right"]) ** 2)


def find(words: str, *made: dict[str, Any]) -> Finding:
    """Return the Finding on the one claim that begins with `words`."""
    (claim,) = [claim for claim in claims.CLAIMS if claim.words.startswith(words)]
    return claim.judge(claims.ask_claims(gather(*made)))


BASELINE = make_run("scratch", "BaselineCNN", "baseline", right=60)


def frozen(architecture: str = "ResNet50", **values: Any) -> dict[str, Any]:
    return make_run("frozen-" + architecture, architecture, "frozen", **values)


def test_without_the_runs_that_it_needs_a_claim_is_not_run() -> None:
    """All but those that the published tables answer by themselves."""
    verdicts = {claim.words: finding.verdict for claim, finding in claims.judge_claims(gather(BASELINE), REPORTS)}
    others = {words: verdict for words, verdict in verdicts.items() if verdict != judging.NOT_RUN}
    assert others == {
        "The baseline overfits": judging.CONTRADICTED,
        "The final block alone brings MobileNet to 35.97 %": judging.IMPOSSIBLE,
        "The last 20 layers of ResNet50 have as many parameters as conv4 and conv5": judging.IMPOSSIBLE,
    }


def test_every_report_has_claims_and_every_verdict_is_one_of_five() -> None:
    evidence = gather(BASELINE, frozen(), make_run("deep", unfreeze={"blocks": 10}, flops=(10, 2, 20)))
    found = claims.judge_claims(evidence, REPORTS)
    assert {claim.report for claim, _ in found} == {*published.read_published()["report"], "all"}
    assert {finding.verdict for _, finding in found} <= set(judging.VERDICTS)
    section = claims.describe_claims(evidence)
    assert section.count("\n| ") == len(found) + 2


@pytest.mark.parametrize("digest, rows", [(published.DIGEST, len(claims.CLAIMS)), ("ab" * 32, 0)])
def test_the_table_of_claims_has_a_row_for_each_where_the_photos_are_those_of_the_reports(
    digest: Any, rows: Any
) -> None:
    evidence = gather(BASELINE)
    download = {"digest": digest, "classes": {}, "photos": 9, "rejected": []}
    table = claims.tabulate_claims(evidence._replace(results=evidence.results._replace(download=download)))
    assert list(table) == ["claim", "report", "runs", "test", "verdict"] and len(table) == rows


@pytest.mark.parametrize(
    "frozen_right, tuned_right, verdict",
    [(70, 90, judging.SUPPORTED), (90, 70, judging.CONTRADICTED), (89, 90, judging.UNDECIDED)],
)
def test_a_claim_that_one_run_beats_another_goes_by_the_photos(
    frozen_right: int, tuned_right: int, verdict: Any
) -> None:
    tuned = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=tuned_right)
    assert find("Fine-tuned MobileNetV2", frozen("MobileNetV2", right=frozen_right), tuned).verdict == verdict


def test_of_several_runs_the_best_on_validation_stands_for_them() -> None:
    tuned = [
        make_run("better-on-test", "MobileNetV2", unfreeze={"layers": 6}, right=95, validation=80),
        make_run("better-on-validation", "MobileNetV2", unfreeze={"layers": 9}, right=80, validation=90),
    ]
    found = find("Fine-tuned MobileNetV2", frozen("MobileNetV2", right=60), *tuned)
    assert found.runs == ["better-on-validation", "frozen-MobileNetV2"]


@pytest.mark.parametrize(
    "others, verdict",
    [((60, 70), judging.SUPPORTED), ((60, 89), judging.UNDECIDED), ((60, 100), judging.CONTRADICTED)],
)
def test_the_best_is_better_than_every_other(others: tuple[int, int], verdict: Any) -> None:
    runs = [make_run(f"layers-{n}", unfreeze={"layers": n}, right=right) for n, right in enumerate(others, 5)]
    found = find("ResNet50 is best with 10 blocks", make_run("deep", unfreeze={"blocks": 10}), *runs)
    assert (found.verdict, len(found.runs)) == (verdict, 3)


@pytest.mark.parametrize(
    "right, verdict", [(50, judging.CONTRADICTED), (72, judging.UNDECIDED), (90, judging.CONTRADICTED)]
)
def test_an_accuracy_claimed_exactly_is_contradicted_where_the_interval_lacks_it_and_never_supported(
    right: int, verdict: Any
) -> None:
    run = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=right)
    assert find("MobileNetV2 reaches about 70 %", run).verdict == verdict


@pytest.mark.parametrize(
    "right, verdict", [(70, judging.CONTRADICTED), (91, judging.UNDECIDED), (99, judging.SUPPORTED)]
)
def test_an_accuracy_is_reached_where_the_whole_interval_reaches_it(right: int, verdict: Any) -> None:
    run = make_run("layers", unfreeze={"layers": 5}, right=right)
    assert find("Layer-wise ResNet50 reaches 90 %", run).verdict == verdict


@pytest.mark.parametrize("history, verdict", [(CALM, judging.SUPPORTED), (JUMPING, judging.CONTRADICTED)])
def test_stability_goes_by_the_swing(history: Any, verdict: Any) -> None:
    run = make_run("layers", unfreeze={"layers": 5}, history=history)
    assert find("Layer-wise ResNet50 is stable", run).verdict == verdict


def test_most_of_the_runs_decide() -> None:
    runs = [make_run(f"b{n}", unfreeze={"blocks": n}, history=JUMPING if n < 3 else CALM) for n in (1, 2, 3)]
    assert find("Block-wise ResNet50 is unstable", *runs).verdict == judging.SUPPORTED
    found = find("Block-wise ResNet50 is unstable", *runs, make_run("b4", unfreeze={"blocks": 4}))
    assert (found.verdict, found.test) == (judging.UNDECIDED, "unstable: 2 of 4 (one seed)")
    found = find("Block-wise ResNet50 is unstable", *runs[1:], make_run("b4", unfreeze={"blocks": 4}))
    assert found.verdict == judging.CONTRADICTED


def test_runs_opened_by_layers_and_by_blocks_together_count_for_neither() -> None:
    run = make_run("both", unfreeze={"blocks": 2, "layers": 5})
    assert find("Block-wise ResNet50 is unstable", run).verdict == judging.NOT_RUN
    assert find("Layer-wise ResNet50 is stable", run).verdict == judging.NOT_RUN


@pytest.mark.parametrize(
    "wrong, verdict",
    [(("daisy", "dandelion"), judging.SUPPORTED), (("daisy", "roses"), judging.CONTRADICTED)],
)
def test_errors_between_two_classes_are_counted(wrong: tuple[str, str], verdict: Any) -> None:
    run = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=80, wrong=wrong)
    found = find("Most errors of MobileNetV2", run)
    assert found.verdict == verdict
    assert found.test.startswith(("20" if verdict == judging.SUPPORTED else "0") + " of 20 errors")


OVERFIT = {"train": 1.0, "validation": 80, "history": RISING}


@pytest.mark.parametrize(
    "deep, shallow, verdict",
    [(OVERFIT, {}, judging.SUPPORTED), ({}, {}, judging.CONTRADICTED), (OVERFIT, OVERFIT, judging.CONTRADICTED)],
)
def test_opening_more_overfits_where_opening_less_does_not(deep: Any, shallow: Any, verdict: Any) -> None:
    runs = [make_run("b8", unfreeze={"blocks": 8}, **deep), make_run("b5", unfreeze={"blocks": 5}, **shallow)]
    assert find("Opening more than 5 blocks", *runs).verdict == verdict
    runs = [make_run("l99", unfreeze={"from_layer": 99}, **deep)]
    runs.append(make_run("l100", unfreeze={"from_layer": 100}, **shallow))
    assert find("Opening from before layer 100", *runs).verdict == verdict


@pytest.mark.parametrize("deep, shallow, verdict", [(OVERFIT, {}, judging.SUPPORTED), ({}, {}, judging.CONTRADICTED)])
def test_too_much_is_more_than_half_of_the_arithmetic(deep: Any, shallow: dict[str, Any], verdict: Any) -> None:
    runs = [make_run("more", flops=(10, 4, 20), **deep), make_run("less", flops=(10, 6, 10), **shallow)]
    assert find("Unfreezing too much", *runs).verdict == verdict


@pytest.mark.parametrize(
    "deep, verdict", [(60, judging.SUPPORTED), (100, judging.CONTRADICTED), (91, judging.UNDECIDED)]
)
def test_lower_layers_are_judged_by_the_runs_that_open_them(deep: int, verdict: Any) -> None:
    runs = [make_run("more", flops=(10, 4, 20), right=deep), make_run("less", flops=(10, 6, 10), right=90)]
    found = find("Lower layers should stay frozen", *runs)
    assert (found.runs, found.verdict) == (["less", "more"], verdict)


def test_an_inference_time_that_changes_cannot_be() -> None:
    tuned = make_run("deep", unfreeze={"blocks": 10}, start="frozen-ResNet50", flops=(10, 2, 20))
    found = find("Unfreezing changes", frozen(flops=(10, 10, 1)), tuned)
    assert (found.verdict, found.runs) == (judging.IMPOSSIBLE, ["frozen-ResNet50", "deep"])


def test_a_network_that_does_change_would_be_seen() -> None:
    tuned = make_run("deep", unfreeze={"blocks": 10}, start="frozen-ResNet50", flops=(11, 2, 20))
    assert find("Unfreezing changes", frozen(flops=(10, 10, 1)), tuned).verdict == judging.SUPPORTED


@pytest.mark.parametrize(
    "v3, verdict",
    [((90, 95), judging.SUPPORTED), ((90, 75), judging.UNDECIDED), ((90, 50), judging.CONTRADICTED)],
)
def test_every_comparable_setting_counts(v3: tuple[int, int], verdict: Any) -> None:
    runs = []
    for ask, right in zip([{"blocks": 3}, {"from_layer": 100}], v3, strict=True):
        runs.append(make_run(f"resnet-{len(runs)}", unfreeze=ask, right=70))
        runs.append(make_run(f"v3-{len(runs)}", "MobileNetV3Large", unfreeze=ask, right=right))
    runs.append(make_run("lone", "MobileNetV3Large", unfreeze={"blocks": 9}, right=20))
    found = find("MobileNetV3 beats ResNet50 in every", *runs)
    assert found.verdict == verdict and "lone" not in found.runs and len(found.runs) == 4


@pytest.mark.parametrize("train, verdict", [(1.0, judging.UNDECIDED), (0.8, judging.CONTRADICTED)])
def test_a_mean_gap_is_compared_with_its_interval(train: float, verdict: Any) -> None:
    """Validation 90 of 100: the interval of the gap is about 6 points to each side."""
    found = find("The mean train − validation gap of ResNet50", make_run("r", unfreeze={"blocks": 3}, train=train))
    assert found.verdict == verdict and "6.56 with the frozen run" in found.test and "8.05 without" in found.test


@pytest.mark.parametrize("step, verdict", [(30, judging.SUPPORTED), (10, judging.CONTRADICTED)])
def test_time_to_train_is_judged_by_the_arithmetic(step: int, verdict: Any) -> None:
    runs = [make_run("r", unfreeze={"blocks": 3}, flops=(9, 1, step))]
    runs.append(make_run("v", "MobileNetV3Large", unfreeze={"blocks": 3}, flops=(3, 1, 4)))
    assert find("ResNet50 takes 3 to 4 times", *runs).verdict == verdict


def test_the_classes_that_gain_most_are_those_of_the_largest_gains_in_f1() -> None:
    before = frozen("MobileNetV2", right=60)
    after = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=100)
    evidence = gather(before, after)
    table = evidence.predictions["frozen-MobileNetV2"]
    wrong = (table["part"] == "test") & table["actual"].isin(["roses", "tulips"])
    table["predicted"] = np.where(wrong, "daisy", table["actual"])
    table["right"] = ~wrong
    (claim,) = [claim for claim in claims.CLAIMS if claim.words.startswith("Fine-tuning helps")]
    assert claim.judge(evidence).verdict == judging.SUPPORTED
    table["predicted"] = np.where(table["actual"].isin(["daisy", "tulips"]), "roses", table["actual"])
    assert claim.judge(evidence).verdict == judging.CONTRADICTED


def test_no_class_gains_where_the_runs_cannot_be_told_apart() -> None:
    tuned = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=91)
    assert find("Fine-tuning helps", frozen("MobileNetV2", right=90), tuned).verdict == judging.UNDECIDED


@pytest.mark.parametrize(
    "before, after, verdict",
    [(0.6, 0.9, judging.SUPPORTED), (0.9, 0.6, judging.CONTRADICTED), (0.905, 0.9, judging.UNDECIDED)],
)
def test_sharper_calibration_is_a_smaller_error(before: float, after: float, verdict: Any) -> None:
    """Both are right on 90 of 100 photos."""
    runs = frozen("MobileNetV2", confidence=before), make_run("tuned", "MobileNetV2", confidence=after)
    assert find("Fine-tuning sharpens calibration", *runs).verdict == verdict


def test_a_claim_about_one_block_takes_no_run_of_more() -> None:
    runs = frozen("MobileNet"), make_run("two", "MobileNet", unfreeze={"blocks": 2}, right=50)
    assert find("With its final block open", *runs).verdict == judging.NOT_RUN
    runs = frozen("MobileNet"), make_run("one", "MobileNet", unfreeze={"blocks": 1}, right=50)
    assert find("With its final block open", *runs).verdict == judging.SUPPORTED


def test_a_pair_that_two_claims_ask_about_has_one_verdict() -> None:
    """The pairs of all claims that no other question has are one family, each pair once."""
    runs = [frozen(), *(make_run(f"layers-{n}", unfreeze={"layers": n}, right=90 - n) for n in (5, 10))]
    runs += [make_run(f"blocks-{n}", unfreeze={"blocks": n}, right=80 - n) for n in (2, 10)]
    pairs = claims.ask_claims(gather(BASELINE, *runs)).pairs
    names = [frozenset((pair.first, pair.second)) for pair in pairs]
    assert len(names) == len(set(names))
    asked = [pair for pair in pairs if pair.question == "claims"]
    corrected = inference.holm([pair.paired.p for pair in asked])
    assert asked and [pair.p for pair in asked] == pytest.approx(corrected.tolist())


def test_a_verdict_names_the_weights_that_it_rests_on() -> None:
    evidence = gather(frozen("MobileNetV2", right=60), make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}))
    evidence.results.weights["mobilenetv2"] |= {"official": False, "weights": "imagenet"}
    assert "**supported (on stand-in weights)**" in claims.describe_claims(evidence)


def test_a_verdict_on_training_says_how_many_seeds_it_rests_on() -> None:
    evidence = gather(make_run("layers", unfreeze={"layers": 5}, history=JUMPING))
    calm = gather(make_run("layers", unfreeze={"layers": 5})).verdicts["layers"]
    (claim,) = [claim for claim in claims.CLAIMS if claim.words == "Layer-wise ResNet50 is stable"]
    assert claim.judge(evidence) == Finding(["layers"], "unstable: 1 of 1 (one seed)", judging.CONTRADICTED)
    evidence.verdicts["layers"] += 2 * calm  # two other seeds
    assert claim.judge(evidence) == Finding(["layers"], "unstable: 0 of 1 (3 seeds)", judging.SUPPORTED)
