"""What explained runs look at and find alike, in the report: their figures, and the maps of photos."""

import functools
import pathlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from thaw.base import paths
from thaw.base.errors import InputError
from thaw.base.files import MADE_AGAIN
from thaw.comparison.pairs import Evidence
from thaw.comparison.results import read_plot
from thaw.comparison.words import escape, say_count
from thaw.reporting import plotting
from thaw.reporting.figures import Drawing, find_notes

FACTS = ("id", "part", "actual", "predicted")  # text, of the tables of stage explain


def list_embeddings(evidence: Evidence, folder: str | pathlib.Path = ".") -> list[Drawing]:
    """Return the Drawing of the map of photos of each explained run, where stage explain has run, in the table's order.

    Raises InputError where a table is none.
    """
    results = evidence.results
    drawings = []
    for run in results.runs:
        path = pathlib.Path(folder, paths.find_embedding(run.name))
        if run.name not in results.explained or not path.exists():
            continue
        table = read_plot(path, FACTS, ("x", "y"), dtype=dict.fromkeys(FACTS, str))
        wrong = int((table["actual"] != table["predicted"]).sum())
        title = f"{run.name}{results.marks[run.name]}: {results.part}, {len(table):,} photos"
        words = f"which of the {say_count(len(table), 'photo')} of {results.part} {escape(run.name)} finds alike, by "
        words += f"t-SNE; marked are the {wrong:,} that it has wrong"
        draw = functools.partial(plotting.draw_embedding, table, title, find_notes(results, run))
        drawings.append(Drawing(f"embedding-{run.name}", words, table, draw))
    return drawings


def describe_explanations(evidence: Evidence, figures: Mapping[str, str]) -> str:
    """Return the section on what explained runs look at and find alike, or "" where the parameters name none.

    `figures` are the paragraphs of the drawings by name.
    """
    results = evidence.results
    if not results.explained:
        return ""
    drawn = [text for name, text in figures.items() if name.startswith("embedding-")]
    missing = [escape(name) for name in results.explained if f"embedding-{name}" not in figures]
    text = (
        "**Alike.** Each photo lies near those whose features, the means of the last feature maps, are near its own "
        "(t-SNE, van der Maaten and Hinton 2008). Only the neighbours of a photo mean something: distances between "
        "groups, their sizes and where they lie mean nothing. A ring marks a photo that the run has wrong; one amid "
        "another class looks like it to the network.\n\n"
        "**Where it looks.** Beside the photos of right and wrong answers in `report/report.html` stand maps of the "
        "places that speak for the predicted class (Grad-CAM, Selvaraju et al. 2017), for the runs that are explained. "
        "A map shows where, coarsely, and not why; two runs with the same map can be right for other reasons."
    )
    notes = f"Not explained yet: {', '.join(missing)}. `./run dvc repro` runs what is missing." if missing else ""
    return "\n\n".join(filter(None, [text, notes, *drawn]))


def read_maps(name: str, folder: str | pathlib.Path = ".") -> dict[str, np.ndarray]:
    """Return {id of a photo: (h, w) float32 in [0, 1]} of run `name`, empty where stage explain has not run for it.

    Raises InputError where the table is none.
    """
    path = pathlib.Path(folder, paths.find_maps(name))
    if not path.exists():
        return {}
    table = read_plot(path, ("id",), ("height", "width"), dtype={"id": str, "predicted": str})
    if table.empty:
        return {}
    height, width = (int(table[key].iloc[0]) for key in ("height", "width"))
    columns = [f"m_{cell}" for cell in range(height * width)]
    missing = [column for column in columns if column not in table.columns]
    if missing or not all(map(pd.api.types.is_numeric_dtype, table[columns].dtypes)):
        raise InputError(f"{path}: must have a number for each of {height} x {width} cells, m_0 on; {MADE_AGAIN}")
    cells = (table[columns].to_numpy(np.float32) / 100).reshape(-1, height, width)
    return dict(zip(table["id"], cells, strict=True))
