"""The comparison as a table: in Markdown for the report, in aligned text for a terminal."""

import pathlib

from thaw.reporting.results import find_run_interval, rank_runs, read_metrics, read_results

NOT_RUN = "not run yet"
NO_TEST = "The split has no test part: the intervals are those of validation."


def render_table(params, folder="."):
    """Return the comparison of the runs in `params` as lines of aligned text, footnotes below, for a terminal.

    Reads the metrics below `folder`. Raises InputError where a stage has not run.
    """
    results = read_results(params, folder)
    best = rank_runs(results)[0]
    parts = dict.fromkeys(("validation", results.part))
    header = ["run", "thaws", "trainable", *parts, "95 % interval", "s/epoch"]

    def measure(run, scores):
        accuracies = [percent(scores[part]["accuracy"]) for part in parts]
        seconds = read_timing(folder, "train", run.name)["seconds"]["per_epoch"]
        return [f"{scores['trainable_parameters']:,}", *accuracies, interval(scores, results.part), f"{seconds:.2f}"]

    rows = list_rows(results, results.listed, len(header), lambda run: [run.name, run.thaws], measure)
    for run, row in zip(results.listed, rows, strict=True):
        row[0] += " *" * (run.name == best)
    notes = ["* best on validation; accuracies in percent", *results.notes]
    if results.part != "test":
        notes.insert(1, NO_TEST)
    return "\n".join([align(header, rows), "", *notes])


def compare_in_markdown(results):
    """Return the comparison as a Markdown table: a row per run, with the columns that a choice rests on."""
    parts = dict.fromkeys(("train", "validation", results.part))
    header = ["Run", "Backbone", "What thaws", "Epochs", "Trainable parameters"]
    header += [*(f"{part.capitalize()} %" for part in parts), "95 % interval"]
    header += [f"{results.part.capitalize()} macro F1", "Weight file MB"]
    best = rank_runs(results)[0]

    def name(run):
        shown = f"**{run.name}**" if run.name == best else run.name
        return [shown, name_network(results, run), run.thaws, run.training]

    def measure(run, scores):
        accuracies = [percent(scores[part]["accuracy"]) for part in parts]
        row = [f"{scores['trainable_parameters']:,}", *accuracies, interval(scores, results.part)]
        return [*row, f"{scores[results.part]['f1']:.4f}", f"{scores['weights_bytes'] / 1e6:.2f}"]

    return to_markdown(header, list_rows(results, results.listed, len(header), name, measure), left=4)


def tabulate_in_markdown(evidence):
    """Return as a Markdown table all that was measured of each run but time: a row per run, in the order of the table.

    `evidence` is a comparison.Evidence.
    """
    results = evidence.results
    parts = list(dict.fromkeys(("train", "validation", results.part)))
    header = ["Run", "No.", "Backbone", "What thaws", "Epochs", "Optimizer, rate", "Trainable parameters"]
    header += ["Parameters", "Weight file MB", "MFLOPs an image", "MFLOPs a training step"]
    for part in parts:
        header += [f"{part.capitalize()} {score}" for score in ("%", "loss", "precision", "recall", "F1")]
    header.append("Train − validation, points")
    numbers = {run.name: number for number, run in enumerate(results.listed, start=1)}

    def name(run):
        return [run.name, numbers[run.name], name_network(results, run), run.thaws, run.training, run.optimizer]

    def measure(run, scores):
        flops = evidence.flops[run.name]
        row = [f"{scores[key]:,}" for key in ("trainable_parameters", "total_parameters")]
        row.append(f"{scores['weights_bytes'] / 1e6:.2f}")
        row += [f"{flops[key] / 1e6:,.2f}" for key in ("forward", "training_step")]
        for part in parts:
            row.append(percent(scores[part]["accuracy"]))
            losses = [scores[part][score] for score in ("loss", "precision", "recall", "f1")]
            row += ["no number" if value is None else f"{value:.4f}" for value in losses]
        return [*row, f"{100 * (scores['train']['accuracy'] - scores['validation']['accuracy']):.1f}"]

    return to_markdown(header, list_rows(results, results.listed, len(header), name, measure), left=6)


def list_rows(results, runs, width, name, measure):
    """Return the rows of a table of `runs` (Runs), each with `width` cells: what a run is, then what was measured.

    `name(run)` gives the first cells, the name first, which gets the mark of its footnote; `measure(run, scores)` gives
    the others from the document of its evaluation. A run that has not been run says so, and has dashes.
    """
    rows = []
    for run in runs:
        row = name(run)
        if results.has(run):
            row[0] += results.marks[run.name]
            row += measure(run, results.scores[run.name])
        else:
            row += [NOT_RUN, *["–"] * (width - len(row) - 1)]
        rows.append(row)
    return rows


def name_network(results, run):
    """Return what a table calls the network of a Run: an architecture, with its width where that is not 1.

    The entry of `backbones` where its weights are not there yet, a dash for the baseline.
    """
    if run.backbone is None:
        return "–"
    return name_backbone(results.weights[run.backbone]) if run.backbone in results.weights else run.backbone


def name_backbone(document):
    """Return the architecture of a backbone, with its width where that is not the published one."""
    width = "" if document["width"] == 1 else f" × {document['width']:g}"
    return document["architecture"] + width


def percent(share):
    """Return a share in [0, 1] as percent with two decimals."""
    return f"{100 * share:.2f}"


def interval(scores, part):
    """Return the 95 % interval of a run's accuracy on `part`, as `say_interval` has it."""
    return say_interval(*find_run_interval(scores, part))


def say_interval(low, high):
    """Return an interval of shares as percent with one decimal, ``84.3 – 91.0``."""
    return f"{100 * low:.1f} – {100 * high:.1f}"


def say_count(number, one, many=None):
    """Return a number with the word for what is counted, ``1 run`` or ``1,200 runs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def read_timing(folder, stage, name):
    """Return what run `name` took in `stage` (train or evaluate)."""
    return read_metrics(pathlib.Path(folder) / f"metrics/timing/{stage}/{name}.json", name)


def to_markdown(header, rows, left=1):
    """Return a Markdown table, its first `left` columns aligned left and the others right."""
    rule = ["---" if i < left else "---:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def align(header, rows, left=2):
    """Return the table as plain text, its first `left` columns aligned left and the others right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines.insert(1, ["─" * width for width in widths])
    pads = [str.ljust if i < left else str.rjust for i in range(len(header))]
    aligned = (
        "  ".join(pad(cell, width) for pad, cell, width in zip(pads, line, widths, strict=True)) for line in lines
    )
    return "\n".join(line.rstrip() for line in aligned)
