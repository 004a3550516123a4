"""What the environment could change in a result: set or removed here, before a library reads it.

A run is what params.yaml says. The libraries also read environment variables, and files in the home folder and the
working directory, and what some of those change is an output: the kernels and the precision of the arithmetic, the
number of steps, the letters of a figure. This module removes such variables from its process when it is imported, by
families, so that a variable that a library learns to read next year is removed too. Every program of thaw imports it
before NumPy, through `thaw.base.errors` or `thaw.base.quiet`.
"""

import contextlib
import importlib.util
import io
import os
import pathlib
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping

NOWHERE = f"{os.devnull}/keras"  # a folder that is not there and cannot be made

# Variables that have one value, whatever the user's is.
SET = {
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": NOWHERE,  # in place of ~/.keras, whose keras.json has floatx, epsilon, data format and backend
    "TF_ENABLE_ONEDNN_OPTS": "1",  # the kernels whose instruction set is a parameter
}
# Beginnings of the names of variables that are removed, and what these would change.
REMOVED = {
    "KERAS_": "backend, most epochs, most steps of an epoch",
    "TF_": "kernels, threads, precision, compilation, experiments",
    "TF2_": "behaviour of TensorFlow 1",
    "TENSORFLOW_": "kernels",
    "AUTOGRAPH_": "how Python becomes a graph",
    "XLA_": "compilation",
    "ONEDNN_": "instruction set, precision",
    "DNNL_": "the same, by the library's older name",
    "OPENVINO_": "where the engine of forward passes is looked for",
    "OV_": "its kernels",
    "CUBLAS": "kernels, precision",
    "CUDNN_": "kernels, precision",
    "NVIDIA_TF32_OVERRIDE": "precision",
    "OMP_": "threads",
    "GOMP_": "threads",
    "KMP_": "threads",
    "MKL_": "threads, instruction set, precision",
    "OPENBLAS_": "threads, kernels",
    "GOTO_": "threads",
    "BLIS_": "threads, kernels",
    "VECLIB_": "threads",
    "NPY_": "instruction set, types of results",
    "NUMPY_": "experiments",
    "NUMEXPR_": "threads",
    "PANDAS_": "types of columns",
    "SCIPY_": "types of arrays",
    "SKLEARN_": "checks, seeds",
    "JOBLIB_": "processes",
    "LOKY_": "processes",
    "HDF5_": "the format of files of weights",
    "JSIMD_": "instruction set of the JPEG decoder",
    "LIBHEIF_": "decoders",
    "TFDS_": "where data sets are looked for, tries",
    "TQDM_": "the arguments of every progress bar",
    "PYTHONWARNINGS": "whether a warning ends a program",
}
# Of these the ones that change no result.
KEPT = (
    "TF_CPP_",  # what is printed
    "TF_FORCE_GPU_ALLOW_GROWTH",  # memory
    "TF_GPU_ALLOCATOR",
    "ONEDNN_VERBOSE",
    "DNNL_VERBOSE",
    "HDF5_USE_FILE_LOCKING",  # file systems without locks ask for it
    "TQDM_DISABLE",
)
# While Matplotlib loads: None is no variable.
PLAIN = {"MPLBACKEND": None, "MATPLOTLIBRC": None, "MPL_IGNORE_SYSTEM_FONTS": "1"}


def pin() -> None:
    """Give this process and those that it starts the variables of SET, without those of REMOVED that are not KEPT.

    What the terminal's encoding lacks is printed as a question mark, and a warning is printed: neither ends a run.
    """
    for name in [name for name in os.environ if name.startswith(tuple(REMOVED)) and not name.startswith(KEPT)]:
        del os.environ[name]
    os.environ.update(SET)
    if any(option.startswith("error") for option in sys.warnoptions):
        warnings.simplefilter("default")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")


def find_faults() -> list[str]:
    """Return a line for each thing that could change a result and cannot be undone in a process that has started."""
    faults = []
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        faults.append(
            f"LC_ALL, PYTHONUTF8: must have Python read names of files as UTF-8 (got {encoding}): PYTHONUTF8=1 does"
        )
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.cpu." in tunables:
        faults.append(f"GLIBC_TUNABLES: must leave the processor as it is, without glibc.cpu (got '{tunables}')")
    return faults


def is_anothers(module: str) -> bool:
    """Return whether this process has `module` set up by others: it is loaded, or a notebook will load it its way."""
    return module in sys.modules or "IPython" in sys.modules


def load_matplotlib() -> None:
    """Import Matplotlib as it comes: without the user's backend, matplotlibrc, styles and fonts.

    Any of these can keep it from loading. A backend stays that of MPLBACKEND, which no figure of thaw uses, for those
    who draw in the same process. Where another has loaded Matplotlib, or it is a notebook's, nothing is done.
    """
    found = importlib.util.find_spec("matplotlib")
    if is_anothers("matplotlib") or found is None or found.origin is None:
        return
    # Matplotlib takes the matplotlibrc of the working directory before any other: there this is its own.
    own = pathlib.Path(found.origin).parent / "mpl-data"
    with (
        tempfile.TemporaryDirectory(prefix="thaw-") as folder,
        _replaced({**PLAIN, "MPLCONFIGDIR": folder}),
        contextlib.chdir(own),
    ):
        import matplotlib.font_manager
        import matplotlib.style
    if os.environ.get("MPLBACKEND"):
        with contextlib.suppress(ValueError):  # there is no such backend here
            matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]


@contextlib.contextmanager
def _replaced(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Have `variables` meanwhile; None stands for one that is not there."""
    before = {name: os.environ.get(name) for name in variables}

    def put(values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    put(variables)
    try:
        yield
    finally:
        put(before)


pin()
