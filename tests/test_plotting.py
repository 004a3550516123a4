"""Figures, looked at through what Matplotlib holds of them."""

import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from thaw import plotting


def make_runs(count=3):
    kinds = ["baseline", "frozen", "finetuned"]
    rows = [(f"run-{i}", "", "all", kinds[min(i, 2)], "net", 0.5, 0.4, 0.6) for i in range(count)]
    return pd.DataFrame(rows, columns=["run", "mark", "thaws", "kind", "group", "accuracy", "low", "high"])


def make_history(epochs):
    table = pd.DataFrame({"epoch": range(1, epochs + 1)})
    for part in ("train", "validation"):
        for score in ("loss", "accuracy", "f1", "precision", "recall"):
            table[f"{part}_{score}"] = np.linspace(0.4, 0.8, epochs)
    return table


def read_texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def draw_svg(figure):
    file = io.BytesIO()
    with plotting.use_style():
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def find_dots(figure):
    """Return {label: (percent, colour, marker)} of the first dot of each kind in an overview."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() in "soD"]
    return {line.get_label(): (line.get_xdata()[0], to_hex(line.get_color()), line.get_marker()) for line in lines}


def test_dots_of_the_overview_stand_at_the_accuracy_in_percent():
    table = make_runs(3)
    table["accuracy"] = [0.25, 0.5, 0.75]
    dots = find_dots(plotting.draw_overview(table, "test", "run-2"))
    assert [dot[0] for dot in dots.values()] == [25, 50, 75]


def test_kinds_of_runs_differ_in_colour_and_in_marker():
    dots = find_dots(plotting.draw_overview(make_runs(3), "test", "run-2"))
    assert len({dot[1] for dot in dots.values()}) == 3
    assert len({dot[2] for dot in dots.values()}) == 3


def test_intervals_of_the_overview_reach_from_low_to_high():
    table = make_runs(2)
    table.loc[1, ["low", "high"]] = [0.125, 0.875]
    figure = plotting.draw_overview(table, "test", "run-0")
    ends = [segment[:, 0].tolist() for lines in figure.axes[0].collections for segment in lines.get_segments()]
    assert ends == [[40, 60], [12.5, 87.5]]


def test_runs_stand_from_top_to_bottom_in_the_order_of_the_table():
    figure = plotting.draw_overview(make_runs(4), "test", "run-0")
    axes = figure.axes[0]
    heights = {text.get_text(): axes.transData.transform((0, text.xy[1]))[1] for text in axes.texts}
    assert sorted((name for name in heights if name != "all"), key=heights.get, reverse=True) == [
        "run-0", "run-1", "run-2", "run-3",
    ]  # fmt: skip


def test_only_the_best_run_is_bold():
    figure = plotting.draw_overview(make_runs(4), "test", "run-2")
    assert [text.get_text() for text in figure.axes[0].texts if text.get_weight() == "bold"] == ["run-2"]


def test_groups_of_runs_stand_apart():
    table = make_runs(3)
    table["group"] = ["a", "a", "b"]
    figure = plotting.draw_overview(table, "test", "run-0")
    first, second, third = figure.axes[1].get_yticks()
    assert third - second > second - first


def test_a_long_name_is_wrapped_and_loses_no_letter():
    table = make_runs(2)
    table.loc[1, "run"] = name = "resnet50-blocks-10-and-everything-from-layer-100-on"
    shown = next(text for text in read_texts(plotting.draw_overview(table, "test", "run-0")) if "resnet50" in text)
    assert shown.replace("\n", "") == name
    assert max(map(len, shown.split("\n"))) <= plotting.NAME_WIDTH


def test_everything_of_the_overview_is_inside_the_figure():
    table = make_runs(11)
    table["run"] += "-with-a-name-that-is-rather-long-as-names-go"
    figure = plotting.draw_overview(table, "test", table["run"][0], ["¹ a note"])
    figure.draw_without_rendering()
    inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.x1 <= figure.get_figwidth()
    assert inside.y0 >= 0 and inside.y1 <= figure.get_figheight()


def test_curves_of_a_fine_tuned_run_have_a_line_where_the_backbone_thaws():
    axes = plotting.draw_curves(make_history(6), 2, "run").axes[:3]
    # A vertical line's x is the same at both ends.
    assert [[list(line.get_xdata()) for line in each.lines].count([2.5, 2.5]) for each in axes] == [1, 1, 1]


def test_curves_of_other_runs_have_no_such_line():
    figure = plotting.draw_curves(make_history(6), None, "run")
    assert "thawed" not in read_texts(figure)
    assert len(figure.axes[0].lines) == 2


def test_accuracy_is_drawn_in_percent_and_loss_as_it_is():
    loss, accuracy, _ = plotting.draw_curves(make_history(3), None, "run").axes
    assert loss.lines[0].get_ydata() == pytest.approx([0.4, 0.6, 0.8])
    assert accuracy.lines[0].get_ydata() == pytest.approx([40, 60, 80])


def test_train_and_validation_are_told_apart_by_colour():
    loss = plotting.draw_curves(make_history(3), None, "run").axes[0]
    train, validation = (line.get_color() for line in loss.lines)
    assert train != validation


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_loss_that_is_not_a_number_is_said_with_its_first_epoch(lost):
    history = make_history(5)
    history.loc[2:, "validation_loss"] = lost
    figure = plotting.draw_curves(history, None, "run")
    assert read_texts(figure) == ["validation: not a number from epoch 3"]
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_a_history_without_any_loss_is_drawn():
    history = make_history(2)
    history[["train_loss", "validation_loss"]] = np.nan
    assert draw_svg(plotting.draw_curves(history, None, "run"))


def test_one_epoch_shows_as_dots():
    line = plotting.draw_curves(make_history(1), None, "run").axes[0].lines[0]
    assert line.get_marker() == "o" and line.get_markersize() > 0


def test_shades_of_a_confusion_matrix_are_shares_of_the_row():
    figure = plotting.draw_confusion([[30, 10], [1, 1]], ["a", "b"], "run")
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0.5, 0.5]])


def test_numbers_of_a_confusion_matrix_are_photos_each_in_its_cell():
    figure = plotting.draw_confusion([[1030, 10], [1, 0]], ["a", "b"], "run")
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert cells == {(0, 0): "1,030", (1, 0): "10", (0, 1): "1", (1, 1): "0"}


def test_a_class_without_photos_has_an_empty_row():
    figure = plotting.draw_confusion([[3, 1], [0, 0]], ["a", "b"], "run")
    assert figure.axes[0].images[0].get_array()[1].tolist() == [0, 0]


def test_a_matrix_of_very_many_classes_holds_no_numbers():
    count = plotting.MOST_COUNTED + 1
    figure = plotting.draw_confusion(np.eye(count, dtype=int), [f"class {i}" for i in range(count)], "run")
    assert read_texts(figure) == []


def test_a_dollar_sign_in_a_class_is_a_dollar_sign():
    figure = plotting.draw_confusion([[1, 0], [0, 1]], ["$\\broken$", "b"], "run")
    assert draw_svg(figure)
    assert figure.axes[0].get_xticklabels()[0].get_parse_math() is False


def test_notes_stand_below_each_figure():
    for figure in (
        plotting.draw_overview(make_runs(), "test", "run-0", ["¹ a note"]),
        plotting.draw_curves(make_history(3), None, "run", ["¹ a note"]),
        plotting.draw_confusion([[1, 0], [0, 1]], ["a", "b"], "run", ["¹ a note"]),
    ):
        assert figure.get_supxlabel() == "¹ a note"


def test_the_same_figure_gives_the_same_bytes():
    def draw():
        return draw_svg(plotting.draw_overview(make_runs(), "test", "run-0"))

    assert draw() == draw()


def test_the_users_own_style_changes_nothing():
    expected = draw_svg(plotting.draw_curves(make_history(3), None, "run"))
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.hashsalt": "other"}):
        assert draw_svg(plotting.draw_curves(make_history(3), None, "run")) == expected
