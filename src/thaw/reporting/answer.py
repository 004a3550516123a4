"""What the report begins with: which strategy to pick, and how sure that is."""

from collections.abc import Sequence

from thaw.comparison.pairs import Evidence, find_better, find_cheapest, find_equals, find_pair, say_counts
from thaw.comparison.results import Results, Run, rank_runs
from thaw.comparison.words import NO_TEST, interval, percent, say_count
from thaw.reporting.tables import name_network

MOST_NAMED = 4  # runs: of more only the number is printed


def summarize_answer(evidence: Evidence) -> str:
    """Return the paragraphs that answer which strategy to pick, and how sure that is."""
    results, best = evidence.results, evidence.best
    runs = {run.name: run for run in results.runs}
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
    return _say_best(results, runs[best]) + "\n\n" + "\n".join(f"- {fact}" for fact in facts)


def find_rival(results: Results) -> str | None:
    """Return the run that the best one is compared with: the frozen run that it starts from, else the runner-up.

    For a best run that is not fine-tuned from a frozen one, or whose frozen run has not been run, the runner-up on
    validation; None where it is alone.
    """
    ranking = rank_runs(results)
    best = next(run for run in results.runs if run.name == ranking[0])
    return best.start if best.start in ranking else (ranking[1] if len(ranking) > 1 else None)


def _say_best(results: Results, best: Run) -> str:
    """Return the sentences that name the best run and its accuracy."""
    scores, mark, part = results.scores[best.name], results.marks[best.name], results.part
    accuracy = scores["validation"]["accuracy"]
    others = [run.name for run in results.runs if run.name != best.name]
    equals = [name for name in others if results.scores[name]["validation"]["accuracy"] == accuracy]
    answer = (
        f"The run to pick is **{best.name}**{mark}: {_say_opening(results, best)}. It is the best of "
        f"{say_count(len(results.runs), 'run')} on validation, with {percent(accuracy)} %{mark} of "
        f"{say_count(scores['validation']['photos'], 'photo')}"
    )
    answer += f"; {' and '.join(equals)} reached the same with no fewer trainable parameters." if equals else "."
    if part == "test":
        return answer + (
            f" On the {scores['test']['photos']:,} photos of test it reaches "
            f"**{percent(scores['test']['accuracy'])}** %{mark} (95 % interval {interval(scores, part)} %)."
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
        f"{role[rival.kind]} {rival.name}{mark} reaches {percent(scores[results.part]['accuracy'])} %{mark} "
        f"({interval(scores, results.part)} %); photo by photo "
        f"{words.get(pair.winner, 'the best is better')} ({say_counts(pair)})."
    )


def _say_equals(evidence: Evidence) -> str:
    """Return the sentences on which runs the best one is better than, and which it cannot be told apart from."""
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
        names = f" ({_list_names(results, equals)})" if len(against) > 1 and len(equals) <= MOST_NAMED else ""
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


def _list_names(results: Results, names: Sequence[str]) -> str:
    return ", ".join(name + results.marks[name] for name in names)


def _say_cheapest(evidence: Evidence, run: Run) -> str:
    """Return the sentence about the Run that trains least of those that are as good as far as the photos tell."""
    results, scores = evidence.results, evidence.results.scores
    mark, own = results.marks[run.name], scores[run.name]
    return (
        f"Of the runs that cannot be told apart from it, {run.name}{mark} ({_say_opening(results, run)}) trains least: "
        f"{own['trainable_parameters']:,} parameters, where the best trains "
        f"{scores[evidence.best]['trainable_parameters']:,}. "
        f"It reaches {percent(own[results.part]['accuracy'])} %{mark} ({interval(own, results.part)} %)."
    )


def _say_opening(results: Results, run: Run) -> str:
    """Return what a Run opens, as part of a sentence."""
    if run.kind == "baseline":
        return "a small CNN from scratch"
    network = name_network(results, run)
    return f"head only, on a frozen {network}" if run.kind == "frozen" else f"{run.unfrozen} of {network} open"
