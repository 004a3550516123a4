"""./run demo: the whole pipeline on drawn flowers, offline, in a workspace of its own."""

import os
import pathlib

from thaw.base import paths
from thaw.base.files import read_table
from thaw.cli.workspaces import hold_workspace, make_workspace, run_table, say_report
from thaw.comparison.results import rank_runs, read_results
from thaw.config.loading import load
from thaw.config.presets import ROOT, read_preset
from thaw.prediction.models import load_run
from thaw.prediction.predicting import predict, rank

WORKSPACE = ROOT / ".thaw" / "demo"
NEXT = "Next: open it in a browser; then ./run thaw new PHOTOS, a folder of photos of your own for each class."


def run_demo() -> None:
    """Run the table of preset `demo` in WORKSPACE; what stays of an earlier run there is not run again.

    At the end its best run says what one of the drawings shows, and the last lines say where the report is and what to
    try next. Raises InputError where a demo is running already.
    """
    with hold_workspace(WORKSPACE, "./run demo"):
        make_workspace(WORKSPACE, read_preset("demo"))
        run_table(WORKSPACE, environment={**os.environ, "THAW_STORE": str(WORKSPACE / ".thaw" / "activations")})
        print(f"\n{predict_drawing(WORKSPACE)}\n\n{say_report(WORKSPACE)}\n{NEXT}")


def predict_drawing(folder: pathlib.Path) -> str:
    """Return what the best run on validation of the finished table at `folder` says of the first photo of test."""
    from thaw.base.determinism import configure  # loads TensorFlow

    params = load(folder / paths.PARAMS)
    configure(params.compute, params.training.seed)
    predictor = load_run(rank_runs(read_results(params, folder))[0], folder)
    split = read_table(folder / paths.SPLIT, numbers=("label",))
    photo = split[split["part"] == "test"].iloc[0]
    (found,) = predict(predictor, [folder / paths.RAW / photo["file"]])
    assert found.probabilities is not None, found.reason
    (guess,) = rank(found.probabilities, predictor.classes)
    return (
        f"A drawing that no run was trained on, {paths.RAW}/{photo['file']}, shows {photo['class']}; {predictor.name}, "
        f"the best run on validation, says {guess.label} ({100 * guess.probability:.1f} %).\n"
        f"The same of other pictures, in {folder}: {ROOT / 'run'} thaw predict PHOTO"
    )
