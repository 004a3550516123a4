"""Near duplicates in the report: their groups, and what they did to the shares of the split."""

from collections.abc import Mapping
from typing import Any

from thaw.base import paths
from thaw.base.names import PARTS
from thaw.comparison.words import escape, say_count

MOST_CLASSES = 10  # whose shares are told for a part


def describe_groups(split: Mapping[str, Any]) -> list[str]:
    """Return sentences on the groups of near duplicates, and on the shares that miss; `split` is metrics/split.json."""
    facts = []
    if groups := split["near_duplicate_groups"]:
        largest = f"; the largest has {split['largest_group']:,}" if "largest_group" in split else ""
        facts.append(
            f"{say_count(groups, 'group')} of near duplicates, {say_count(split['photos_in_them'], 'photo')} in all, "
            f"each kept in one part{largest}."
        )
    if apart := split.get("near_pairs_apart"):
        facts.append(
            f"{say_count(apart, 'pair')} of near duplicates {'is' if apart == 1 else 'are'} in two parts: a chain of "
            "them that was large was cut into groups."
        )
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
