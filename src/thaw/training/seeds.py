"""A run trained again with other seeds."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from thaw.base.progress import track
from thaw.evaluation import scoring
from thaw.records import reading
from thaw.training.repeating import SCORES, Repeated, place_parts, summarize_spread, train_again
from thaw.training.resuming import Unfinished
from thaw.training.runs import Setting


def replicate(
    repeated: Repeated, own: Mapping[str, Any], setting: Setting
) -> tuple[dict[str, Any], pd.DataFrame, list[Unfinished]]:
    """Train a run with the seeds that follow the table's.

    `own` are the scores of the table's own run by part, which count as those of the first seed. Returns (how the scores
    vary, a row for each epoch of each training with its `seed`, the states of the trainings).
    """
    rows = place_parts(setting.records)
    parts = sorted(rows, key=lambda part: part == "train")  # validation first: the histories have its scores
    labels = {part: reading.read_labels(setting.records, part)[0] for part in parts}
    found: list[dict[str, Any]] = [{part: own[part] for part in parts}]
    histories, states, chosen = [], [], []
    first, count = setting.training.seed, repeated.times
    for seed in track(range(first + 1, first + count), f"{repeated.name}: other seeds", count - 1, "trainings"):
        seeded = setting._replace(training=setting.training.model_copy(update={"seed": seed}))
        made = train_again(
            repeated, seeded, rows["train"], [rows[part] for part in parts], (rows["train"], rows["validation"])
        )
        found.append({part: scoring.score(labels[part], of) for part, of in zip(parts, made.logits, strict=True)})
        histories.append(made.history.assign(seed=seed))
        states += made.states
        chosen.append(made.chosen)
    document: dict[str, Any] = {"seeds": list(range(first, first + count))}
    if any(chosen):
        document["chosen"] = dict(zip(map(str, document["seeds"][1:]), chosen, strict=True))
    for score in SCORES:
        document[score] = {part: summarize_spread([scores[part][score] for scores in found]) for part in parts}
    table = pd.concat(histories, ignore_index=True)
    return document, table[["seed", *histories[0].columns.drop("seed")]], states
