"""Figures, looked at through what Matplotlib holds of them."""

import dataclasses
import io
import itertools
from typing import Any

import matplotlib
import matplotlib.font_manager
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from thaw.reporting import plotting


def make_runs(count: int = 3) -> Any:
    kinds, families = ["baseline", "frozen", "finetuned"], [plotting.SCRATCH, "MobileNet", "MobileNet"]
    rows = [(i + 1, f"run-{i}", "all", kinds[min(i, 2)], families[min(i, 2)]) for i in range(count)]
    table = pd.DataFrame(rows, columns=["number", "run", "unfrozen", "kind", "family"])
    return table.assign(mark="", group="net", accuracy=0.5, low=0.4, high=0.6, train=0.9, validation=0.7, cost=10.0)


def make_history(epochs: int) -> Any:
    table = pd.DataFrame({"epoch": range(1, epochs + 1)})
    for part in ("train", "validation"):
        for score in ("loss", "accuracy", "f1", "precision", "recall"):
            table[f"{part}_{score}"] = np.linspace(0.4, 0.8, epochs)
    return table


def read_texts(figure: Figure) -> list[Any]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def read_tips(axes: Any) -> list[str]:
    """Return what parts of `axes` show below a pointer."""
    ids = [artist.get_gid() for artist in axes.get_children() if artist.get_gid()]
    return [name.removeprefix(plotting.TIP) for name in ids]


def draw_svg(figure: Figure) -> Any:
    file = io.BytesIO()
    with plotting.use_style():
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def find_markers(axes: Any) -> list[Any]:
    """Return [(x, y, colour, marker, hollow)] of the markers of runs, each of which is a line of one point."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0], to_hex(line.get_color()), line.get_marker(), is_hollow(line))
        for line in axes.lines
        if len(line.get_xdata()) == 1
    ]


def is_hollow(line: str) -> bool:
    return to_hex(line.get_markerfacecolor()) == "#ffffff"


def measure_brightness(colour: Any) -> Any:
    """Return how bright a colour is in a grey print, 0 to 1 (the weights of ITU-R BT.709)."""
    return float(np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]))


def test_markers_of_the_overview_stand_at_the_accuracy_in_percent() -> None:
    table = make_runs(3)
    table["accuracy"], table["low"] = [0.25, 0.5, 0.75], 0.2
    markers = find_markers(plotting.draw_overview(table, "test", "run-2").axes[0])
    assert [marker[0] for marker in markers] == [25, 50, 75]


def test_families_differ_in_colour_and_in_marker() -> None:
    looks = list(plotting.LOOKS.values())
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(looks)


def test_every_colour_is_seen_on_white_in_a_grey_print() -> None:
    for look in plotting.LOOKS.values():
        assert measure_brightness(look.colour) < 0.72


def test_a_family_has_the_same_look_in_every_figure() -> None:
    table = make_runs(3).assign(report="a", published_as="x", published=0.5, measured=0.6)
    for end in ("low", "high"):
        table["published_" + end] = table["measured_" + end] = 0.5
    figures = [
        plotting.draw_overview(table, "test", "run-0"),
        plotting.draw_tradeoff(table, "cost", "cost", "test"),
        plotting.draw_published(table),
    ]
    for figure in figures:
        looks = {(colour, marker) for _, _, colour, marker, _ in find_markers(figure.axes[0])}
        assert looks >= {plotting.LOOKS["MobileNet"], plotting.LOOKS[plotting.SCRATCH]}


def test_frozen_runs_are_hollow_and_no_others() -> None:
    markers = find_markers(plotting.draw_overview(make_runs(3), "test", "run-2").axes[0])
    assert [marker[4] for marker in markers] == [False, True, False]


def test_an_unknown_family_gets_a_look_that_no_other_of_the_figure_has() -> None:
    looks = plotting.find_looks(["MobileNet", "Unheard", "ResNet50", "Unseen"])
    assert len(set(looks.values())) == 4


def test_intervals_of_the_overview_reach_from_low_to_high() -> None:
    table = make_runs(2)
    table.loc[1, ["low", "high"]] = [0.125, 0.875]
    figure = plotting.draw_overview(table, "test", "run-0")
    ends = [segment[:, 0].tolist() for lines in figure.axes[0].collections for segment in lines.get_segments()]
    assert ends == [[40, 60], [12.5, 87.5]]


def make_differences() -> Any:
    rows = [("x", "MobileNet", 0.01, -0.01, 0.03), ("y", "MobileNet", -0.02, -0.03, -0.01), ("z", "ResNet50", 0, 0, 0)]
    table = pd.DataFrame(rows, columns=["run", "family", "difference", "low", "high"])
    return table.assign(mark="", group=table["family"] + ", last block")


def test_differences_stand_in_points_on_their_intervals_from_top_to_bottom() -> None:
    (axes,) = plotting.draw_differences(make_differences(), "points").axes
    assert [x for x, *_ in find_markers(axes)] == pytest.approx([1, -2, 0])
    assert [y for _, y, *_ in find_markers(axes)] == sorted(axes.get_yticks())
    lines = [collection.get_segments()[0][:, 0].tolist() for collection in axes.collections]
    assert [pytest.approx(line) for line in lines] == [[-1, 3], [-3, -1], [0, 0]]


def test_each_group_of_differences_stands_below_its_name() -> None:
    (axes,) = plotting.draw_differences(make_differences(), "points").axes
    places = {text.get_text(): text.xy[1] for text in axes.texts}
    x, _, z = axes.get_yticks()
    assert x - 1 <= places["MobileNet, last block"] < x
    assert z - 1 <= places["ResNet50, last block"] < z


@pytest.mark.parametrize("upright", [False, True])
def test_a_baseline_far_below_the_others_does_not_squeeze_them(upright: bool) -> None:
    table = make_runs(3).assign(cost=[300, 1, 2])
    table["accuracy"], table["low"], table["high"] = [0.2, 0.9, 0.95], [0.1, 0.88, 0.93], [0.3, 0.92, 0.97]
    if upright:
        axes = plotting.draw_tradeoff(table, "cost", "cost", "test").axes[0]
        (low, high), written = axes.get_ylim(), "▾ 20.0"
    else:
        axes = plotting.draw_overview(table, "test", "run-2").axes[0]
        (low, high), written = axes.get_xlim(), " ◂ 20.0"
    assert low == pytest.approx(87) and high > 97
    assert not upright or axes.get_xlim()[1] >= 300  # where it stands
    assert written in [text.get_text() for text in axes.texts]


def test_runs_stand_from_top_to_bottom_in_the_order_of_the_table() -> None:
    figure = plotting.draw_overview(make_runs(4), "test", "run-0")
    axes = figure.axes[0]
    heights = {text.get_text(): axes.transData.transform((0, text.xy[1]))[1] for text in axes.texts}
    assert sorted((name for name in heights if name != "all"), key=heights.get, reverse=True) == [
        "run-0", "run-1", "run-2", "run-3",
    ]  # fmt: skip


def test_only_the_best_run_is_bold() -> None:
    figure = plotting.draw_overview(make_runs(4), "test", "run-2")
    assert [text.get_text() for text in figure.axes[0].texts if text.get_weight() == "bold"] == ["run-2"]


@pytest.mark.parametrize("family", ["MobileNet", "MobileNetV3LargeMinimalistic", "A" * 60])
def test_a_legend_does_not_leave_the_figure(family: str) -> None:
    figure = plotting.draw_overview(make_runs(3).assign(family=[plotting.SCRATCH, "ResNet50", family]), "test", "run-0")
    with plotting.use_style():
        figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_groups_of_runs_stand_apart() -> None:
    table = make_runs(3)
    table["group"] = ["a", "a", "b"]
    figure = plotting.draw_overview(table, "test", "run-0")
    first, second, third = figure.axes[1].get_yticks()
    assert third - second > second - first


def test_a_long_name_is_wrapped_and_loses_no_letter() -> None:
    table = make_runs(2)
    table.loc[1, "run"] = name = "resnet50-blocks-10-and-everything-from-layer-100-on"
    shown = next(text for text in read_texts(plotting.draw_overview(table, "test", "run-0")) if "resnet50" in text)
    assert shown.replace("\n", "") == name
    assert max(map(len, shown.split("\n"))) <= plotting.NAME_WIDTH


def test_everything_of_the_overview_is_inside_the_figure() -> None:
    table = make_runs(11)
    table["run"] += "-with-a-name-that-is-rather-long-as-names-go"
    figure = plotting.draw_overview(table, "test", table["run"][0], ["¹ a note"])
    figure.draw_without_rendering()
    inside = figure.get_tightbbox()
    assert inside.x0 >= 0 and inside.x1 <= figure.get_figwidth()
    assert inside.y0 >= 0 and inside.y1 <= figure.get_figheight()


def test_the_front_holds_the_runs_that_none_beats_at_their_cost_or_below() -> None:
    # The second costs more than the first and is no better; the fourth is as good as the third and costs more.
    front = plotting.find_front([1, 2, 3, 4, 9], [0.5, 0.5, 0.7, 0.7, 0.8])
    assert front.tolist() == [True, False, True, False, True]


def test_equals_in_accuracy_and_cost_are_on_the_front_together() -> None:
    assert plotting.find_front([1, 1, 1], [0.5, 0.5, 0.4]).tolist() == [True, True, False]


def test_runs_on_the_front_are_numbered_and_named_below() -> None:
    table = make_runs(3)
    table["cost"], table["accuracy"] = [10, 20, 30], [0.5, 0.4, 0.6]
    figure = plotting.draw_tradeoff(table, "cost", "cost", "test")
    assert read_texts(figure) == ["1", "3"]
    assert figure.get_supxlabel() == "Pareto front: 1 run-0, 3 run-2"


def test_the_mark_of_a_footnote_stands_at_the_family_in_the_legend() -> None:
    table = make_runs(3)
    table["mark"] = ["", "¹", "¹"]
    figure = plotting.draw_overview(table, "test", "run-0", ["¹ a note"])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "MobileNet¹" in words and plotting.SCRATCH in words


def make_scores(panels: Any) -> pd.DataFrame:
    cells = itertools.product(range(panels), ("frozen", "finetuned"), ("class", "NA"))
    rows = [(f"net {i}", "run", "", kind, "MobileNet", label, 0.8) for i, kind, label in cells]
    return pd.DataFrame(rows, columns=["panel", "run", "mark", "kind", "family", "class", "f1"])


@pytest.mark.parametrize("panels", [1, 3, 4])
def test_each_backbone_has_a_panel_of_f1_by_class(panels: int) -> None:
    figure = plotting.draw_classes(make_scores(panels), "test")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == [f"net {i}" for i in range(panels)]
    assert [marker[:2] for marker in find_markers(shown[0])] == [(80, 0), (80, 1)] * 2


def test_a_reliability_diagram_has_a_dot_per_bin_its_area_the_share_of_the_photos() -> None:
    bins = pd.DataFrame({"photos": [10, 30], "confidence": [0.5, 0.9], "accuracy": [0.4, 1.0]})
    axes = plotting.draw_reliability([plotting.Reliability("run", 0.075, bins)], "test").axes[0]
    (dots,) = [each for each in axes.collections if len(each.get_offsets()) == 2]
    np.testing.assert_allclose(dots.get_offsets(), [[50, 40], [90, 100]])
    first, second = dots.get_sizes() - 8
    assert second == pytest.approx(3 * first)
    assert read_texts(dots.figure)[0] == "ECE 7.5 %"


def test_published_accuracies_are_hollow_and_ours_are_filled() -> None:
    table = pd.DataFrame({"report": ["a", "b"], "published_as": ["x", "y"]})
    table = table.assign(run="run", mark="", family="MobileNet", kind="frozen", published=0.9, measured=0.8)
    table = table.assign(published_low=np.nan, published_high=np.nan, measured_low=0.7, measured_high=0.9)
    figure = plotting.draw_published(table)
    assert [(x, hollow) for x, _, _, _, hollow in find_markers(figure.axes[0])] == [(90, True), (80, False)] * 2
    assert read_texts(figure) == ["a", "b"]


def test_the_strip_of_a_backbone_ends_its_blocks_and_cuts_its_runs_where_their_flops_are() -> None:
    blocks = pd.DataFrame({"stage": ["stem", "one", "one"], "flops": [0.25, 0.5, 1.0]})
    table = make_runs(3).iloc[1:].assign(frozen=[1.0, 0.5])
    axes = plotting.draw_cuts({"net": plotting.Strip("Net", blocks)}, table).axes[0]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert bars == [(0, 25), (25, 50), (50, 100), (0, 100), (100, 100), (0, 50), (50, 100)]


def test_curves_of_a_fine_tuned_run_have_a_line_where_the_backbone_is_unfrozen() -> None:
    axes = plotting.draw_curves(make_history(6), 2, "run").axes
    # A vertical line's x is the same at both ends.
    assert [[list(line.get_xdata()) for line in each.lines].count([2.5, 2.5]) for each in axes] == [1, 1]


def test_no_title_of_the_curves_leaves_the_figure() -> None:
    history = make_history(6)
    history["validation_accuracy"] = np.linspace(0.9981, 0.9982, 6)  # the numbers beside the panel are long
    history["train_accuracy"] = 0.9981
    figure = plotting.draw_curves(history, 2, "run")
    with plotting.use_style():
        figure.canvas.draw()
    # A title on the left is none of those that `Axes.title` is.
    titles = [text for axes in figure.axes for text in axes.findobj(Text) if text.get_text() == axes.get_title("left")]
    assert len(titles) == 2 and max(title.get_window_extent().x1 for title in titles) <= figure.bbox.x1


def test_curves_of_several_runs_have_the_same_axes() -> None:
    histories = [make_history(3), make_history(8)]
    histories[1]["validation_loss"] = 2.0
    histories[0][["train_accuracy", "validation_accuracy"]] = 0.7
    limits = plotting.find_limits(histories)
    axes = [plotting.draw_curves(history, None, "run", (), limits).axes for history in histories]
    assert [(each.get_xlim(), each.get_ylim()) for each in axes[0]] == [
        (each.get_xlim(), each.get_ylim()) for each in axes[1]
    ]
    (_, epochs), (_, loss), (accuracy, _) = axes[0][0].get_xlim(), axes[0][1].get_ylim(), axes[0][0].get_ylim()
    assert epochs >= 8 and loss >= 2 and accuracy < 40


def test_an_epoch_of_the_curves_shows_its_scores_below_a_pointer() -> None:
    accuracy, loss = plotting.draw_curves(make_history(3), None, "run").axes
    assert [read_tips(axes)[1] for axes in (accuracy, loss)] == [
        "epoch 2: train 60.0, validation 60.0", "epoch 2: train 0.600, validation 0.600",
    ]  # fmt: skip


def test_curves_of_other_runs_have_no_such_line() -> None:
    figure = plotting.draw_curves(make_history(6), None, "run")
    assert "thawed" not in read_texts(figure)
    assert len(figure.axes[0].lines) == 2


def test_accuracy_is_drawn_in_percent_and_loss_as_it_is() -> None:
    accuracy, loss = plotting.draw_curves(make_history(3), None, "run").axes
    assert loss.lines[0].get_ydata() == pytest.approx([0.4, 0.6, 0.8])
    assert accuracy.lines[0].get_ydata() == pytest.approx([40, 60, 80])


def test_train_and_validation_are_told_apart_by_colour() -> None:
    loss = plotting.draw_curves(make_history(3), None, "run").axes[0]
    train, validation = (line.get_color() for line in loss.lines)
    assert train != validation


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_loss_that_is_not_a_number_is_said_with_its_first_epoch(lost: Any) -> None:
    history = make_history(5)
    history.loc[2:, "validation_loss"] = lost
    figure = plotting.draw_curves(history, None, "run")
    assert read_texts(figure) == ["validation: not a number from epoch 3"]
    assert np.isfinite(figure.axes[1].get_ylim()).all()


def test_a_history_without_any_loss_is_drawn() -> None:
    history = make_history(2)
    history[["train_loss", "validation_loss"]] = np.nan
    assert draw_svg(plotting.draw_curves(history, None, "run"))


def test_one_epoch_shows_as_dots() -> None:
    line = plotting.draw_curves(make_history(1), None, "run").axes[0].lines[0]
    assert line.get_marker() == "o" and line.get_markersize() > 0


def test_shades_of_a_confusion_matrix_are_shares_of_the_row() -> None:
    figure = plotting.draw_confusion([[30, 10], [1, 1]], ["a", "b"], "run")
    np.testing.assert_allclose(figure.axes[0].images[0].get_array()[..., 3], [[0.75, 0.25], [0.5, 0.5]])


def test_numbers_of_a_confusion_matrix_are_photos_each_in_its_cell() -> None:
    figure = plotting.draw_confusion([[1030, 10], [1, 0]], ["a", "b"], "run")
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert cells == {(0, 0): "1,030", (1, 0): "10", (0, 1): "1", (1, 1): "0"}


def test_a_cell_of_a_confusion_matrix_says_what_it_counts_below_a_pointer() -> None:
    axes = plotting.draw_confusion([[30, 10], [1, 0]], ["a", "\x00b"], "run").axes[0]
    assert read_tips(axes) == [
        "a, predicted a: 30 of 40",
        "a, predicted b: 10 of 40",
        "b, predicted a: 1 of 1",
        "b, predicted b: 0 of 1",
    ]


def test_a_class_without_photos_has_an_empty_row() -> None:
    figure = plotting.draw_confusion([[3, 1], [0, 0]], ["a", "b"], "run")
    assert figure.axes[0].images[0].get_array()[1, :, 3].tolist() == [0, 0]


def test_a_matrix_of_very_many_classes_holds_no_numbers() -> None:
    count = plotting.MOST_COUNTED + 1
    figure = plotting.draw_confusion(np.eye(count, dtype=int), [f"class {i}" for i in range(count)], "run")
    assert read_texts(figure) == []


def test_a_dollar_sign_in_a_class_is_a_dollar_sign() -> None:
    figure = plotting.draw_confusion([[1, 0], [0, 1]], ["$\\broken$", "b"], "run")
    assert draw_svg(figure)
    assert figure.axes[0].get_xticklabels()[0].get_parse_math() is False


def test_notes_stand_below_each_figure() -> None:
    for figure in (
        plotting.draw_overview(make_runs(), "test", "run-0", ["¹ a note"]),
        plotting.draw_classes(make_scores(1), "test", ["¹ a note"]),
        plotting.draw_curves(make_history(3), None, "run", ["¹ a note"]),
        plotting.draw_confusion([[1, 0], [0, 1]], ["a", "b"], "run", ["¹ a note"]),
    ):
        assert figure.get_supxlabel() == "¹ a note"


def test_the_same_figure_gives_the_same_bytes() -> None:
    def draw() -> Any:
        return draw_svg(plotting.draw_overview(make_runs(), "test", "run-0"))

    assert draw() == draw()


def test_letters_are_those_of_the_fonts_that_come_with_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever font of the same name the machine has."""
    manager = matplotlib.font_manager.FontManager()
    other = dataclasses.replace(manager.ttflist[0], fname="/another/DejaVuSans.ttf", name="DejaVu Sans")
    manager.ttflist = [other, *manager.ttflist]
    monkeypatch.setattr(matplotlib.font_manager, "fontManager", manager)
    with plotting.use_style():
        assert manager.findfont("DejaVu Sans").startswith(matplotlib.get_data_path())


def test_the_users_own_style_changes_nothing() -> None:
    expected = draw_svg(plotting.draw_curves(make_history(3), None, "run"))
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.hashsalt": "other"}):
        assert draw_svg(plotting.draw_curves(make_history(3), None, "run")) == expected
