"""explain@RUN: what a trained run looks at, and which photos it finds alike."""

from thaw.base import paths
from thaw.base.determinism import configure
from thaw.base.errors import run_program
from thaw.base.files import write_table
from thaw.base.stage import find_key
from thaw.config.loading import load
from thaw.explanation.explaining import explain
from thaw.networks.files import load_network


def main() -> None:
    name, params = find_key(), load()
    configure(params.compute.in_float32(), params.training.seed)
    network, description = load_network(name)
    found = explain(network, description, paths.RECORDS, params.explain[name], params.training.seed)
    write_table(paths.find_maps(name), found.maps)
    write_table(paths.find_embedding(name), found.embedding)


if __name__ == "__main__":
    run_program(main)
