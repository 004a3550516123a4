"""Scores against values worked out by hand."""

import numpy as np
import pytest

from thaw.evaluation import scoring
from thaw.evaluation.saving import summarize_scores

# Three classes; predicted 0, 0, 1, 2, 2, 2 for actual 0, 0, 0, 1, 2, 2.
LABELS = np.array([0, 0, 0, 1, 2, 2])
LOGITS = np.log(
    np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6], [0.1, 0.1, 0.8], [0.25, 0.25, 0.5]])
)


def test_scores_are_those_of_the_definitions() -> None:
    scores = scoring.score(LABELS, LOGITS)
    # Precision 2/2, 0/1, 2/3; recall 2/3, 0/1, 2/2; F1 0.8, 0, 0.8.
    assert scores["photos"] == 6
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["precision"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert scores["recall"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert scores["f1"] == pytest.approx((0.8 + 0 + 0.8) / 3)
    expected = -np.log([0.8, 0.5, 0.2, 0.3, 0.8, 0.5]).mean()
    assert scores["loss"] == pytest.approx(expected)


def test_loss_does_not_depend_on_a_shift_of_the_logits() -> None:
    shifted = scoring.score(LABELS, LOGITS + 1000)["loss"]
    assert shifted == pytest.approx(scoring.score(LABELS, LOGITS)["loss"])


def test_scores_by_class_come_in_the_order_of_the_classes() -> None:
    table = scoring.score_classes(LABELS, LOGITS, ["a", "b", "c"])
    assert list(table["class"]) == ["a", "b", "c"]
    assert list(table.recall) == pytest.approx([2 / 3, 0, 1])
    assert list(table.photos) == [3, 1, 2]


def test_the_headline_has_the_accuracies_but_that_of_train_and_f1_of_the_part_that_counts() -> None:
    scores = {part: {"accuracy": value, "f1": value / 2} for part, value in (("test", 0.5), ("train", 1.0))}
    scores["validation"] = {"accuracy": 0.75, "f1": 0.375}
    assert summarize_scores(scores) == {"validation": 0.75, "test": 0.5, "f1": 0.25}
    del scores["test"]
    scores["validation"]["f1"] = 0.625
    assert summarize_scores(scores) == {"validation": 0.75, "f1": 0.625}
