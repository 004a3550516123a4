"""What the training stages do, in this process: train or score a run, and write what was made."""

from thaw.config.checking import Params
from thaw.evaluation.evaluating import evaluate
from thaw.evaluation.saving import save_evaluation
from thaw.networks.files import load_network
from thaw.store.opening import Asked
from thaw.training import racing, runs
from thaw.training.repeating import Repeated
from thaw.training.runs import Setting, read_start
from thaw.training.saving import save_training
from thaw.training.sections import BaselineRun, FinetuneRun, FrozenRun

RECORDS = "data/records"


def make_setting(params: Params) -> Setting:
    """Return the setting of trainings that fill the store for no other run."""
    return Setting(params.training, params.compute, RECORDS)


def train_baseline(run: BaselineRun, params: Params) -> None:
    """Train the baseline CNN as its stage does."""
    save_training(runs.train_baseline(run, make_setting(params)))


def train_frozen(name: str, run: FrozenRun, params: Params) -> None:
    """Train a frozen run as its stage does."""
    save_training(runs.train_frozen(name, run, read_start(f"pretrained/{run.backbone}"), make_setting(params)))


def finetune(name: str, run: FinetuneRun, params: Params) -> None:
    """Train a fine-tuned run as its stage does."""
    save_training(racing.finetune(name, run, read_start(run.start), make_setting(params)))


def score(name: str, params: Params) -> None:
    """Score a run as its stage does; nothing is timed."""
    network, description = load_network(name)
    save_evaluation(evaluate(network, description, RECORDS, Asked(params.compute)), description)


def make_repeated(name: str, params: Params, count: int = 2) -> Repeated:
    """Return run `name` of `params` as one that is trained again."""
    start, phases = params.find_phases(name)
    return Repeated(name, phases, read_start(start), count)
