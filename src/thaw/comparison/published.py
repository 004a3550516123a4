"""The published tables beside what was measured here, and the numbers of photos that their printed digits allow.

published.csv has a row for each row of the five reports: what they print (accuracies as printed, so that the digits
count), and two columns of ours: `unfrozen`, what really was, as `results.describe_unfreeze` has it, and `note`, why the
row cannot be right or complete as it stands.
"""

import collections
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import pandas as pd

from thaw.comparison import inference
from thaw.comparison.inference import wilson_interval
from thaw.comparison.pairs import count_right
from thaw.comparison.results import Results, Run, rank_runs, say_weights
from thaw.comparison.words import escape, percent, say_count, say_interval, to_markdown

Part = Literal["validation", "test"]

FILE = pathlib.Path(__file__).with_name("published.csv")

# Of the photos of TF-Flowers and their classes, as metrics/download.json has it, whatever source they come from.
DIGEST = "c529355e4e58f5f938f8eee5dce32e87b323e45f48d926e4260651f455044dd9"

# The report on Kaggle's "Flowers Recognition", and what it says of those photos.
KAGGLE_REPORT = "frozen-vs-fine-tuning"
KAGGLE_CLASSES = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
KAGGLE_PHOTOS = 4317

PHOTOS = 3670  # that TF-Flowers has: no part of it is larger

FEWEST = 3  # figures that can determine a number of photos

NOT_RUN = "not run"  # a row that no run stands beside

BASELINE = "BaselineCNN"  # what the tables call a small CNN from scratch

COLUMNS: dict[Part, str] = {"validation": "validation_accuracy", "test": "test_accuracy"}


def list_reports(results: Results) -> list[str]:
    """Return the names of the reports that are about the photos of `results`; of none for any other photos.

    TF-Flowers is known by its digest, and all tables stand beside it: that one report used other photos of the same
    classes is noted in its rows. Those other photos, Kaggle's, are known by class names and number, because the report
    gives no more.
    """
    download = results.download
    if download["digest"] == DIGEST:
        return [str(report) for report in read_published()["report"].unique()]
    photos = download["photos"] + len(download["rejected"])
    if (sorted(download["classes"]), photos) == (KAGGLE_CLASSES, KAGGLE_PHOTOS):
        return [KAGGLE_REPORT]
    return []


@functools.cache
def read_published() -> pd.DataFrame:
    """Return published.csv as a DataFrame of text, empty where a report prints nothing."""
    return pd.read_csv(FILE, dtype=str, keep_default_na=False)


def select_rows(reports: Sequence[str]) -> pd.DataFrame:
    """Return the rows of `read_published` of some reports."""
    table = read_published()
    return table[table["report"].isin(reports)]


def find_sizes(printed: Sequence[str]) -> list[int]:
    """Return the numbers of photos that figures `printed` (text, as in ``0.9210``) can all be a fraction of."""
    digits = [len(figure.partition(".")[2]) for figure in printed]
    return inference.find_denominators([float(figure) for figure in printed], digits, PHOTOS)


def find_size(printed: Sequence[str]) -> int | None:
    """Return the number of photos that the figures `printed` determine, or None where they determine none.

    They do where one number fits and no other below twice that number; its multiples always fit. One or two figures
    alone prove nothing: a small number may happen to fit them.
    """
    fitting = find_sizes(printed) if len(printed) >= FEWEST else []
    return fitting[0] if fitting and (len(fitting) == 1 or fitting[1] >= 2 * fitting[0]) else None


@functools.cache
def find_photos() -> dict[tuple[str, str, str], int]:
    """Return {(report, row, part): photos}: over how many photos each published accuracy was taken, where known.

    A column of a table is read as one part; where no number fits all of it, the figures of each backbone are; where
    none fits those either, each figure alone is compared with the numbers found elsewhere.
    """
    table, alone = read_published(), []
    found: dict[tuple[str, str, str], int] = {}
    for report in table["report"].unique():
        for part, column in COLUMNS.items():
            rows = table[(table["report"] == report) & (table[column] != "")]
            whole = find_size(rows[column]) if len(rows) else None
            groups = [rows] if whole else [group for _, group in rows.groupby("backbone", sort=False)]
            for group in groups:
                photos = find_size(group[column])
                if photos:
                    found |= {(report, row, part): photos for row in group["row"]}
                else:
                    alone += [((report, row.row, part), getattr(row, column)) for row in group.itertuples()]
    sizes = sorted(set(found.values()))
    for key, figure in alone:
        fitting = [n for n in sizes if n in find_sizes([figure])]
        if len(fitting) == 1:
            found[key] = fitting[0]
    return found


def find_mean_gap(architecture: str, frozen: bool) -> float:
    """Return the signed mean of train minus validation accuracy over the rows of resnet50-and-mobilenetv3.

    Those of one architecture, with the frozen run or without.
    """
    table = read_published()
    rows = table[(table["report"] == "resnet50-and-mobilenetv3") & (table["backbone"] == architecture)]
    rows = rows if frozen else rows[rows["strategy"] != "frozen"]
    return float((rows["train_accuracy"].astype(float) - rows["validation_accuracy"].astype(float)).mean())


def name_architecture(results: Results, run: Run) -> str | None:
    """Return what the tables call the network of a Run.

    None for one of another width, or that sees photos preprocessed for something else.
    """
    if run.backbone is None:
        return BASELINE
    weights = results.weights[run.backbone]
    return weights["architecture"] if weights["width"] == 1 and "preprocessing" not in weights else None


def find_runs(results: Results, architecture: str, where: Callable[[Run], bool] = lambda run: True) -> list[Run]:
    """Return the Runs of an architecture (the tables' name) that `where` holds for, the best on validation first."""
    ranking = rank_runs(results)
    found = [run for run in results.runs if name_architecture(results, run) == architecture and where(run)]
    return sorted(found, key=lambda run: ranking.index(run.name))


class Match(NamedTuple):
    """What stands beside one published row."""

    part: Part  # that the published accuracy is of
    photos: int | None  # over how many it was taken, where known
    runs: list[Run]  # our Runs that open the same
    ours: Part  # the part that our accuracy is of


def match_row(results: Results, row: Mapping[str, str]) -> Match:
    """Return the Match of a published row (a mapping of the columns)."""
    part: Part = "test" if row["test_accuracy"] else "validation"
    runs = find_runs(results, row["backbone"], lambda run: row["unfrozen"] == run.unfrozen)
    photos = find_photos().get((row["report"], row["row"], part))
    return Match(part, photos, runs, part if part == results.part else "validation")


def describe_published(results: Results) -> str:
    """Return the section: for each report its rows beside our runs, and what its digits allow."""
    reports = list_reports(results)
    rows = select_rows(reports).to_dict("records")
    sections = [
        "A row per published row. What was open is what the parameters and labels of the report leave possible. "
        "Where the printed digits determine the number of photos, both accuracies have an interval (Wilson's, 95 %), "
        "and “agree at this size” means that the interval of their difference (Newcombe's, 95 %) holds zero. That "
        "interval takes the two for independent draws, which they are not: both test sets come from the same 3,670 "
        "photos, and may share some. Each verdict is by itself: of twenty runs that are alike, one comes out as "
        "higher or lower by chance. Our run is one that opens the same; its rate, epochs, BatchNorm mode and weights "
        "are this table's, and a difference may come from any of them. Accuracies in percent, of test unless the row "
        "says validation."
    ]
    for report in reports:
        lines = [line for row in rows if row["report"] == report for line in _compare_row(results, row)]
        header = ["Published as", "What was open", "Published %", "Photos", "Interval"]
        header += ["Our run", "Ours %", "Interval", "Verdict", "Note"]
        digits = "\n".join(f"- {sentence}" for sentence in describe_digits(report))
        sections += [f"### {report}", to_markdown(header, lines, left=len(header))]
        sections.append(f"What the digits give away:\n\n{digits}")
    return "\n\n".join(sections)


def describe_digits(report: str) -> list[str]:
    """Return sentences on the numbers of photos that the printed accuracies of a report can be fractions of."""
    table = read_published()
    rows, sentences = table[table["report"] == report], []
    for part, column in COLUMNS.items():
        figures = rows[rows[column] != ""]
        if not len(figures):
            continue
        groups = {f"{part.capitalize()}, {say_count(len(figures), 'figure')}": figures}
        if not find_sizes(figures[column]) and any(find_sizes(f[column]) for _, f in figures.groupby("backbone")):
            groups = {
                f"{part.capitalize()}, {say_count(len(group), 'figure')} of {backbone}": group
                for backbone, group in figures.groupby("backbone", sort=False)
            }
        for label, group in groups.items():
            sentences.append(_describe_group(label, report, part, group[["row", column]].values.tolist()))
    return sentences


def _describe_group(label: str, report: str, part: Part, figures: Sequence[tuple[str, str]]) -> str:
    """Return the sentence on the (row, printed) `figures` of one column."""
    printed = [figure for _, figure in figures]
    size, fitting = find_size(printed), find_sizes(printed)
    if size:
        next_one = fitting[1] if len(fitting) > 1 else PHOTOS
        return f"{label}: {size} photos fit, and no other number below {next_one:,}."
    if not fitting:
        return (
            f"{label}: no number of photos up to {PHOTOS:,} fits them all: they are no accuracies on one "
            "set of photos, or a figure is misprinted."
        )
    sizes, single = sorted(set(find_photos().values())), []
    for row, figure in figures:
        photos = find_photos().get((report, row, part))
        if photos:
            others = " and ".join(str(n) for n in sizes if n != photos)
            single.append(f"{percent(float(figure))} % fits {photos} and not {others}")
    if single:
        return f"{label}: no one number of photos below {fitting[0]:,} fits them all. " + "; ".join(single) + "."
    return f"{label}: too few digits to tell."


def _compare_row(results: Results, row: Mapping[str, str]) -> list[list[object]]:
    """Return the lines of the table for one published row: one for each of our runs that opens the same."""
    printed: list[object] = list(print_row(row))
    measured = measure_row(results, row)
    if not measured:
        return [[*printed, "–", "–", "–", NOT_RUN, row["note"]]]
    return [
        [*(printed if number == 0 else [""] * len(printed)), *one, row["note"]] for number, one in enumerate(measured)
    ]


def print_row(row: Mapping[str, str]) -> tuple[str, str, str, int | str, str]:
    """Return of a published row its name, what was open, its accuracy, over how many photos, and the interval."""
    part: Part = "test" if row["test_accuracy"] else "validation"
    photos, figure = find_photos().get((row["report"], row["row"], part)), row[COLUMNS[part]]
    interval = say_interval(*wilson_interval(float(figure), photos)) if photos else "–"
    return name_row(row), row["unfrozen"], _print(figure) + _mark(part), photos or "not known", interval


class Measured(NamedTuple):
    """A run beside a published row, as text for a table."""

    run: str
    accuracy: str
    interval: str
    verdict: str


def measure_row(results: Results, row: Mapping[str, str]) -> list[Measured]:
    """Return what was Measured of a published row (a mapping of the columns): of each run that opens the same."""
    match, measured = match_row(results, row), []
    for run in match.runs:
        right, total = count_right(results.scores[run.name][match.ours])
        verdict = _compare_accuracy(right, total, float(row[COLUMNS[match.part]]), match.photos)
        measured.append(
            Measured(
                escape(run.name) + results.marks[run.name],
                percent(right / total) + _mark(match.ours),
                say_interval(*wilson_interval(right / total, total)),
                verdict + say_weights(results, [run.name]),
            )
        )
    return measured


def count_rows(reports: Sequence[str], results: Results | None) -> collections.Counter[str]:
    """Return how many rows of some reports have each verdict beside `results`; without any all are not run.

    A row that several runs stand beside has the verdict of the one that is best on validation.
    """
    counts: collections.Counter[str] = collections.Counter()
    for row in select_rows(reports).to_dict("records"):
        measured = measure_row(results, row) if results else []
        counts[measured[0].verdict.partition(" (")[0] if measured else NOT_RUN] += 1
    return counts


def say_rows(reports: Sequence[str], results: Results | None) -> str:
    """Return as part of a sentence how many rows of some reports were measured, and how they compare."""
    counts = count_rows(reports, results)
    measured = counts.total() - counts[NOT_RUN]
    told = f": {list_counts(counts)}" if measured else ""
    return f"{measured} of {say_count(counts.total(), 'row')} measured{told}"


def list_counts(counts: Mapping[str, int]) -> str:
    """Return the counts of `count_rows` as part of a sentence, without the rows that were not run."""
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if verdict != NOT_RUN) or "–"


def is_mislabelled(row: Mapping[str, str]) -> bool:
    """Return whether a published row cannot have opened what its label says."""
    label = row["unfreeze"].replace("last 1 blocks", "last block").replace(" and ", ", ")
    return label not in ("", "none", "all") and label != row["unfrozen"]


def _compare_accuracy(right: int, total: int, share: float, photos: int | None) -> str:
    """Return the verdict on our accuracy, `right` of `total`, beside a published `share` of `photos`, where known."""
    if photos:
        _, low, high = inference.newcombe_interval((right, total), (round(share * photos), photos))
        return judge_agreement(low, high)
    low, high = wilson_interval(right / total, total)
    return "inside our interval" if low <= share <= high else "outside our interval"


def judge_agreement(low: float, high: float) -> str:
    """Return the verdict on the interval of measured minus published accuracy."""
    if low <= 0 <= high:
        return "agree at this size"
    return "measured higher" if low > 0 else "measured lower"


def name_row(row: Mapping[str, str]) -> str:
    """Return the name of a published row: its backbone and what it was labelled with."""
    opened = row["strategy"] if row["unfreeze"] in ("", "none", "all") else row["unfreeze"]
    return f"{row['backbone']}, {opened}"


def _print(figure: str) -> str:
    """Return a printed share as percent with no digit more than it has."""
    digits = max(0, len(figure.partition(".")[2]) - 2)
    return f"{100 * float(figure):.{digits}f}"


def _mark(part: Part) -> str:
    """Return what follows an accuracy of `part`: nothing for test."""
    return " (validation)" if part == "validation" else ""
