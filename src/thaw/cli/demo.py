"""./run demo: the whole pipeline on drawn flowers, offline, in a workspace of its own."""

import os

from thaw.cli.workspaces import hold_workspace, make_workspace, run_table
from thaw.config.presets import ROOT, read_preset

WORKSPACE = ROOT / ".thaw" / "demo"


def run_demo() -> None:
    """Run the table of preset `demo` in WORKSPACE; what stays of an earlier run there is not run again.

    Raises InputError where a demo is running already.
    """
    with hold_workspace(WORKSPACE, "./run demo"):
        make_workspace(WORKSPACE, read_preset("demo"))
        run_table(WORKSPACE, environment={**os.environ, "THAW_STORE": str(WORKSPACE / ".thaw" / "activations")})
