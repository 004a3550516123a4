"""weights@BACKBONE: the backbone with the weights it starts from."""

from thaw.base import paths
from thaw.base.errors import run_program
from thaw.base.files import write_json
from thaw.base.stage import find_key
from thaw.config.inputs import confirm_weights
from thaw.config.loading import load


def main() -> None:
    # Here, because the processes that draw flowers import this file, and need no TensorFlow.
    from thaw.base.determinism import configure
    from thaw.weights.pretrained import describe_network, pretrain, save_pretrained

    name, params = find_key(), load()
    backbone = params.backbones[name]
    configure(params.compute, backbone.seed or 0)
    model, document = pretrain(name, backbone)
    confirm_weights(name, document.get("file_sha256"))
    save_pretrained(model, document)
    metrics = {**document, **describe_network(model, backbone.architecture)}
    write_json(paths.find_weights_metrics(name), {"weights": {name: metrics}})


if __name__ == "__main__":
    run_program(main)
