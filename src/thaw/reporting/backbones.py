"""The section on the backbones: their size, where each run is cut, and the weights that the runs start from."""

from collections.abc import Mapping, Sequence
from typing import Any

from thaw.comparison.pairs import Evidence, find_frozen_share
from thaw.comparison.results import Results
from thaw.comparison.words import code, escape, to_markdown
from thaw.reporting.tables import UNFROZEN, name_backbone

STEM, TOP = "stem", "top"  # the stages of a backbone's layers before its first block and behind its last

# Shares of FLOPs that count as the same: what lies between convolutions has none, and other sizes round differently.
TOLERANCE = 0.001


def describe_backbones(evidence: Evidence, figure: str) -> str:
    """Return the section about the backbones; `figure` is the paragraph that shows the cuts."""
    return "\n\n".join(
        [
            _tabulate_sizes(evidence),
            "Without a classifier; layers are Keras layers, those without weights included; MB as float32; GFLOPs are "
            "of a forward pass, with the head of the first run.",
            figure,
            _tabulate_cuts(evidence),
            "What lies before the cut is computed once for each photo; training goes through what lies behind it. A "
            "cut is an operation whose output alone leads on, so it may lie before the first layer that is open.",
            "### Weights",
            describe_weights(evidence.results),
        ]
    )


def _tabulate_sizes(evidence: Evidence) -> str:
    """Return the table of the backbones."""
    results, rows = evidence.results, []
    for backbone, document in results.weights.items():
        run = next((run for run in results.runs if run.backbone == backbone), None)
        blocks = [block for block in document["blocks"] if block["stage"] not in (STEM, TOP)]
        names = [escape(backbone), name_backbone(document, escape)]
        row = [*names, document["layers"], len(blocks), f"{document['parameters']:,}"]
        row += [f"{4 * document['parameters'] / 1e6:.1f}"]
        rows.append([*row, f"{evidence.flops[run.name]['forward'] / 1e9:.2f}" if run else "–"])
    header = ["Backbone", "Architecture", "Layers", "Blocks", "Parameters", "MB", "GFLOPs an image"]
    return to_markdown(header, rows, left=2)


def _tabulate_cuts(evidence: Evidence) -> str:
    """Return the table of where each run is cut, the runs of a backbone together."""
    results, rows = evidence.results, []
    for backbone, document in results.weights.items():
        for run in (run for run in results.shown if run.backbone == backbone and results.has(run)):
            share, cut = find_frozen_share(evidence, run.name), evidence.cuts[run.name]
            row = [escape(run.name) + results.marks[run.name], run.unfrozen, code(cut)]
            row += [locate_cut(document["blocks"], cut, share), f"{100 * share:.1f}"]
            rows.append([*row, f"{results.scores[run.name]['trainable_parameters']:,}"])
    header = ["Run", UNFROZEN, "Cut after", "Where that is", "Frozen, % of the FLOPs", "Trainable parameters"]
    return to_markdown(header, rows, left=4)


def locate_cut(blocks: Sequence[Mapping[str, Any]], cut: str, share: float) -> str:
    """Return where in a backbone the operation `cut` lies, which has `share` of the forward FLOPs before it.

    `blocks` are those of metrics/weights: the stage, the last operation and the cumulated FLOPs of each. The text is
    Markdown.
    """
    if cut in ("pixels", "pooling"):
        return {"pixels": "before the first layer", "pooling": "behind the last layer"}[cut]
    numbered = [block for block in blocks if block["stage"] not in (STEM, TOP)]
    names = [block["end"] for block in numbered]
    if cut in names:
        number = names.index(cut) + 1
        return f"behind block {number} of {len(numbered)} ({escape(numbered[number - 1]['stage'])})"
    total = blocks[-1]["flops"]
    passed = sum(block["flops"] / total <= share + TOLERANCE for block in blocks)
    block = blocks[min(passed, len(blocks) - 1)]
    if block["stage"] in (STEM, TOP):
        return {STEM: "before the first block", TOP: "behind the last block"}[block["stage"]]
    return f"inside block {names.index(block['end']) + 1} of {len(numbered)} ({escape(block['stage'])})"


def describe_weights(results: Results) -> str:
    """Return the table of the weights that the runs start from."""
    marks = {run.backbone: results.marks[run.name] for run in results.runs if run.backbone}
    official = {True: "yes", False: "no", None: "not known"}
    rows = []
    for name, document in results.weights.items():
        # params.yaml may name a path of one machine; the name and digest of the file are the same anywhere.
        source = document["weights"] if document["weights"] in ("imagenet", "sample", "random") else "a file"
        digest, file = document.get("file_sha256"), document.get("file")
        row = [escape(name) + marks.get(name, ""), source, official[document["official"]]]
        rows.append([*row, code(file) if file else "–", code(digest) if digest else "–"])
    return to_markdown(["Backbone", "Weights", "Keras's own file", "File", "sha256"], rows, left=5)
