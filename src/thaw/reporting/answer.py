"""What the report begins with: which strategy to pick, and how sure that is."""

from collections.abc import Callable, Sequence

from thaw.comparison.pairs import (
    AS_GOOD,
    NOT_SHOWN,
    WORSE,
    Evidence,
    find_better,
    find_cheaper,
    find_cheapest,
    find_pair,
    list_standing,
    say_counts,
)
from thaw.comparison.results import Results, Run, describe_unfreeze, find_run_interval, rank_runs, say_weights
from thaw.comparison.words import NO_TEST, escape, interval, percent, say_count, say_interval
from thaw.reporting.tables import name_network

MOST_NAMED = 4  # runs: of more only the number is printed


def write_verdict(evidence: Evidence) -> str:
    """Return the answer in one line of Markdown: the strategy to pick, and the accuracy that it reaches."""
    results, best = evidence.results, evidence.best
    run = next(run for run in results.runs if run.name == best)
    low, high = find_run_interval(results.scores[best], results.part)
    accuracy = 100 * results.scores[best][results.part]["accuracy"]
    return f"{say_strategy(results, run, escape)}: {accuracy:.1f} % ({say_interval(low, high)})"


def write_lead(results: Results) -> str:
    """Return the paragraph on what the answer rests on: the photos, the runs, and how they are judged."""
    photos, number = results.download["photos"], len(results.download["classes"])
    classes = say_count(number, "class", "classes")
    counted = results.scores[results.runs[0].name][results.part]["photos"]
    runs = say_count(len(results.runs), "run")
    runs += f" of the {len(results.listed)} that the table lists" if results.waiting else ""
    return (
        f"{say_count(photos, 'photo')} of {classes} ({escape(results.dataset)}); {runs}, "
        f"chosen on validation; the accuracy is that on {counted:,} photos of {results.part}, with its 95 % interval."
    )


def say_strategy(results: Results, run: Run, show: Callable[[str], str] = str) -> str:
    """Return what to do to get a Run, as in ``Open the last 4 blocks of ResNet50``; `show` as in `name_network`."""
    if run.kind == "baseline":
        return "Train a small CNN from scratch"
    network, opened = name_network(results, run, show), run.unfrozen
    if run.kind == "frozen" or opened == describe_unfreeze(None):
        return f"Train a head on frozen {network}"
    if opened.startswith("from "):
        return f"Open {network} {opened}"
    return f"Open {'the ' if opened.startswith('last ') else ''}{opened} of {network}"


def summarize_answer(evidence: Evidence) -> str:
    """Return the list that says how sure the answer is, and what else could be picked."""
    results, best = evidence.results, evidence.best
    runs = {run.name: run for run in results.runs}
    facts = [f"**How sure that is.** {_say_equals(evidence)}"]
    cheapest, cheaper = find_cheapest(evidence), find_cheaper(evidence)
    if cheapest != best:
        facts.append(f"**What trains less.** {_say_cheapest(evidence, runs[cheapest])}")
    elif cheaper:
        facts.append(f"**What trains less.** {_say_cheaper(evidence, cheaper)}")
    rival = find_rival(results)
    if rival:
        label = "What opening it brings" if rival == runs[best].start else "The runner-up"
        facts.append(f"**{label}.** {_compare(evidence, runs[rival])}")
    return "\n".join(f"- {fact}" for fact in facts)


def find_rival(results: Results) -> str | None:
    """Return the run that the best one is compared with: the frozen run that it starts from, else the runner-up.

    For a best run that is not fine-tuned from a frozen one, or whose frozen run has not been run, the runner-up on
    validation; None where it is alone.
    """
    ranking = rank_runs(results)
    best = next(run for run in results.runs if run.name == ranking[0])
    return best.start if best.start in ranking else (ranking[1] if len(ranking) > 1 else None)


def name_best(evidence: Evidence) -> str:
    """Return the sentences that name the best run and its accuracy."""
    results = evidence.results
    best = next(run for run in results.runs if run.name == evidence.best)
    scores, mark, part = results.scores[best.name], results.marks[best.name], results.part
    accuracy = scores["validation"]["accuracy"]
    others = [run.name for run in results.runs if run.name != best.name]
    equals = [escape(name) for name in others if results.scores[name]["validation"]["accuracy"] == accuracy]
    answer = (
        f"The run to pick{say_weights(results, [best.name])} is **{escape(best.name)}**{mark}: "
        f"{_say_opening(results, best)}. It is the best of {say_count(len(results.runs), 'run')} on validation, with "
        f"{percent(accuracy)} % of {say_count(scores['validation']['photos'], 'photo')}"
    )
    which = " and ".join(equals) if len(equals) <= MOST_NAMED else say_count(len(equals), "other run")
    answer += f"; {which} reached the same with no fewer trainable parameters." if equals else "."
    if part == "test":
        return answer + (
            f" On the {scores['test']['photos']:,} photos of test it reaches "
            f"**{percent(scores['test']['accuracy'])}** % (95 % interval {interval(scores, part)} %)."
        )
    return answer + (
        f" The 95 % interval is {interval(scores, part)} %. {NO_TEST} The best run was chosen there too, so its "
        "accuracy flatters it."
    )


def _compare(evidence: Evidence, rival: Run) -> str:
    """Return the sentence on whether the best run is better than `rival`, photo by photo."""
    results, pair = evidence.results, find_pair(evidence, evidence.best, rival.name)
    scores = results.scores[rival.name]
    role = {"frozen": "The frozen run", "finetuned": "The fine-tuned run", "baseline": "The run from scratch"}
    mark = results.marks[rival.name]
    words = {None: "the two cannot be told apart", rival.name: "this is the better of the two"}
    return (
        f"{role[rival.kind]} {escape(rival.name)}{mark} reaches {percent(scores[results.part]['accuracy'])} % "
        f"({interval(scores, results.part)} %); photo by photo "
        f"{words.get(pair.winner, 'the best is better')} ({say_counts(pair)})."
    )


def _say_equals(evidence: Evidence) -> str:
    """Return the sentences on how the other runs stand to the best one: as good, worse, or neither shown."""
    results, against, margin = evidence.results, evidence.against, 100 * evidence.results.margin
    if not against:
        return "There is no other run to compare it with."
    photos = evidence.pairs[0].paired.photos
    standing = {key: list_standing(evidence, key) for key in (AS_GOOD, WORSE, NOT_SHOWN)}
    sentences = []
    if standing[AS_GOOD]:
        which = _name_few(results, standing[AS_GOOD])
        sentences.append(f"Shown to be as good, to lose less than {margin:g} points: {which}.")
    if standing[WORSE]:
        sentences.append(f"Shown to be worse: {_name_few(results, standing[WORSE])}.")
    if standing[NOT_SHOWN]:
        sentences.append(
            f"Neither is shown of {_name_few(results, standing[NOT_SHOWN])}: {photos:,} photos are too few to tell."
        )
    behind = find_better(evidence)
    if behind:
        verb = "is" if len(behind) == 1 else "are"
        sentences.append(
            f"{_name_few(results, behind)} {verb} better than it on {results.part}, which decides nothing."
        )
    return " ".join(sentences)


def _name_few(results: Results, names: Sequence[str]) -> str:
    """Return the names of the runs with their marks, or how many there are where they are more than MOST_NAMED."""
    return _list_names(results, names) if len(names) <= MOST_NAMED else say_count(len(names), "run")


def _list_names(results: Results, names: Sequence[str]) -> str:
    return ", ".join(escape(name) + results.marks[name] for name in names)


def _say_cheapest(evidence: Evidence, run: Run) -> str:
    """Return the sentence about the Run that trains least of those that are shown to be as good."""
    results, scores = evidence.results, evidence.results.scores
    mark, own = results.marks[run.name], scores[run.name]
    lost = evidence.against[run.name].interval.high
    return (
        f"Of the runs that are as good, {escape(run.name)}{mark} ({_say_opening(results, run)}) trains least: "
        f"{own['trainable_parameters']:,} parameters, where the best trains "
        f"{scores[evidence.best]['trainable_parameters']:,}. "
        f"It reaches {percent(own[results.part]['accuracy'])} % ({interval(own, results.part)} %), and may lose "
        f"{max(100 * lost, 0):.1f} points at most (95 %)."
    )


def _say_cheaper(evidence: Evidence, names: Sequence[str]) -> str:
    """Return the sentences about the runs that train less, none of which is shown to be as good."""
    results, margin = evidence.results, 100 * evidence.results.margin
    photos = evidence.pairs[0].paired.photos
    losses = [
        f"{escape(name)}{results.marks[name]} {100 * evidence.against[name].interval.high:.1f}"
        for name in names[:MOST_NAMED]
    ]
    more = f", the other {len(names) - len(losses)} more" if len(names) > len(losses) else ""
    return (
        f"No run that trains less is shown to lose less than {margin:g} points: {photos:,} photos are too few. At most "
        f"it may lose (95 %): {', '.join(losses)} points{more}. Cross-validation (`folds` of `params.yaml`) scores "
        "every photo and can show smaller margins."
    )


def _say_opening(results: Results, run: Run) -> str:
    """Return what a Run opens, as part of a sentence."""
    if run.kind == "baseline":
        return "a small CNN from scratch"
    network = name_network(results, run, escape)
    return f"head only, on a frozen {network}" if run.kind == "frozen" else f"{run.unfrozen} of {network} open"
