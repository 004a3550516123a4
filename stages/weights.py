"""weights@BACKBONE: the backbone with the weights it starts from."""

import sys

from thaw.compute import configure
from thaw.params import load, run
from thaw.pretraining import describe_network, pretrain, save_pretrained
from thaw.publishing import write_json


def main():
    name = sys.argv[1]
    params = load()
    backbone = params.backbones[name]
    configure(params.compute, backbone.seed or 0)
    model, document = pretrain(name, backbone)
    save_pretrained(model, document)
    told = {**document, **describe_network(model, backbone.architecture)}
    write_json(f"metrics/weights/{name}.json", {"weights": {name: told}})


if __name__ == "__main__":
    run(main)
