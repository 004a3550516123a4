"""evaluate_*@RUN: one trained run, scored once on every part; nothing for a baseline that params.yaml leaves out."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.files import write_json
from thaw.base.stage import find_key, leave_out
from thaw.config.loading import load
from thaw.config.openings import list_openings
from thaw.evaluation.evaluating import evaluate
from thaw.evaluation.latency import measure_latency
from thaw.evaluation.saving import save_evaluation
from thaw.networks.classifiers import find_answering
from thaw.networks.files import load_network
from thaw.store.opening import Asked


def main() -> None:
    name, params = find_key(), load()
    if name not in params.runs:
        finders = paths.find_evaluation, paths.find_evaluation_time, paths.find_headline
        leave_out(find(name) for find in (*finders, paths.find_class_scores, paths.find_predictions))
        return
    configure(params.compute, params.training.seed)
    network, description = load_network(name)
    backbone = description["backbone"]
    openings = list_openings(params, backbone["name"]) if backbone else []
    save_evaluation(evaluate(network, description, paths.RECORDS, Asked(params.compute, openings)), description)
    # The runs of one backbone, head and `flip_test` are the same forward pass: the first of them is timed.
    timed = params.find_timed(name)
    answering = find_answering(network, description)
    timing = {"ms_per_image": measure_latency(answering)} if timed == name else {"timed": timed}
    write_json(paths.find_evaluation_time(name), {name: timing})


if __name__ == "__main__":
    run_program(main)
