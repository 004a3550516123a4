"""Pages of docs/ told from the kept results of a preset: figures and sentences are worked out, never written by hand."""

from thaw.presets import ROOT, read_preset
from thaw.publishing import write_text
from thaw.reporting.comparison import read_evidence
from thaw.reporting.publication import write_drawings
from thaw.reporting.results import read_results
from thaw.schema import check


def write_page(preset, list_drawings, render, root=ROOT):
    """Write docs/`preset`.md and the figures of docs/`preset`/ below `root`, from `root`/presets/`preset`.

    `list_drawings` makes Drawings of the Evidence (comparison.Evidence) on the preset's runs, and `render` the page in
    Markdown of both. The same results give the same bytes. Raises InputError where a stage has not run.
    """
    kept = root / "presets" / preset
    params = check(read_preset(preset, root), f"presets/{preset}.yaml")
    evidence = read_evidence(read_results(params, kept), kept)
    drawings = list_drawings(evidence)
    write_drawings(drawings, root / "docs" / preset)
    write_text(root / "docs" / f"{preset}.md", render(evidence, drawings))


def show(preset, drawing):
    """Return the line of Markdown that shows a Drawing of the preset's page."""
    return f"![{drawing.words}]({preset}/{drawing.name}.svg)"
