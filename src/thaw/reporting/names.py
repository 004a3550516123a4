"""What photos were called before they were named by their content: in captions, and in the tables of those to look at.

The names come from data/names.csv. They are joined here, where people read, and stand in nothing that is trained on.
"""

import pathlib

import pandas as pd

from thaw.base import paths
from thaw.comparison.pairs import Evidence
from thaw.comparison.results import Results, read_plot

Names = dict[str, list[str]]  # id of a photo -> its name, and those of its copies


def read_names(folder: str | pathlib.Path = ".") -> Names:
    """Return the Names of photos, as far as they are known, those of copies in the order of their letters.

    It is empty where there is no data/names.csv below `folder`, as in a clone without the data.
    """
    path = pathlib.Path(folder, paths.NAMES)
    if not path.exists():
        return {}
    table = read_plot(path, ("id", "name"), dtype=str)
    return {str(photo): list(names) for photo, names in table.groupby("id")["name"]}


def say_name(photo: str, names: Names) -> str:
    """Return what the photo of this id was called, copies behind a comma, "" where that is not known."""
    return ", ".join(names.get(photo, []))


def add_names(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return `table`, which has a column id, with the column name behind it where any names are known."""
    if not names:
        return table
    table = table.copy()
    table.insert(list(table.columns).index("id") + 1, "name", [say_name(photo, names) for photo in table["id"]])
    return table


def tabulate_mistakes(evidence: Evidence, runs: list[str], names: Names) -> pd.DataFrame:
    """Return a row for each photo of the part that counts that one of `runs` has wrong, the surest of each run first.

    Columns: run, id, name where names are known, actual, predicted and confidence (of the predicted class, in [0, 1]).
    """
    tables = []
    for run in runs:
        table = evidence.predictions[run].rename_axis("id").reset_index()
        table = table[(table["part"] == evidence.results.part) & ~table["right"]].assign(run=run)
        tables.append(table.sort_values(["confidence", "id"], ascending=[False, True]))
    return add_names(pd.concat(tables)[["run", "id", "actual", "predicted", "confidence"]], names)


def tabulate_left_out(results: Results, names: Names, folder: str | pathlib.Path = ".") -> pd.DataFrame:
    """Return a row for each file or photo that no run sees, or sees once though it came more often, and why.

    Columns: why, class and id (empty where the source or the file has none), and name. Copies are known of sources that
    name files, photos of two classes where data/raw is below `folder`.
    """
    rows = [(fault["reason"], "", "", fault["file"]) for fault in results.download["rejected"]]
    path = pathlib.Path(folder, paths.RAW, "manifest.csv")
    photos = read_plot(path, dtype=str) if path.exists() else pd.DataFrame(columns=["class", "id"])
    twice = photos["id"].duplicated(keep=False)
    for name, photo in photos.loc[twice, ["class", "id"]].itertuples(index=False):
        rows.append(("the same bytes came under another class, too", name, photo, say_name(photo, names)))
    for name, photo in photos.loc[~twice, ["class", "id"]].itertuples(index=False):
        if len(names.get(photo, [])) > 1:
            rows.append(("came more than once, one is kept", name, photo, say_name(photo, names)))
    for fault in results.preprocess["set_aside"]:
        photo = fault["id"]
        rows.append((f"cannot be read: {fault['reason']}", fault["class"], photo, say_name(photo, names)))
    return pd.DataFrame(rows, columns=["why", "class", "id", "name"])
