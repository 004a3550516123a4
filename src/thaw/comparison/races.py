"""What the races of runs with `unfreeze: {auto: …}` tried, and what that cost."""

from collections.abc import Mapping
from typing import Any

from thaw.comparison.results import Results, say_candidate
from thaw.comparison.words import escape, percent, say_count, to_markdown


def describe_races(results: Results) -> str:
    """Return in Markdown what each race tried; nothing where there was none."""
    return "\n\n".join(_describe(name, race) for name, race in results.races.items())


def _describe(name: str, race: Mapping[str, Any]) -> str:
    tried, epochs = race["candidates"], say_count(race["epochs"], "epoch")
    text = (
        f"**{escape(name)}** tried {say_count(len(tried), 'cut')} for {epochs} each and went on with the one that "
        f"was right on validation most often: {say_candidate(race['chosen'])}. In floating-point operations the race "
        f"cost {percent(race['share'])} % of training every cut to its end, and {percent(race['share_trained'])} % "
        "with the rest of the training of the one that was chosen."
    )
    rows = []
    for candidate, found in tried.items():
        words, loss = say_candidate(candidate), found["validation_loss"]
        shown = f"**{words}**" if candidate == race["chosen"] else words
        measured = "–" if loss is None else f"{loss:.4f}"
        rows.append([shown, percent(found["validation_accuracy"]), measured, f"{found['epoch_flops'] / 1e9:,.0f}"])
    header = ["Unfrozen", f"Validation % after {epochs}", "Validation loss", "GFLOPs an epoch"]
    return text + "\n\n" + to_markdown(header, rows)
