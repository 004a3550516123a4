"""The pages of the report, as Markdown text: results in one, what differs from machine to machine in the other."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

from thaw.names import PARTS
from thaw.reporting.claims import describe_claims
from thaw.reporting.comparison import (
    describe_differences,
    describe_trainings,
    find_better,
    find_cheapest,
    find_equals,
    find_frozen_share,
    find_pair,
    say_counts,
)
from thaw.reporting.figures import STEM, TOP
from thaw.reporting.photos import SAMPLE, describe_answers
from thaw.reporting.published import describe_published, is_tf_flowers
from thaw.reporting.repeats import describe_repeats
from thaw.reporting.results import rank_runs, read_metrics
from thaw.reporting.tables import (
    NO_TEST,
    compare_in_markdown,
    interval,
    name_backbone,
    name_network,
    percent,
    read_timing,
    say_count,
    tabulate_in_markdown,
    to_markdown,
)

# Shares of FLOPs that count as the same: what lies between convolutions has none, and other sizes round differently.
TOLERANCE = 0.001
MOST_NAMED = 4  # runs in the first paragraph: of more only the number is told


def write_results(evidence, by_class, size, drawings, repeats):
    """Return the text of report.md: the same results give the same text, on any machine and on any day.

    `evidence` is the comparison.Evidence on the results, `by_class` the DataFrame of the best run's scores by class,
    `size` the side of the photos in pixels, `drawings` the figures (figures.Drawing) that stand in report/figures,
    `repeats` what came of the runs that were trained again (repeats.Repeats).
    """
    results, best = evidence.results, evidence.best
    part, mark = results.part, results.marks[best]
    shown = {drawing.name: show(drawing, "figures") for drawing in drawings}
    sections = [
        "# What to unfreeze",
        *summarize(evidence),
        shown["overview"],
        *_list_waiting(results),
        *_list_notes(results),
        "## Data",
        describe_data(results, size),
        SAMPLE,
        *(["## Backbones", *describe_backbones(evidence, shown.get("cuts", ""))] if results.weights else []),
        "## Comparison",
        compare_in_markdown(results),
        "In bold the run that is best on validation. Accuracies in percent; the interval is Wilson's, at 95 %, of the "
        f"accuracy on {part}; F1 is the mean over the classes. The epochs of a fine-tuned run are those of the frozen "
        "run that it starts from, and its own. Trainable parameters are those of the last phase. "
        + ("" if part == "test" else NO_TEST + " ")
        + ("A mark at a run's name holds for every number of the row. " if results.notes else "")
        + "All numbers stand under “Every number”, times and memory in [cost.md](cost.md).",
        *(shown[name] for name in ("experiments", "strategies", "parameters")),
        "## By class",
        shown["classes"],
        f"### {best}{mark} by class",
        to_markdown(
            ["Class", f"{part.capitalize()} photos", "Precision", "Recall", "F1"],
            [
                [row["class"], row["photos"], *(f"{row[score]:.4f}" for score in ("precision", "recall", "f1"))]
                for row in by_class.to_dict("records")
            ],
        ),
        "## Right and wrong",
        describe_answers(evidence),
        "## Which differences are real",
        describe_differences(evidence),
        "## Seeds and folds",
        describe_repeats(repeats, results),
        "## How the runs trained",
        describe_trainings(evidence),
        shown.get("reliability", ""),
        *(
            [
                "## Claims",
                describe_claims(evidence),
                "## Published beside measured",
                shown.get("published", ""),
                describe_published(results),
            ]
            if is_tf_flowers(results)
            else []
        ),
        "## Learning curves",
        "Scores on train are running ones, taken while the epoch trains, and with dropout where the head has it; those "
        "on validation are taken after it. The dashed line is where part of the backbone thaws.",
        *(shown[f"curves-{run.name}"] for run in results.runs),
        "## Confusion matrices",
        f"Photos of {part}: a row for each actual class, shaded by the share of the row.",
        *(shown[f"confusion-{run.name}"] for run in results.runs),
        "## Every number",
        tabulate_in_markdown(evidence),
        "Loss is the mean cross-entropy in nats; precision, recall and F1 are means over the classes; FLOPs count two "
        "for each multiplication of convolutions and dense layers, those of a training step what lies behind the cut, "
        "forward and backward. Optimizer and rate are those of the last phase. Milliseconds an image and seconds: "
        "[cost.md](cost.md).",
    ]
    return "\n\n".join(section.strip() for section in sections if section) + "\n"


def show(drawing, folder):
    """Return the paragraph of a Drawing: the figure in `folder` below the page, and a link to its data."""
    place = f"{folder}/{drawing.name}"
    return f"![{drawing.words}]({place}.svg)\n[data]({place}.csv)"


def summarize(evidence):
    """Return the sections that answer which strategy to pick, and how sure that is."""
    results, best = evidence.results, evidence.best
    runs, part = {run.name: run for run in results.runs}, results.part
    scores, mark = results.scores[best], results.marks[best]
    accuracy = scores["validation"]["accuracy"]
    equals = [name for name in runs if results.scores[name]["validation"]["accuracy"] == accuracy and name != best]
    answer = (
        f"The run to pick is **{best}**{mark}: {_say_thaw(results, runs[best])}. It is the best of "
        f"{say_count(len(runs), 'run')} on validation, with {percent(accuracy)} %{mark} of "
        f"{say_count(scores['validation']['photos'], 'photo')}"
    )
    answer += f"; {' and '.join(equals)} reached the same with no fewer trainable parameters." if equals else "."
    if part == "test":
        answer += (
            f" On the {scores['test']['photos']:,} photos of test it reaches "
            f"**{percent(scores['test']['accuracy'])}** %{mark} (95 % interval {interval(scores, part)} %)."
        )
    else:
        answer += (
            f" The 95 % interval is {interval(scores, part)} %. {NO_TEST} The best run was chosen there too, so its "
            "accuracy flatters it."
        )
    facts = [f"**How sure that is.** {_say_equals(evidence)}"]
    cheapest = find_cheapest(evidence)
    if cheapest != best:
        facts.append(f"**What trains less.** {_say_cheapest(evidence, runs[cheapest])}")
    rival = find_rival(results)
    if rival:
        label = "What opening it brings" if rival == runs[best].start else "The runner-up"
        facts.append(f"**{label}.** {_compare(evidence, runs[rival])}")
    facts.append(
        f"**What it rests on.** {say_count(results.download['photos'], 'photo')} of "
        f"{say_count(len(results.download['classes']), 'class', 'classes')} ({results.dataset}), "
        f"{say_count(len(runs), 'run')} of the {len(results.listed)} that the table lists."
    )
    return [answer, "\n".join(f"- {fact}" for fact in facts)]


def find_rival(results):
    """Return the run that the best one is held against: the frozen run that it starts from, else the runner-up.

    For a best run that is not fine-tuned from a frozen one, or whose frozen run has not been run, the runner-up on
    validation; None where it is alone.
    """
    ranking = rank_runs(results)
    best = next(run for run in results.runs if run.name == ranking[0])
    return best.start if best.start in ranking else (ranking[1] if len(ranking) > 1 else None)


def describe_data(results, size):
    """Return the section about the photos: counts by class and part, what was left out, and their side in pixels."""
    download, split, preprocess = results.download, results.split, results.preprocess
    parts = [part for part in PARTS if split[part]["photos"]]
    columns = [download["classes"], *(split[part]["classes"] for part in parts)]
    rows = [[name, *(f"{column.get(name, 0):,}" for column in columns)] for name in download["classes"]]
    totals = [download["photos"], *(split[part]["photos"] for part in parts)]
    rows.append(["**all**", *(f"**{total:,}**" for total in totals)])
    duplicates = download["duplicates"]
    facts = [
        f"The networks see them at {size} × {size} pixels: {preprocess['bytes'] / 1e6:,.0f} MB of records.",
        f"{say_count(duplicates['within_a_class'], 'copy', 'copies')} of a photo under the same class "
        f"{'was' if duplicates['within_a_class'] == 1 else 'were'} left out.",
        f"{say_count(duplicates['across_classes'], 'photo')} came under two classes or more: "
        f"{say_count(split['left_out_two_labels'], 'file')} left out.",
        f"{say_count(split['near_duplicate_groups'], 'group')} of near duplicates, "
        f"{say_count(split['photos_in_them'], 'photo')} in all, each kept in one part.",
        f"{say_count(len(download['rejected']), 'file')} rejected as no photo (listed in `metrics/download.json`).",
        f"{say_count(len(preprocess['set_aside']), 'photo')} unreadable and set aside, "
        f"{len(preprocess['converted']):,} converted to RGB (listed in `metrics/preprocess.json`).",
        f"Digest of the photos and their classes: `{download['digest']}`.",
    ]
    table = to_markdown(["Class", "Delivered", *(part.capitalize() for part in parts)], rows)
    return table + "\n\n" + "\n".join(f"- {fact}" for fact in facts)


def describe_backbones(evidence, figure):
    """Return the sections about the backbones: their size, where each run's cut falls, and their weights.

    `figure` is the paragraph that shows the cuts.
    """
    results, sizes, cuts = evidence.results, [], []
    for backbone, document in results.weights.items():
        runs = [run for run in results.runs if run.backbone == backbone]
        blocks = [block for block in document["blocks"] if block["stage"] not in (STEM, TOP)]
        forward = f"{evidence.flops[runs[0].name]['forward'] / 1e9:.2f}" if runs else "–"
        row = [backbone, name_backbone(document), document["layers"], len(blocks), f"{document['parameters']:,}"]
        sizes.append([*row, f"{4 * document['parameters'] / 1e6:.1f}", forward])
        for run in runs:
            share = find_frozen_share(evidence, run.name)
            place = locate_cut(document["blocks"], evidence.cuts[run.name], share)
            row = [run.name + results.marks[run.name], run.thaws, f"`{evidence.cuts[run.name]}`", place]
            cuts.append([*row, f"{100 * share:.1f}", f"{results.scores[run.name]['trainable_parameters']:,}"])
    header = ["Backbone", "Architecture", "Layers", "Blocks", "Parameters", "MB", "GFLOPs an image"]
    return [
        to_markdown(header, sizes, left=2),
        "Without a classifier; layers are Keras layers, those without weights included; MB as float32; GFLOPs are of a "
        "forward pass, with the head of the first run.",
        figure,
        to_markdown(
            ["Run", "What thaws", "Cut after", "Where that is", "Frozen, % of the FLOPs", "Trainable parameters"],
            cuts,
            left=4,
        ),
        "What lies before the cut is computed once for each photo; training goes through what lies behind it. A cut is "
        "an operation whose output alone leads on, so it may lie before the first layer that is open.",
        "### Weights",
        describe_weights(results),
    ]


def locate_cut(blocks, cut, share):
    """Return in words where in a backbone the operation `cut` lies, which has `share` of the forward FLOPs before it.

    `blocks` are those of metrics/weights: the stage, the last operation and the cumulated FLOPs of each.
    """
    if cut in ("pixels", "pooling"):
        return {"pixels": "before the first layer", "pooling": "behind the last layer"}[cut]
    numbered = [block for block in blocks if block["stage"] not in (STEM, TOP)]
    names = [block["end"] for block in numbered]
    if cut in names:
        number = names.index(cut) + 1
        return f"behind block {number} of {len(numbered)} ({numbered[number - 1]['stage']})"
    total = blocks[-1]["flops"]
    passed = sum(block["flops"] / total <= share + TOLERANCE for block in blocks)
    block = blocks[min(passed, len(blocks) - 1)]
    if block["stage"] in (STEM, TOP):
        return {STEM: "before the first block", TOP: "behind the last block"}[block["stage"]]
    return f"inside block {names.index(block['end']) + 1} of {len(numbered)} ({block['stage']})"


def describe_weights(results):
    """Return the table of the weights that the runs start from."""
    marks = {run.backbone: results.marks[run.name] for run in results.runs}
    official = {True: "yes", False: "no", None: "not known"}
    rows = []
    for name, document in results.weights.items():
        # What params.yaml says may be a path of one machine; the name and digest of the file say the same anywhere.
        source = document["weights"] if document["weights"] in ("imagenet", "sample", "random") else "a file"
        digest, file = document.get("file_sha256"), document.get("file")
        row = [name + marks.get(name, ""), source, official[document["official"]]]
        rows.append([*row, f"`{file}`" if file else "–", f"`{digest}`" if digest else "–"])
    return to_markdown(["Backbone", "Weights", "Keras's own file", "File", "sha256"], rows, left=5)


def write_costs(results, drawing, folder="."):
    """Return the text of cost.md: what was measured in time and memory, and the machine that this process runs on.

    Reads the timings below `folder`; `drawing` is the figure of them in report/cost.
    """
    rows = []
    for run in results.runs:
        train, evaluate = (read_timing(folder, stage, run.name) for stage in ("train", "evaluate"))
        seconds = train["seconds"]
        row = [run.name + results.marks[run.name], run.thaws, run.training, train["batches_from"]]
        row += [f"{seconds[key]:.2f}" for key in ("prefix", "per_epoch", "training")]
        row += [f"{seconds['prefix'] + seconds['training']:.2f}", f"{100 * train['waiting_share']:.1f}"]
        row.append(f"{train['peak_memory_mib']:,}")
        for batch in ("batch_1", "batch_32"):
            row += [f"{evaluate['ms_per_image'][batch][key]:.2f}" for key in ("median", "p95")]
        rows.append(row)
    header = ["Run", "What thaws", "Epochs", "Batches from", "Prefix s", "s/epoch", "Training s", "Total s"]
    header += ["Waiting %", "Peak memory MiB"]
    header += [f"{key}, batch {batch}" for batch in (1, 32) for key in ("ms/image", "p95")]
    preprocess = read_metrics(pathlib.Path(folder) / "metrics/timing/preprocess.json", "preprocess")
    sections = [
        "# What the runs cost",
        "Times differ from run to run and from machine to machine. They are no input of any stage: nothing in "
        "[report.md](report.md) rests on them.",
        "\n".join(f"- {fact}" for fact in describe_machine()),
        "This is the machine on which this page was written, with the times as they stood then; a run that was trained "
        "elsewhere has its times from there.",
        to_markdown(header, rows, left=4),
        show(drawing, "cost"),
        "Prefix: computing the frozen layers' output for each photo, once; near zero where it was in the store "
        "already; one pass stores it for every run that will ask for it, and the first of them bears the cost. "
        "Training and total are of a run's own epochs, without those of the frozen run that it starts from. Waiting: "
        "the share of the last epoch in which training waited for data. Peak memory is resident memory of the training "
        "process. Milliseconds per image are medians and 95th percentiles over batches of 1 and of 32, after a "
        "warm-up.",
        f"Preprocessing: {preprocess['images_per_second']:,} images per second, {preprocess['seconds']:,} s in all.",
        *_list_notes(results),
    ]
    return "\n\n".join(sections) + "\n"


def describe_machine():
    """Return lines about this machine: processor, cores, memory, Python, and what computes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"Processor: {_find_processor()}, {os.cpu_count()} cores",
        f"Memory: {memory:.1f} GiB",
        f"System: {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}, TensorFlow {importlib.metadata.version('tensorflow')}, "
        f"Keras {importlib.metadata.version('keras')}",
    ]


def _find_processor():
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _compare(evidence, rival):
    """Return the sentence that says whether the best run is better than `rival`, a Run, photo by photo."""
    results, pair = evidence.results, find_pair(evidence, evidence.best, rival.name)
    scores = results.scores[rival.name]
    role = {"frozen": "The frozen run", "finetuned": "The fine-tuned run", "baseline": "The run from scratch"}
    mark = results.marks[rival.name]
    words = {None: "the two cannot be told apart", rival.name: "this is the better of the two"}
    return (
        f"{role[rival.kind]} {rival.name}{mark} reaches {percent(scores[results.part]['accuracy'])} %{mark} "
        f"({interval(scores, results.part)} %); photo by photo "
        f"{words.get(pair.winner, 'the best is better')} ({say_counts(pair)})."
    )


def _say_equals(evidence):
    """Return the sentences about which other runs the best one is better than, and which it cannot be told apart from."""
    results, equals, against = evidence.results, find_equals(evidence), evidence.against
    if not against:
        return "There is no other run to compare it with."
    ahead = sum(pair.winner == evidence.best for pair in against.values())
    behind = find_better(evidence)
    if ahead == len(against):
        return "Photo by photo, it is better than every other run."
    sentences = []
    if equals:
        which = "the only other run" if len(against) == 1 else f"{len(equals)} of the other {len(against)} runs"
        names = f" ({_list_names(results, equals)})" if 1 < len(against) and len(equals) <= MOST_NAMED else ""
        sentences.append(
            f"Photo by photo, it cannot be told apart from {which}{names}, which does not mean equal: "
            f"{evidence.pairs[0].paired.photos:,} photos do not show which is better."
        )
    if ahead:
        sentences.append(f"It is better than {say_count(ahead, 'run')}.")
    if behind:
        verb = "is" if len(behind) == 1 else "are"
        sentences.append(
            f"{_list_names(results, behind)} {verb} better than it on {results.part}, which decides nothing."
        )
    return " ".join(sentences)


def _list_names(results, names):
    return ", ".join(name + results.marks[name] for name in names)


def _say_cheapest(evidence, run):
    """Return the sentence about the Run that trains least of those that are as good as far as the photos tell."""
    results, scores = evidence.results, evidence.results.scores
    mark, own = results.marks[run.name], scores[run.name]
    return (
        f"Of the runs that cannot be told apart from it, {run.name}{mark} ({_say_thaw(results, run)}) trains least: "
        f"{own['trainable_parameters']:,} parameters, where the best trains "
        f"{scores[evidence.best]['trainable_parameters']:,}. "
        f"It reaches {percent(own[results.part]['accuracy'])} %{mark} ({interval(own, results.part)} %)."
    )


def _say_thaw(results, run):
    """Return in a few words what a Run is, for a sentence."""
    if run.kind == "baseline":
        return "a small CNN from scratch"
    network = name_network(results, run)
    return f"head only, on a frozen {network}" if run.kind == "frozen" else f"{run.thaws} of {network} open"


def _list_waiting(results):
    """Return the sentence about the runs that are missing as the section of a page, or nothing."""
    if not results.waiting:
        return []
    runs, names = say_count(len(results.waiting), "run"), ", ".join(run.name for run in results.waiting)
    return [f"{runs} of the table not run yet: {names}. `./run dvc repro` runs what is missing."]


def _list_notes(results):
    """Return the footnotes as the sections of a page: one with a line each, or none."""
    return ["\\\n".join(results.notes)] if results.notes else []
