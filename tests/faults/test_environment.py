"""What the environment, the home folder and the working directory could change, and do not."""

import ast
import io
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from typing import NamedTuple

import matplotlib
import matplotlib.font_manager
import pytest

from thaw.base import environment, quiet
from thaw.base.errors import InputError
from thaw.base.quiet import keras, leave_out_matplotlib, use_defaults
from thaw.config.presets import ROOT
from thaw.reporting import plotting

pytestmark = pytest.mark.long  # programs and whole stages, minutes in all

INLINE = "module://matplotlib_inline.backend_inline"  # what a notebook sets
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PLUGINS = f".local/lib/python{sysconfig.get_python_version()}/site-packages/tensorflow-plugins"

TRAIN = """
import hashlib

import numpy as np

from thaw.base.determinism import configure
from thaw.base.quiet import keras
from thaw.base.sections import Compute

configure(Compute(threads=2, onednn_isa="AVX2"), 1)
generator = np.random.default_rng(1)
photos = generator.uniform(0, 255, (32, 24, 24, 3)).astype("float32")
layers = keras.layers
model = keras.Sequential([
    layers.Input((24, 24, 3)), layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(),
    layers.DepthwiseConv2D(3), layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(3),
])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.01), loss)
model.fit(photos, generator.integers(0, 3, 32), batch_size=8, epochs=2, verbose=0)
print(hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest())
"""
DRAW = """
import hashlib
import io

import numpy as np
import pandas as pd

from thaw.reporting import plotting

scores = [f"{part}_{score}" for part in ("train", "validation")
          for score in ("loss", "accuracy", "f1", "precision", "recall")]
history = pd.DataFrame({"epoch": range(1, 4), **{score: np.linspace(0.4, 0.8, 3) for score in scores}})
file = io.BytesIO()
with plotting.use_style():
    plotting.draw_curves(history, None, "run").savefig(file, format="svg", metadata={"Date": None})
print(hashlib.sha256(file.getvalue()).hexdigest())
"""


class Case(NamedTuple):
    """What a person has set up; both kinds of files are {path: content}, None for a named pipe."""

    words: str
    variables: dict[str, str] = {}
    home: dict[str, bytes | None] = {}  # below the home folder
    here: dict[str, bytes | None] = {}  # below the working directory


KERAS_JSON = b'{"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}'
MATPLOTLIBRC = b"backend: nonsense\nfont.size: 30\nfont.family: serif\nsavefig.dpi: 30\nsvg.fonttype: none\nnonsense\n"

TRAININGS = [
    Case(
        "the keras.json of the home folder changes no weight",
        home={".keras/keras.json": KERAS_JSON, f"{PLUGINS}/plugin.so": b"of another version of TensorFlow"},
    ),
    Case(
        "variables that cut the trainings of Keras short, or name another backend, change no weight",
        {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1", "KERAS_BACKEND": "jax", "KERAS_HOME": "settings"},
        here={"settings/keras.json": KERAS_JSON},
    ),
    Case(
        "variables that choose other kernels and threads change no weight",
        {
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
            "ONEDNN_DEFAULT_FPMATH_MODE": "ANY",
            "TF_NUM_INTRAOP_THREADS": "none",
            "OMP_NUM_THREADS": "1",
            "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
        },
    ),
    Case(
        "a notebook's plotting backend, and a matplotlibrc that cannot be read, stop no start",
        {"MPLBACKEND": INLINE},
        here={"matplotlibrc": None},
    ),
    Case(
        "what Python reads before it starts changes no weight",
        {"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "3", "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii"}
        | {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "COLUMNS": "1", "TQDM_MININTERVAL": "often"},
    ),
]
DRAWINGS = [
    Case("a notebook's plotting backend stops no figure", {"MPLBACKEND": INLINE}),
    Case("a plotting backend by its short name stops no figure", {"MPLBACKEND": "inline"}),
    Case("a plotting backend that draws in a window changes no figure", {"MPLBACKEND": "QtAgg", "DISPLAY": ""}),
    Case(
        "the matplotlibrc of the home folder changes no figure",
        home={".config/matplotlib/matplotlibrc": MATPLOTLIBRC, ".matplotlib/matplotlibrc": MATPLOTLIBRC},
    ),
    Case(
        "a matplotlibrc that a variable names changes no figure",
        {"MATPLOTLIBRC": "settings"},
        here={"settings/matplotlibrc": MATPLOTLIBRC},
    ),
    Case("the matplotlibrc of the working directory changes no figure", here={"matplotlibrc": MATPLOTLIBRC}),
    Case("a matplotlibrc that is no text stops no figure", here={"matplotlibrc": b"\xff\xfe"}),
    Case("a matplotlibrc that is a named pipe stops no figure", here={"matplotlibrc": None}),
    Case(
        "a style file that is no text stops no figure",
        {"MPLCONFIGDIR": "settings"},
        here={"settings/stylelib/mine.mplstyle": b"\xff\xfe"},
    ),
    Case("a home folder that is a file stops no figure", {"HOME": os.devnull}),
    Case("names of files in ASCII alone change no figure", ASCII),
    Case("a variable for all progress bars stops nothing", {"TQDM_MININTERVAL": "often"}),
]


def run(program: str, folder: pathlib.Path, case: Case | None = None) -> subprocess.CompletedProcess[str]:
    """Run a Python program in an environment that has nothing but what `case` sets up, below `folder`."""
    home, here = folder / "home", folder / "here"
    case = case or Case("nothing")
    for place, files in ((home, case.home), (here, case.here)):
        place.mkdir(parents=True)
        for name, content in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                os.mkfifo(place / name)
            else:
                (place / name).write_bytes(content)
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT / "src"), **case.variables}
    return subprocess.run([sys.executable, "-c", program], cwd=here, env=variables, capture_output=True, text=True)


def read_digest(done: subprocess.CompletedProcess[str]) -> str:
    """Return the digest that the program printed last."""
    assert done.returncode == 0, done.stderr
    digest = done.stdout.split()[-1]
    assert re.fullmatch("[0-9a-f]{64}", digest)
    return digest


@pytest.mark.parametrize("case", TRAININGS, ids=lambda case: case.words)
def test_a_training(case: Case, make_once: Callable[..., tuple[pathlib.Path, str]], tmp_path: pathlib.Path) -> None:
    _, expected = make_once("a training in a clean environment", lambda folder: read_digest(run(TRAIN, folder)))
    assert read_digest(run(TRAIN, tmp_path, case)) == expected


@pytest.mark.parametrize("case", DRAWINGS, ids=lambda case: case.words)
def test_a_figure(case: Case, make_once: Callable[..., tuple[pathlib.Path, str]], tmp_path: pathlib.Path) -> None:
    _, expected = make_once("a figure in a clean environment", lambda folder: read_digest(run(DRAW, folder)))
    assert read_digest(run(DRAW, tmp_path, case)) == expected


VARIABLES = [  # name, value, what it is for thaw and what it starts (None: not there)
    ("KERAS_MAX_EPOCHS", "1", None),
    ("KERAS_NNX_ENABLED", "true", None),
    ("KERAS_BACKEND", "torch", "tensorflow"),
    ("TF_ENABLE_ONEDNN_OPTS", "0", "1"),
    ("TF_USE_LEGACY_KERAS", "1", None),
    ("TF_CUDNN_USE_AUTOTUNE", "0", None),
    ("TF_OVERRIDE_GLOBAL_THREADPOOL", "1", None),
    ("TF_SOMETHING_OF_NEXT_YEAR", "1", None),
    ("XLA_FLAGS", "--xla_cpu_enable_fast_math=true", None),
    ("ONEDNN_MAX_CPU_ISA", "SSE41", None),
    ("DNNL_DEFAULT_FPMATH_MODE", "BF16", None),
    ("OPENBLAS_CORETYPE", "Prescott", None),
    ("MKL_NUM_THREADS", "1", None),
    ("PANDAS_FUTURE_INFER_STRING", "0", None),
    ("SCIPY_ARRAY_API", "1", None),
    ("SKLEARN_ASSUME_FINITE", "1", None),
    ("HDF5_DRIVER", "split", None),
    ("NVIDIA_TF32_OVERRIDE", "0", None),
    ("CUDA_VISIBLE_DEVICES", "0", "0"),
    ("TF_CPP_MIN_LOG_LEVEL", "0", "0"),
    ("TF_FORCE_GPU_ALLOW_GROWTH", "true", "true"),
    ("HDF5_USE_FILE_LOCKING", "FALSE", "FALSE"),
    ("PYTHONWARNINGS", "error", None),
    ("THAW_STORE", "none", "none"),
    ("MPLBACKEND", INLINE, INLINE),  # a notebook may load Matplotlib after thaw
]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    VARIABLES,
    ids=[f"{name} is {'removed' if now is None else 'kept' if now == was else 'set'}" for name, was, now in VARIABLES],
)
def test_a_variable(name: str, value: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for every in environment.SET:
        monkeypatch.setenv(every, "x")  # so that all are put back afterwards
    monkeypatch.setenv(name, value)
    environment.pin()
    assert os.environ.get(name) == expected


REFUSED = [
    Case("names of files in ASCII alone are refused", ASCII),
    Case(
        "a processor that claims to lack instructions is refused", {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable"}
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.words)
def test_what_cannot_be_undone(case: Case, tmp_path: pathlib.Path) -> None:
    done = run("from thaw.base.errors import run_program\nrun_program(lambda: print('ran'))", tmp_path, case)
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(next(iter(case.variables)) if case.variables is not ASCII else "LC_ALL, PYTHONUTF8: ")


def test_what_the_encoding_of_the_terminal_lacks_is_a_question_mark(tmp_path: pathlib.Path) -> None:
    case = Case("", {"PYTHONIOENCODING": "ascii"})
    assert run("import thaw.base.errors\nprint('├●┤ 98 %')", tmp_path, case).stdout == "??? 98 %\n"


def test_a_warning_ends_no_program(tmp_path: pathlib.Path) -> None:
    program = "import thaw.base.errors, warnings\nwarnings.warn('old')\nprint('ran')"
    done = run(program, tmp_path, Case("", {"PYTHONWARNINGS": "error"}))
    assert done.returncode == 0 and done.stdout == "ran\n" and "UserWarning: old" in done.stderr


@pytest.fixture
def settings() -> Iterator[None]:
    """Give Keras back what it had."""
    yield
    use_defaults()


def test_settings_that_a_notebook_has_made_of_keras_are_its_own_again_before_a_training(settings: None) -> None:
    config = keras.config
    config.set_floatx("float16")
    config.set_dtype_policy("mixed_float16")
    config.set_epsilon(0.1)
    config.set_image_data_format("channels_first")
    config.set_max_epochs(1)
    config.set_max_steps_per_epoch(1)
    use_defaults()
    assert (config.floatx(), config.dtype_policy().name, config.epsilon()) == ("float32", "float32", 1e-7)
    assert config.image_data_format() == "channels_last"
    assert config.max_epochs() is None and config.max_steps_per_epoch() is None


def test_a_keras_that_another_has_loaded_with_another_backend_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"^Keras: must have TensorFlow as its backend \(got jax\)[^\n]*$"):
        use_defaults()


def test_a_figure_of_thaw_leaves_a_notebooks_matplotlib_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fonts of the machine among them, which no figure of thaw uses."""
    manager = matplotlib.font_manager.FontManager()
    mine = manager.ttflist[:-1]
    manager.ttflist = mine
    monkeypatch.setattr(matplotlib.font_manager, "fontManager", manager)
    monkeypatch.setenv("MPLBACKEND", "svg")
    with matplotlib.rc_context({"font.size": 33, "lines.linewidth": 7}):
        before = dict(matplotlib.rcParams)
        with plotting.use_style():
            assert matplotlib.rcParams["font.size"] != 33 and manager.ttflist is not mine
        assert dict(matplotlib.rcParams) == before and manager.ttflist is mine
    assert os.environ["MPLBACKEND"] == "svg"


def test_a_notebook_that_loads_matplotlib_after_thaw_has_its_own_backend_and_settings(tmp_path: pathlib.Path) -> None:
    program = "import thaw.base.errors, matplotlib; print(matplotlib.rcParams['font.size'], matplotlib.get_backend())"
    case = Case("", {"MPLBACKEND": "svg"}, here={"matplotlibrc": b"font.size: 33\n"})
    assert run(program, tmp_path, case).stdout.split() == ["33.0", "svg"]


def test_a_backend_stays_the_notebooks_where_thaw_draws_first(tmp_path: pathlib.Path) -> None:
    program = f"{DRAW}\nimport matplotlib\nprint(matplotlib.get_backend())"
    assert run(program, tmp_path, Case("", {"MPLBACKEND": "svg"})).stdout.split()[-1] == "svg"


def test_keras_loads_without_matplotlib_which_can_be_loaded_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("matplotlib", "IPython")]:
        monkeypatch.delitem(sys.modules, name)
    with leave_out_matplotlib(), pytest.raises(ModuleNotFoundError):
        import matplotlib.artist  # noqa: F401
    assert "matplotlib" not in sys.modules


def test_in_a_notebook_keras_finds_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib")
    monkeypatch.setitem(sys.modules, "IPython", quiet)
    with leave_out_matplotlib():
        assert sys.modules.get("matplotlib", quiet) is not None


def test_a_stream_that_is_no_terminal_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook's is of another class."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    for every in environment.SET:
        monkeypatch.setenv(every, "x")
    environment.pin()
    print("├●┤")
    assert stream.getvalue() == "├●┤\n"


def find_imports(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def test_keras_and_tensorflow_are_imported_in_one_place() -> None:
    """TFDS imports TensorFlow itself: what imports TFDS names that place."""
    for file in [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        found = {name for node in ast.walk(ast.parse(file.read_text())) for name in find_imports(node)}
        first = {name.split(".")[0] for name in found}
        if file != ROOT / "src/thaw/base/quiet.py":
            assert not first & {"keras", "tensorflow"}, file
        if "tensorflow_datasets" in first:
            assert "thaw.base.quiet" in found, file


def list_loaded(file: pathlib.Path, seen: list[str]) -> list[str]:
    """Return the modules that the file loads when it is imported, in their order, those of thaw by their files."""
    for node in ast.parse(file.read_text()).body:
        for name in find_imports(node):
            module = (ROOT / "src").joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith("thaw.") and module.exists() and str(module) not in seen:
                seen.append(str(module))
                list_loaded(module, seen)
            elif not name.startswith("thaw"):
                seen.append(name.split(".")[0])
    return seen


PROGRAMS = [*sorted((ROOT / "stages").glob("*.py")), ROOT / "src/thaw/__main__.py"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_program_sees_to_its_environment_before_it_loads_a_library(program: pathlib.Path) -> None:
    loaded = list_loaded(program, [])
    before = loaded[: loaded.index(str(ROOT / "src/thaw/base/environment.py"))]
    assert set(before) - set(sys.stdlib_module_names) == {name for name in before if name.startswith(str(ROOT))}
