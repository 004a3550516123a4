"""The processor that this process runs on, as measured times and pages of costs name it."""

import pathlib
import platform
import subprocess
from typing import Any

CPUINFO = pathlib.Path("/proc/cpuinfo")  # of Linux
# Instruction sets that the kernels of TensorFlow's libraries are chosen by, as Linux names them.
INSTRUCTION_SETS = (
    "sse4_1", "avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_bf16", "amx_int8", "asimd", "sve", "bf16",
)  # fmt: skip


def describe_processor() -> dict[str, Any]:
    """Return {"name", "family", "model", "instruction_sets"} of the processor.

    Family and model are the maker's numbers (integers), and None where the system does not give them; of
    `instruction_sets` there are those of INSTRUCTION_SETS that it has, in that order, and none outside Linux.
    """
    facts, flags = _read_cpuinfo(), read_flags()
    return {
        "name": find_processor(),
        "family": _read_number(facts.get("cpu family")),
        "model": _read_number(facts.get("model")),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
    }


def read_flags() -> list[str]:
    """Return what the processor can do, by the names that Linux has for it; nothing outside Linux."""
    facts = _read_cpuinfo()
    return facts.get("flags", facts.get("Features", "")).split()


def find_processor() -> str:
    """Return the name of the processor, which `platform` does not know on every system; else the architecture."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return _read_cpuinfo().get("model name") or platform.machine()


def _read_cpuinfo() -> dict[str, str]:
    """Return what CPUINFO says of the first processor."""
    if not CPUINFO.exists():
        return {}
    first = CPUINFO.read_text(encoding="utf-8").split("\n\n")[0]
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}


def _read_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
