"""docs/reports/: a page for each published report, its rows and claims beside what was measured.

    ./run python -m thaw.cli.reports

A report is measured twice: under its own protocol, which is the preset of its name and whose kept results stand in
presets/NAME, and under that of params.yaml. The prose stands in report.md.j2 and reports.md.j2.
"""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import write_text
from thaw.comparison.claims import ALL, Claim, judge_claims
from thaw.comparison.judging import Finding
from thaw.comparison.pairs import Evidence, read_evidence, tabulate_best
from thaw.comparison.published import (
    NOT_RUN,
    Measured,
    count_rows,
    is_mislabelled,
    list_counts,
    measure_row,
    print_row,
    read_published,
    say_rows,
    select_rows,
)
from thaw.comparison.results import read_results, say_weights
from thaw.comparison.words import say_count, to_markdown
from thaw.config.checking import check
from thaw.config.loading import read_yaml
from thaw.config.presets import ROOT, read_preset
from thaw.reporting.templates import render

OWN, OURS = "its own protocol", "params.yaml"
SECTIONS = ("dataset", "split", "image", "compute", "training", "backbones")  # that every run of a table shares


class Protocols(NamedTuple):
    """What was measured of one report."""

    own: Evidence | None  # under its own protocol; None where its preset has no kept results
    ours: Evidence  # of params.yaml
    same: bool  # whether its protocol is that of params.yaml, so that `own` is `ours`


def write_pages(root: pathlib.Path = ROOT) -> None:
    """Write docs/reports/NAME.md of every published report, and docs/reports/README.md, below `root`.

    The same results give the same bytes. Raises InputError where params.yaml has no results, and as `read_preset` does.
    """
    document = read_yaml(root / paths.PARAMS)
    ours = _read_evidence(document, paths.PARAMS, root)
    found = {
        str(name): _read_protocols(str(name), document, ours, root) for name in read_published()["report"].unique()
    }
    for name, protocols in found.items():
        write_text(root / "docs" / "reports" / f"{name}.md", render_page(name, protocols))
    write_text(root / "docs" / "reports" / "README.md", render_index(found))


def _read_protocols(name: str, document: Mapping[str, Any], ours: Evidence, root: pathlib.Path) -> Protocols:
    preset, kept = read_preset(name, root), root / "presets" / name
    if _is_part(preset, document):
        return Protocols(ours, ours, True)
    own = _read_evidence(preset, f"presets/{name}.yaml", kept) if kept.is_dir() else None
    return Protocols(own, ours, False)


def _read_evidence(document: Mapping[str, Any], name: str, folder: pathlib.Path) -> Evidence:
    return read_evidence(read_results(check(dict(document), name), folder), folder)


def _is_part(preset: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Return whether params.yaml has every run of a preset, with the same values."""
    shared = all(
        preset[section] == {key: document[section].get(key) for key in preset[section]} for section in SECTIONS
    )
    return shared and all(preset[kind].items() <= document[kind].items() for kind in ("frozen", "finetune"))


def render_page(name: str, protocols: Protocols) -> str:
    """Return the page in Markdown on one report."""
    own, ours, same = protocols
    results = own.results if own else None
    return render(
        pathlib.Path(__file__).with_name("report.md.j2"),
        name=name,
        same=same,
        own=results,
        waiting=say_count(len(results.waiting), "run") if results and results.waiting else "",
        counts={
            label: say_rows([name], evidence.results if evidence else None)
            for label, evidence in _list_evidence(protocols).items()
        },
        rows=_tabulate_rows(name, protocols),
        claims=_tabulate_claims(name, protocols),
        differences=tabulate_best(own) if own and own.against else "",
        best=own.best if own else "",
        part=results.part if results else "",
        notes=sorted({*ours.results.notes, *(results.notes if results else [])}),
    )


def render_index(found: Mapping[str, Protocols]) -> str:
    """Return the page in Markdown that counts, over all reports, what was measured and how it compares."""
    header = ["Report", "Rows", f"Measured under {OWN}", "of these", f"Measured under {OURS}", "of these"]
    rows = []
    for name, protocols in found.items():
        cells: list[object] = [f"[{name}]({name}.md)", len(select_rows([name]))]
        for evidence in (protocols.own, protocols.ours):
            counts = count_rows([name], evidence.results if evidence else None)
            cells += [counts.total() - counts[NOT_RUN], list_counts(counts)]
        rows.append(cells)
    mislabelled = [row for row in read_published().to_dict("records") if is_mislabelled(row)]
    return render(
        pathlib.Path(__file__).with_name("reports.md.j2"),
        table=to_markdown(header, rows),
        rows=len(read_published()),
        measured=sum(
            any(
                measure_row(evidence.results, row)
                for evidence in (found[row["report"]].own, found[row["report"]].ours)
                if evidence
            )
            for row in read_published().to_dict("records")
        ),
        mislabelled=[f"{row['report']}, row {row['row']}: {row['note']}" for row in mislabelled],
    )


def _list_evidence(protocols: Protocols) -> dict[str, Evidence | None]:
    """Return {protocol: its Evidence}: one where both are the same."""
    return {OURS: protocols.ours} if protocols.same else {OWN: protocols.own, OURS: protocols.ours}


def _tabulate_rows(name: str, protocols: Protocols) -> str:
    """Return the Markdown table of the report's rows, each beside the run that stands for it under each protocol."""
    header = ["Published as", "What was open", "Published %", "Photos", "Interval"]
    sides = _list_evidence(protocols)
    for label in sides:
        header += [f"Run, {label}", "%", "Interval", "Verdict"]
    table = []
    for row in select_rows([name]).to_dict("records"):
        measured = [measure_row(evidence.results, row) if evidence else [] for evidence in sides.values()]
        nothing = Measured("–", "–", "–", NOT_RUN)
        cells = [cell for runs in measured for cell in (runs[0] if runs else nothing)]
        table.append([*print_row(row), *cells, row["note"]])
    return to_markdown([*header, "Note"], table, left=len(header) + 1)


def _tabulate_claims(name: str, protocols: Protocols) -> str:
    """Return the Markdown table of the report's claims, judged under each protocol."""
    header, columns = ["Claim"], []
    for label, evidence in _list_evidence(protocols).items():
        header += [f"Test, {label}", "Verdict"]
        columns.append(_judge(name, evidence) if evidence else None)
    words = [claim.words for claim, _ in _judge(name, protocols.ours)]
    rows = []
    for number, claim in enumerate(words):
        cells = []
        for evidence, found in zip(_list_evidence(protocols).values(), columns, strict=True):
            finding = found[number][1] if found else Finding([], "–", "not run")
            weights = say_weights(evidence.results, finding.runs) if evidence else ""
            cells += [finding.test, f"**{finding.verdict}**{weights}"]
        rows.append([claim, *cells])
    return to_markdown(header, rows, left=len(header))


def _judge(name: str, evidence: Evidence) -> list[tuple[Claim, Finding]]:
    return [(claim, finding) for claim, finding in judge_claims(evidence, [name]) if claim.report != ALL]


if __name__ == "__main__":
    run_program(lambda: write_pages(pathlib.Path.cwd()))
