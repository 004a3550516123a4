"""Each claim of the published reports, judged on made-up runs."""

import numpy as np
import pandas as pd
import pytest

from thaw.reporting import claims
from thaw.reporting.comparison import Evidence, judge_trainings
from thaw.reporting.results import Results, Run, describe_thaw

CLASSES = ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
PHOTOS = 100  # of each part
CALM, RISING = ([0.5, 0.4, 0.4], [0.8, 0.9, 0.9]), ([0.5, 0.4, 0.6], [0.8, 0.9, 0.9])
JUMPING = ([0.5, 0.4, 0.4], [0.9, 0.5, 0.9])


def make_run(
    name, architecture="ResNet50", kind="finetuned", unfreeze=None, start=None, right=90, validation=None, **rest
):
    """Return what `gather` takes of one run, the first `right` of PHOTOS photos right.

    `rest`: offset (of the photos that are right), train (share right), history (losses, accuracies of validation),
    flops (forward, prefix, training_step), total, confidence, wrong (actual and predicted class of the errors).
    """
    validation = right if validation is None else validation
    return {"name": name, "architecture": architecture, "kind": kind, "unfreeze": unfreeze, "start": start,
            "right": right, "validation": validation, **rest}  # fmt: skip


def gather(*made):
    """Return the Evidence on runs of `make_run`."""
    runs, weights, scores, predictions, histories, flops = [], {}, {}, {}, {}, {}
    for each in made:
        name, kind, backbone = each["name"], each["kind"], each["architecture"].lower()
        baseline = kind == "baseline"
        words = "all (from scratch)" if baseline else describe_thaw(each["unfreeze"])
        runs.append(Run(name, kind, None if baseline else backbone, each["start"], words, (3,), each["unfreeze"]))
        weights[backbone] = {"architecture": each["architecture"], "width": 1}
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
    results = Results("tf_flowers", {"digest": ""}, {}, {}, runs, runs, weights, marks, [], scores, "test")
    return Evidence(results, predictions, histories, flops, {}, judge_trainings(results, histories), [], {})


def tabulate(part, right, made):
    hit = (np.arange(PHOTOS) - made.get("offset", 0)) % PHOTOS < right
    table = pd.DataFrame({"part": part, "actual": [CLASSES[i % 5] for i in range(PHOTOS)], "right": hit})
    table["predicted"] = [label if ok else CLASSES[CLASSES.index(label) - 1] for label, ok in zip(table.actual, hit)]
    if "wrong" in made:
        table.loc[~hit, ["actual", "predicted"]] = made["wrong"]
    return table.assign(confidence=made.get("confidence", 0.9))


def find(words, *made):
    """Return the Finding on the one claim that begins with `words`."""
    (claim,) = [claim for claim in claims.CLAIMS if claim.words.startswith(words)]
    return claim.judge(gather(*made))


BASELINE = make_run("scratch", "BaselineCNN", "baseline", right=60)


def frozen(architecture="ResNet50", **values):
    return make_run("frozen-" + architecture, architecture, "frozen", **values)


def test_without_the_runs_that_it_needs_a_claim_is_not_run():
    """All but those that the published tables answer by themselves."""
    verdicts = {claim.words: finding.verdict for claim, finding in claims.judge_claims(gather(BASELINE))}
    others = {words: verdict for words, verdict in verdicts.items() if verdict != claims.NOT_RUN}
    assert others == {
        "The baseline overfits": claims.CONTRADICTED,
        "The final block alone brings MobileNet to 35.97 %": claims.IMPOSSIBLE,
        "The last 20 layers of ResNet50 have as many parameters as conv4 and conv5": claims.IMPOSSIBLE,
    }


def test_every_report_has_claims_and_every_verdict_is_one_of_five():
    evidence = gather(BASELINE, frozen(), make_run("deep", unfreeze={"blocks": 10}, flops=(10, 2, 20)))
    found = claims.judge_claims(evidence)
    assert {claim.report for claim, _ in found} == {*claims.published.read_published()["report"], "all"}
    assert {finding.verdict for _, finding in found} <= set(claims.VERDICTS)
    section = claims.describe_claims(evidence)
    assert section.count("\n| ") == len(found) + 2


@pytest.mark.parametrize("digest, rows", [(claims.published.DIGEST, len(claims.CLAIMS)), ("ab" * 32, 0)])
def test_the_table_of_claims_has_a_row_for_each_where_the_photos_are_those_of_the_reports(digest, rows):
    evidence = gather(BASELINE)
    table = claims.tabulate_claims(evidence._replace(results=evidence.results._replace(download={"digest": digest})))
    assert list(table) == ["claim", "report", "runs", "test", "verdict"] and len(table) == rows


@pytest.mark.parametrize(
    "frozen_right, tuned_right, verdict",
    [(70, 90, claims.SUPPORTED), (90, 70, claims.CONTRADICTED), (89, 90, claims.UNDECIDED)],
)
def test_a_claim_that_one_run_beats_another_goes_by_the_photos(frozen_right, tuned_right, verdict):
    tuned = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=tuned_right)
    assert find("Fine-tuned MobileNetV2", frozen("MobileNetV2", right=frozen_right), tuned).verdict == verdict


def test_of_several_runs_the_best_on_validation_stands_for_them():
    tuned = [
        make_run("better-on-test", "MobileNetV2", unfreeze={"layers": 6}, right=95, validation=80),
        make_run("better-on-validation", "MobileNetV2", unfreeze={"layers": 9}, right=80, validation=90),
    ]
    found = find("Fine-tuned MobileNetV2", frozen("MobileNetV2", right=60), *tuned)
    assert found.runs == ["better-on-validation", "frozen-MobileNetV2"]


@pytest.mark.parametrize(
    "others, verdict",
    [((60, 70), claims.SUPPORTED), ((60, 89), claims.UNDECIDED), ((60, 100), claims.CONTRADICTED)],
)
def test_the_best_is_better_than_every_other(others, verdict):
    runs = [make_run(f"layers-{n}", unfreeze={"layers": n}, right=right) for n, right in enumerate(others, 5)]
    found = find("ResNet50 is best with 10 blocks", make_run("deep", unfreeze={"blocks": 10}), *runs)
    assert (found.verdict, len(found.runs)) == (verdict, 3)


@pytest.mark.parametrize(
    "right, verdict", [(50, claims.CONTRADICTED), (72, claims.UNDECIDED), (90, claims.CONTRADICTED)]
)
def test_an_accuracy_claimed_exactly_is_contradicted_where_the_interval_lacks_it_and_never_supported(right, verdict):
    run = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=right)
    assert find("MobileNetV2 reaches about 70 %", run).verdict == verdict


@pytest.mark.parametrize(
    "right, verdict", [(70, claims.CONTRADICTED), (91, claims.UNDECIDED), (99, claims.SUPPORTED)]
)
def test_an_accuracy_is_reached_where_the_whole_interval_reaches_it(right, verdict):
    run = make_run("layers", unfreeze={"layers": 5}, right=right)
    assert find("Layer-wise ResNet50 reaches 90 %", run).verdict == verdict


@pytest.mark.parametrize("history, verdict", [(CALM, claims.SUPPORTED), (JUMPING, claims.CONTRADICTED)])
def test_stability_goes_by_the_swing(history, verdict):
    run = make_run("layers", unfreeze={"layers": 5}, history=history)
    assert find("Layer-wise ResNet50 is stable", run).verdict == verdict


def test_most_of_the_runs_decide():
    runs = [make_run(f"b{n}", unfreeze={"blocks": n}, history=JUMPING if n < 3 else CALM) for n in (1, 2, 3)]
    assert find("Block-wise ResNet50 is unstable", *runs).verdict == claims.SUPPORTED
    found = find("Block-wise ResNet50 is unstable", *runs, make_run("b4", unfreeze={"blocks": 4}))
    assert (found.verdict, found.test) == (claims.UNDECIDED, "unstable: 2 of 4")
    found = find("Block-wise ResNet50 is unstable", *runs[1:], make_run("b4", unfreeze={"blocks": 4}))
    assert found.verdict == claims.CONTRADICTED


def test_runs_opened_by_layers_and_by_blocks_together_count_for_neither():
    run = make_run("both", unfreeze={"blocks": 2, "layers": 5})
    assert find("Block-wise ResNet50 is unstable", run).verdict == claims.NOT_RUN
    assert find("Layer-wise ResNet50 is stable", run).verdict == claims.NOT_RUN


@pytest.mark.parametrize(
    "wrong, verdict",
    [(("daisy", "dandelion"), claims.SUPPORTED), (("daisy", "roses"), claims.CONTRADICTED)],
)
def test_errors_between_two_classes_are_counted(wrong, verdict):
    run = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=80, wrong=wrong)
    found = find("Most errors of MobileNetV2", run)
    assert found.verdict == verdict
    assert found.test.startswith(("20" if verdict == claims.SUPPORTED else "0") + " of 20 errors")


OVERFIT = {"train": 1.0, "validation": 80, "history": RISING}


@pytest.mark.parametrize(
    "deep, shallow, verdict",
    [(OVERFIT, {}, claims.SUPPORTED), ({}, {}, claims.CONTRADICTED), (OVERFIT, OVERFIT, claims.CONTRADICTED)],
)
def test_opening_more_overfits_where_opening_less_does_not(deep, shallow, verdict):
    runs = [make_run("b8", unfreeze={"blocks": 8}, **deep), make_run("b5", unfreeze={"blocks": 5}, **shallow)]
    assert find("Opening more than 5 blocks", *runs).verdict == verdict
    runs = [make_run("l99", unfreeze={"from_layer": 99}, **deep)]
    runs.append(make_run("l100", unfreeze={"from_layer": 100}, **shallow))
    assert find("Opening from before layer 100", *runs).verdict == verdict


@pytest.mark.parametrize("deep, shallow, verdict", [(OVERFIT, {}, claims.SUPPORTED), ({}, {}, claims.CONTRADICTED)])
def test_too_much_is_more_than_half_of_the_arithmetic(deep, shallow, verdict):
    runs = [make_run("more", flops=(10, 4, 20), **deep), make_run("less", flops=(10, 6, 10), **shallow)]
    assert find("Unfreezing too much", *runs).verdict == verdict


@pytest.mark.parametrize("deep, verdict", [(60, claims.SUPPORTED), (100, claims.CONTRADICTED), (91, claims.UNDECIDED)])
def test_lower_layers_are_judged_by_the_runs_that_open_them(deep, verdict):
    runs = [make_run("more", flops=(10, 4, 20), right=deep), make_run("less", flops=(10, 6, 10), right=90)]
    found = find("Lower layers should stay frozen", *runs)
    assert (found.runs, found.verdict) == (["less", "more"], verdict)


def test_an_inference_time_that_changes_cannot_be():
    tuned = make_run("deep", unfreeze={"blocks": 10}, start="frozen-ResNet50", flops=(10, 2, 20))
    found = find("Unfreezing changes", frozen(flops=(10, 10, 1)), tuned)
    assert (found.verdict, found.runs) == (claims.IMPOSSIBLE, ["frozen-ResNet50", "deep"])


def test_a_network_that_does_change_would_be_seen():
    tuned = make_run("deep", unfreeze={"blocks": 10}, start="frozen-ResNet50", flops=(11, 2, 20))
    assert find("Unfreezing changes", frozen(flops=(10, 10, 1)), tuned).verdict == claims.SUPPORTED


@pytest.mark.parametrize(
    "v3, verdict",
    [((90, 95), claims.SUPPORTED), ((90, 75), claims.UNDECIDED), ((90, 50), claims.CONTRADICTED)],
)
def test_every_comparable_setting_counts(v3, verdict):
    runs = []
    for ask, right in zip([{"blocks": 3}, {"from_layer": 100}], v3, strict=True):
        runs.append(make_run(f"resnet-{len(runs)}", unfreeze=ask, right=70))
        runs.append(make_run(f"v3-{len(runs)}", "MobileNetV3Large", unfreeze=ask, right=right))
    runs.append(make_run("lone", "MobileNetV3Large", unfreeze={"blocks": 9}, right=20))
    found = find("MobileNetV3 beats ResNet50 in every", *runs)
    assert found.verdict == verdict and "lone" not in found.runs and len(found.runs) == 4


@pytest.mark.parametrize("train, verdict", [(1.0, claims.UNDECIDED), (0.8, claims.CONTRADICTED)])
def test_a_mean_gap_is_held_against_its_interval(train, verdict):
    """Validation 90 of 100: the interval of the gap is about 6 points to each side."""
    found = find("The mean train − validation gap of ResNet50", make_run("r", unfreeze={"blocks": 3}, train=train))
    assert found.verdict == verdict and "6.56 with the frozen run" in found.test and "8.05 without" in found.test


@pytest.mark.parametrize("step, verdict", [(30, claims.SUPPORTED), (10, claims.CONTRADICTED)])
def test_time_to_train_is_held_against_the_arithmetic(step, verdict):
    runs = [make_run("r", unfreeze={"blocks": 3}, flops=(9, 1, step))]
    runs.append(make_run("v", "MobileNetV3Large", unfreeze={"blocks": 3}, flops=(3, 1, 4)))
    assert find("ResNet50 takes 3 to 4 times", *runs).verdict == verdict


def test_the_classes_that_gain_most_are_those_of_the_largest_gains_in_f1():
    before = frozen("MobileNetV2", right=60)
    after = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=100)
    evidence = gather(before, after)
    table = evidence.predictions["frozen-MobileNetV2"]
    wrong = (table["part"] == "test") & table["actual"].isin(["roses", "tulips"])
    table["predicted"] = np.where(wrong, "daisy", table["actual"])
    table["right"] = ~wrong
    (claim,) = [claim for claim in claims.CLAIMS if claim.words.startswith("Fine-tuning helps")]
    assert claim.judge(evidence).verdict == claims.SUPPORTED
    table["predicted"] = np.where(table["actual"].isin(["daisy", "tulips"]), "roses", table["actual"])
    assert claim.judge(evidence).verdict == claims.CONTRADICTED


def test_no_class_gains_where_the_runs_cannot_be_told_apart():
    tuned = make_run("tuned", "MobileNetV2", unfreeze={"layers": 6}, right=91)
    assert find("Fine-tuning helps", frozen("MobileNetV2", right=90), tuned).verdict == claims.UNDECIDED


@pytest.mark.parametrize(
    "before, after, verdict",
    [(0.6, 0.9, claims.SUPPORTED), (0.9, 0.6, claims.CONTRADICTED), (0.905, 0.9, claims.UNDECIDED)],
)
def test_sharper_calibration_is_a_smaller_error(before, after, verdict):
    """Both are right on 90 of 100 photos."""
    runs = frozen("MobileNetV2", confidence=before), make_run("tuned", "MobileNetV2", confidence=after)
    assert find("Fine-tuning sharpens calibration", *runs).verdict == verdict


def test_a_claim_about_one_block_takes_no_run_of_more():
    runs = frozen("MobileNet"), make_run("two", "MobileNet", unfreeze={"blocks": 2}, right=50)
    assert find("With its final block open", *runs).verdict == claims.NOT_RUN
    runs = frozen("MobileNet"), make_run("one", "MobileNet", unfreeze={"blocks": 1}, right=50)
    assert find("With its final block open", *runs).verdict == claims.SUPPORTED
