"""OpenVINO, an extra of the project: its module, and what it finds on this machine.

It brings a oneDNN of its own. That one reads ONEDNN_MAX_CPU_ISA as TensorFlow's does, and with what `determinism` sets
for TensorFlow it fails at a pooling layer. Each of them reads the variable once, when it first asks for a kernel, so
OpenVINO finds none when it starts: it uses what the processor has.
"""

import contextlib
import functools
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

from thaw.base.errors import InputError
from thaw.base.machine import read_flags
from thaw.base.sections import Forward

PACKAGE = "openvino==2026.4.1"  # as in pyproject.toml
ISA = "ONEDNN_MAX_CPU_ISA"
REPORTS = "openvino_telemetry"  # which would tell its makers of every conversion


def check_engine(forward: Forward) -> None:
    """Raise InputError where this machine lacks the engine, or its processor the precision; Keras is always there."""
    if forward.engine == "keras":
        return
    capabilities = list_capabilities()
    if forward.precision == "bfloat16" and "BF16" not in capabilities:
        raise InputError(
            "params.yaml: compute.forward.precision: must be float32 on this processor, which has no bfloat16 (got "
            f"'bfloat16'; it has {', '.join(capabilities)})"
        )


def list_capabilities() -> list[str]:
    """Return what OpenVINO calculates in on this processor, as FP32 and BF16; raises InputError as `check_engine`."""
    core = start_openvino()
    with own_instructions():
        return sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def describe_engine(forward: Forward) -> list[str]:
    """Return what the last bits of a pass depend on beside parameters, TensorFlow and Keras.

    That is the version of OpenVINO, the processor, and its instructions for vectors, by which OpenVINO picks kernels.
    """
    if forward.engine == "keras":
        return []
    processor = str(start_openvino().get_property("CPU", "FULL_DEVICE_NAME"))
    return [f"openvino {import_openvino().__version__}", processor, *_list_instructions()]


def _list_instructions() -> list[str]:
    """Return the names of the instructions for vectors and matrices, where the system tells them."""
    named = [flag for flag in read_flags() if flag.startswith(("avx", "amx", "fma", "asimd", "sve", "bf16"))]
    return sorted(named) or [platform.machine()]


def import_openvino() -> Any:
    """Return the module `openvino`; raises InputError where the extra is not installed."""
    before = sys.modules.get(REPORTS)
    if "openvino" not in sys.modules:
        sys.modules[REPORTS] = None  # type: ignore[assignment]  # whoever imports it is told that there is none
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            "params.yaml: compute.forward.engine: must be keras where OpenVINO cannot be loaded (got 'openvino'; "
            f"{' '.join(str(error).split())}): ./run python -m pip install '{PACKAGE}' brings it"
        ) from None
    finally:
        if sys.modules.get(REPORTS) is None:
            sys.modules.pop(REPORTS, None)
        if before is not None:
            sys.modules[REPORTS] = before
    return openvino


@functools.cache
def start_openvino() -> Any:
    """Return the `openvino.Core` of this process; raises InputError where the extra is not installed."""
    openvino = import_openvino()
    with own_instructions():
        core = openvino.Core()
        core.get_property("CPU", "FULL_DEVICE_NAME")  # which loads the plugin of the processor
    return core


@contextlib.contextmanager
def own_instructions() -> Iterator[None]:
    """Hide ONEDNN_MAX_CPU_ISA meanwhile: for whatever may be the first to ask OpenVINO's oneDNN for a kernel."""
    before = os.environ.pop(ISA, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[ISA] = before
