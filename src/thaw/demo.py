"""./run demo: the whole pipeline on drawn flowers, offline, in a workspace of its own."""

import os

from thaw.params import run
from thaw.presets import ROOT, make_workspace, read_preset, run_table

WORKSPACE = ROOT / ".thaw" / "demo"


def main():
    make_workspace(WORKSPACE, read_preset("demo"))
    run_table(WORKSPACE, environment={**os.environ, "THAW_STORE": str(WORKSPACE / ".thaw" / "activations")})


if __name__ == "__main__":
    run(main)
