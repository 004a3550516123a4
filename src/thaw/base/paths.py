"""Where the stages keep what they make, as paths below the folder of dvc.yaml."""

PARAMS = "params.yaml"

RAW = "data/raw"  # the photos and their manifest
CREDITS = "data/credits.csv"
NAMES = "data/names.csv"  # what the photos were called, and the parts and groups that came with them
SPLIT = "data/split.csv"
RECORDS = "data/records"

DOWNLOADED = "metrics/download.json"
SPLIT_COUNTS = "metrics/split.json"
PREPROCESSED = "metrics/preprocess.json"
PREPROCESSING_TIME = "metrics/timing/preprocess.json"
SUMMARY = "metrics/summary.json"

ACCURACIES = "plots/accuracy.csv"
PAIRS = "plots/pairs.csv"
CLAIMS = "plots/claims.csv"
LABEL_ISSUES = "plots/label_issues.csv"
MISTAKES = "plots/mistakes.csv"
LEFT_OUT = "plots/left_out.csv"  # of the photos and files that came
REPORT = "report"  # its pages and figures


def find_weights(run: str) -> str:
    """Return the weights of a trained run, or of ``pretrained/BACKBONE``."""
    return f"models/{run}.weights.h5"


def find_description(run: str) -> str:
    """Return the document beside those weights, which says what the network is."""
    return f"models/{run}.json"


def find_weights_metrics(backbone: str) -> str:
    """Return the metrics on the first weights of a backbone."""
    return f"metrics/weights/{backbone}.json"


def find_training(run: str) -> str:
    """Return the metrics of a run's training."""
    return f"metrics/train/{run}.json"


def find_training_time(run: str) -> str:
    """Return what was measured in time and memory while a run trained."""
    return f"metrics/timing/train/{run}.json"


def find_history(run: str) -> str:
    """Return the table of a run's epochs."""
    return f"plots/history/{run}.csv"


def find_evaluation(run: str) -> str:
    """Return the scores of a run."""
    return f"metrics/evaluate/{run}.json"


def find_headline(run: str) -> str:
    """Return the few of those scores that `dvc exp show` and `dvc metrics show` have a column for."""
    return f"metrics/headline/{run}.json"


def find_evaluation_time(run: str) -> str:
    """Return the inference time of a run's network."""
    return f"metrics/timing/evaluate/{run}.json"


def find_predictions(run: str) -> str:
    """Return the table of what a run predicts for each photo of validation and test."""
    return f"plots/predictions/{run}.csv"


def find_class_scores(run: str) -> str:
    """Return the table of a run's scores by class."""
    return f"plots/classes/{run}.csv"


def find_repetition(section: str, run: str) -> str:
    """Return the scores of a run that was trained again; `section` is ``replicates`` or ``folds``."""
    return f"metrics/evaluate/{section}/{run}.json"


def find_export(run: str) -> str:
    """Return the folder of the files that a run is exported to."""
    return f"models/export/{run}"


def find_export_scores(run: str) -> str:
    """Return what those files score against the run's network."""
    return f"metrics/evaluate/exports/{run}.json"


def find_export_time(run: str) -> str:
    """Return the inference time of those files."""
    return f"metrics/timing/exports/{run}.json"


def find_repeated_histories(run: str) -> str:
    """Return the table of the epochs of a run's trainings with other seeds."""
    return f"plots/history/replicates/{run}.csv"


def find_fold_predictions(run: str) -> str:
    """Return the table of what a run's cross-validation predicts for each photo."""
    return f"plots/predictions/folds/{run}.csv"


def find_maps(run: str) -> str:
    """Return the table of what a run looks at in each photo of the part that counts."""
    return f"plots/predictions/maps/{run}.csv"


def find_embedding(run: str) -> str:
    """Return the table of where those photos lie on the map of what the run finds alike."""
    return f"plots/predictions/embedding/{run}.csv"
