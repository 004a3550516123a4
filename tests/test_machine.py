"""The processor that times are measured on."""

import pathlib

import pytest

from thaw.base import machine

CPUINFO = """processor\t: 0
cpu family\t: 6
model\t\t: 85
model name\t: Some Processor
flags\t\t: fpu avx2 avx512f hypervisor

processor\t: 1
cpu family\t: 7
model name\t: Another Processor
flags\t\t: fpu sse4_1
"""


def test_a_processor_is_described_by_name_numbers_and_instruction_sets(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    described = {"name": "Some Processor", "family": 6, "model": 85, "instruction_sets": ["avx2", "avx512f"]}
    assert machine.describe_processor() == described


def test_where_the_system_tells_nothing_the_architecture_stands_for_the_processor(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert machine.describe_processor() == {"name": "riscv64", "family": None, "model": None, "instruction_sets": []}
