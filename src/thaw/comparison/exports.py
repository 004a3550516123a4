"""The files of runs that were exported, as the report shows them."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from thaw.base import paths
from thaw.comparison.documents import Exported
from thaw.comparison.results import Results, Table, read_metrics
from thaw.comparison.words import NOT_RUN, code, escape, percent, to_markdown

PUBLISHED_BYTES = 10_000_000  # that the published reports have a MobileNet stay below


class Exports(NamedTuple):
    """What came of the runs that were exported; a key of each mapping is the name of a run."""

    listed: list[str]  # the runs that the parameters name
    files: dict[str, dict[str, Any]]  # the document of thaw.export.exporting, a mapping for each file
    times: dict[str, dict[str, Any]]  # that of their latencies


def read_exports(params: Table, folder: str | pathlib.Path = ".") -> Exports:
    """Return the Exports that `params` names, from the files below `folder`; what is missing has not been run.

    Raises InputError where a file does not hold what it should.
    """
    folder, listed = pathlib.Path(folder), list(params.export)
    files, times = {}, {}
    for name in listed:
        path = folder / paths.find_export_scores(name)
        if path.exists():
            files[name] = read_metrics(path, "exports", name)
            for key in files[name]:
                read_metrics(path, "exports", name, key, shape=Exported)
            times[name] = read_metrics(folder / paths.find_export_time(name), "exports", name)
    return Exports(listed, files, times)


def describe_exports(exports: Exports, results: Results) -> str:
    """Return the section on exported runs; nothing where the parameters name none."""
    if not exports.listed:
        return ""
    part = results.part
    rows = []
    for run in exports.listed:
        shown = escape(run) + results.marks.get(run, "")
        if run not in exports.files:
            rows.append([shown, NOT_RUN, *["–"] * 6])
        rows += [[shown, *_list_scores(file, part)] for file in exports.files.get(run, {}).values()]
    header = ["Run", "File", "MB", f"{part.capitalize()} %", "Keras %", "Points lost", "Same answer %"]
    rules = (
        f"Each file in `models/export/RUN` was loaded by its own runtime and answered all photos of {part}, and so did "
        "the Keras network. Same answer: the share of photos for which both name one class. Largest difference: of a "
        "probability, over all photos and classes. Milliseconds an image stand in [cost.md](cost.md)."
    )
    table = to_markdown([*header, "Largest difference"], rows, left=2)
    return "\n\n".join([rules, table, *_judge_sizes(exports, results)])


def tabulate_export_times(exports: Exports, results: Results) -> str:
    """Return as a Markdown table the inference time of each exported file; nothing where there is none."""
    rows = []
    for run, files in exports.times.items():
        for file in files.values():
            times = file["ms_per_image"]
            shown = escape(run) + results.marks.get(run, "")
            rows.append([shown, code(file["file"]), f"{times['median']:.2f}", f"{times['p95']:.2f}"])
    return to_markdown(["Run", "File", "ms/image, batch 1", "p95"], rows, left=2) if rows else ""


def _list_scores(file: Mapping[str, Any], part: str) -> list[str]:
    """Return the cells of a file behind the name of its run."""
    score = file[part]
    lost = score["keras_accuracy"] - score["accuracy"]
    row = [code(file["file"]), f"{file['bytes'] / 1e6:.1f}", percent(score["accuracy"])]
    row += [percent(score["keras_accuracy"]), percent(lost + 0.0), percent(score["same"])]
    return [*row, f"{score['difference']:.6f}"]


def _judge_sizes(exports: Exports, results: Results) -> list[str]:
    """Return the sentence about the published size of a MobileNet, or nothing where no run has one."""
    backbones = {run.name: run.backbone for run in results.listed}
    sizes: dict[str, int] = {}  # bytes
    for run, files in exports.files.items():
        backbone = backbones.get(run)
        if backbone and results.weights[backbone]["architecture"].startswith("MobileNet"):
            sizes |= {f"{code(file['file'])} of {escape(run)}": file["bytes"] for file in files.values()}
    if not sizes:
        return []
    below = [name for name, size in sizes.items() if size < PUBLISHED_BYTES]
    told = "all files of them are" if len(below) == len(sizes) else "none of their files is"
    if 0 < len(below) < len(sizes):
        told = f"{len(below)} of their {len(sizes)} files are: {', '.join(below)}"
    return [f"A published claim has MobileNets of less than 10 MB. Of the MobileNets here {told}."]
