"""What stays together, in the report: near duplicates and groups, and what they did to the shares of the split."""

from collections.abc import Mapping
from typing import Any

from thaw.base import paths
from thaw.base.names import PARTS
from thaw.comparison.words import code, escape, say_count

MOST_CLASSES = 10  # whose shares are told for a part
MOST_NAMED = 3  # pairs of near duplicates in two parts


def describe_groups(split: Mapping[str, Any]) -> list[str]:
    """Return sentences on what stays together, and on the shares that miss; `split` is metrics/split.json."""
    facts, given = [], "given_parts" in split
    largest = f"; the largest has {split['largest_group']:,}" if "largest_group" in split else ""
    if given:
        facts.append("The parts came with the photos; they were not drawn.")
    if counts := split.get("groups"):
        parts = ", ".join(f"{counts[part]:,} in {part}" for part in PARTS if part in counts)
        facts.append(
            f"{say_count(counts['in_all'], 'group')} came with the photos, {parts}, each kept in one part with its "
            f"near duplicates{largest}. Tests and intervals of this report take photos as independent: those of a "
            "group are not, so that the intervals are narrower than the number of groups allows."
        )
    if groups := split["near_duplicate_groups"]:
        kept = "" if given else ", each kept in one part"
        facts.append(
            f"{say_count(groups, 'group')} of near duplicates, {say_count(split['photos_in_them'], 'photo')} in all"
            f"{kept}{'' if counts else largest}."
        )
    if apart := split.get("near_pairs_apart"):
        pairs = f"{say_count(apart, 'pair')} of near duplicates {'is' if apart == 1 else 'are'} in two parts"
        if given:
            named = [f"{code(one)} and {code(other)}" for one, other in split["pairs_apart"].items()]
            facts.append(
                f"**{pairs}**, as they were given: scores flatter where one of a pair trains. "
                f"`{paths.SPLIT_COUNTS}` names some, for example {'; '.join(named[:MOST_NAMED])}."
            )
        else:
            facts.append(f"{pairs}: a chain of them that was large was cut into groups.")
    missed = split.get("missed", {})
    facts += [_describe_part(part, missed[part]) for part in PARTS if part in missed]
    return facts


def _describe_part(part: str, missed: Mapping[str, Any]) -> str:
    """Return the sentence on the shares of `part` that miss what was asked."""
    shares = [f"{_percent(missed['reached'])} of all photos"] if "reached" in missed else []
    classes = sorted(missed.get("classes", {}).items(), key=lambda item: -abs(item[1] - missed["asked"]))
    shares += [f"{_percent(reached)} of {escape(name)}" for name, reached in classes[:MOST_CLASSES]]
    if len(classes) > MOST_CLASSES:
        shares.append(f"and misses it in {len(classes) - MOST_CLASSES:,} more classes (`{paths.SPLIT_COUNTS}`)")
    return f"{part.capitalize()} was asked to have {100 * missed['asked']:.4g} % and has {', '.join(shares)}."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
