"""./run demo: the whole pipeline on drawn flowers, offline, in a workspace of its own."""

import os
import subprocess
import sys
import time

from thaw.params import FILE, load, run
from thaw.presets import ROOT, make_workspace, read_preset, run_dvc
from thaw.reporting.tables import render_table

WORKSPACE = ROOT / ".thaw" / "demo"


def main():
    start = time.monotonic()
    make_workspace(WORKSPACE, read_preset("demo"))
    environment = {**os.environ, "THAW_STORE": str(WORKSPACE / ".thaw" / "activations")}
    try:
        run_dvc(WORKSPACE, "repro", env=environment)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(f"\n{render_table(load(WORKSPACE / FILE), WORKSPACE)}\n")
    print(f"The report: {WORKSPACE / 'report' / 'report.md'} ({time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    run(main)
