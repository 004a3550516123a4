"""export@RUN: a trained run as files for phones, browsers and servers, each checked against the Keras network."""

import pathlib

import numpy as np

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.files import digest_of, read_json, write_json
from thaw.base.names import PARTS
from thaw.base.stage import find_key
from thaw.config.loading import load
from thaw.export.card import Facts
from thaw.export.exporting import export
from thaw.export.files import About
from thaw.networks.files import load_network
from thaw.records.reading import read_index, read_labels


def main() -> None:
    name, params = find_key(), load()
    configure(params.compute.in_float32(), params.training.seed)
    network, description = load_network(name)
    index, backbone = read_index(paths.RECORDS), description["backbone"]
    scores = {part: score for part, score in read_json(paths.find_evaluation(name))[name].items() if part in PARTS}
    digests = {"weights": digest_of(paths.find_weights(name)), "records": index["digest"]}
    counts = {part: np.bincount(read_labels(paths.RECORDS, part)[0], minlength=len(index["classes"])) for part in PARTS}
    facts = Facts(
        description=description,
        dataset=params.dataset,
        counts={part: dict(zip(index["classes"], map(int, found), strict=True)) for part, found in counts.items()},
        epochs=read_json(paths.find_training(name))[name]["epochs"],
        origin=backbone and read_json(paths.find_weights_metrics(backbone["name"]))["weights"][backbone["name"]],
        credits=pathlib.Path(paths.CREDITS),
        threads=params.compute.threads,
    )
    about = About(name, index["size"], index["classes"], digests, scores)
    found = export(network, about, params.export[name], facts, paths.RECORDS, pathlib.Path(paths.find_export(name)))
    write_json(paths.find_export_scores(name), {"exports": {name: found.metrics}})
    write_json(paths.find_export_time(name), {"exports": {name: found.timing}})


if __name__ == "__main__":
    run_program(main)
