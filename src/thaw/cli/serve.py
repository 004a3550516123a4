"""./run thaw serve: a page on this machine that shows what a network says of a photo."""

import contextlib
import errno
import importlib.util
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thaw.base import paths
from thaw.base.errors import InputError, kind
from thaw.base.progress import say
from thaw.cli.options import CALLED_FROM
from thaw.prediction.models import Predictor, check_run, load_export, load_run

if TYPE_CHECKING:
    from thaw.serving.cards import Card

ADDRESS = "127.0.0.1"
NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
MOST_AT_ONCE = 16  # connections
PATIENCE = 2  # seconds that an answer under way may still take when the page is ended


def serve(run: str | None, model: str | None, port: str) -> None:
    """Show the page until Ctrl-C: of the run `run`, of the export in the folder `model`, or of the table's best run.

    Raises InputError, before TensorFlow is loaded, where an option or the parameters are at fault, a package is missing
    or the port is taken.
    """
    if run is not None and model is not None:
        raise InputError("serve: must have --run or --model (got both)")
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise InputError(f"serve: needs {', '.join(missing)}: python -m pip install '.[serve]' brings what is missing")
    with _listen(_read_port(port)) as listening, contextlib.suppress(KeyboardInterrupt):
        predictor, card = _load_export(model) if model is not None else _load_run(run)
        import uvicorn

        from thaw.serving.answers import Answering
        from thaw.serving.app import build_app

        config = uvicorn.Config(
            build_app(Answering(predictor), card),
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_graceful_shutdown=PATIENCE,
            lifespan="off",
            ws="none",
        )
        say(f"serve: {predictor.name} at http://{ADDRESS}:{listening.getsockname()[1]}/ (Ctrl-C ends it)")
        uvicorn.Server(config).run(sockets=[listening])


def _read_port(text: str) -> int:
    """Return the port that `text` names, 0 for any that is free; raises InputError where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 2**16):
        raise InputError(
            f"--port: must be a whole number from 0 (any that is free) to {2**16 - 1:,} (got {kind(text)})"
        )
    return int(text)


@contextlib.contextmanager
def _listen(port: int) -> Iterator[socket.socket]:
    """Give a socket that listens on this machine alone; raises InputError where the port is taken or not allowed."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((ADDRESS, port))
            listening.listen()
        except OSError as error:
            reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "may not be used by this user"}
            reason = reasons.get(error.errno or 0, f"cannot be used ({error.strerror})")
            raise InputError(f"--port: {port} {reason}: --port 0 takes any that is free") from None
        yield listening


def _load_export(folder: str) -> tuple[Predictor, "Card"]:
    """Return the export in `folder`, a path from where the command was called, and its card."""
    from thaw.serving.cards import describe_export

    predictor = load_export(pathlib.Path(os.environ.get(CALLED_FROM, ""), folder))
    return predictor, describe_export(predictor)


def _load_run(run: str | None) -> tuple[Predictor, "Card"]:
    """Return the run of the table here, None for the best on validation, and its card."""
    # Imported here, because an export needs none of it.
    from thaw.comparison.results import rank_runs, read_results
    from thaw.config.loading import load
    from thaw.serving.cards import describe_run

    params = load(paths.PARAMS)
    try:
        results = read_results(params)
    except InputError:
        if run is None:
            raise
        results = None  # of a run that is named, the card then says that nothing is measured
    name = run or rank_runs(results)[0] if results else str(run)
    check_run(name)
    from thaw.base.determinism import configure  # loads TensorFlow

    configure(params.compute, params.training.seed)
    predictor = load_run(name, compute=params.compute)
    return predictor, describe_run(predictor, results)
