"""An ONNX network written so that the same network gives the same bytes.

tf2onnx names tensors and orders nodes by sets and counters, which differ from process to process. What the graph
computes does not: here its nodes are put in the order in which the output needs them, and everything is named by it.
"""

import onnx


def make_repeatable(model: onnx.ModelProto, given: str, made: str) -> onnx.ModelProto:
    """Return `model`, which has one input and one output, with nodes, weights and names in a canonical order.

    Input and output get the names `given` and `made`. What the output does not need is left out.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    names = {"": "", graph.input[0].name: given, graph.output[0].name: made}
    nodes: list[onnx.NodeProto] = []
    used: list[onnx.TensorProto] = []
    for item in _order(graph, set(weights)):
        if isinstance(item, str):
            names[item] = f"weight_{len(used)}"
            used.append(weights[item])
        else:
            for number, output in enumerate(item.output):
                names.setdefault(output, f"{item.op_type}_{len(nodes)}_{number}")
            nodes.append(item)
    found = onnx.GraphProto(name="thaw")
    for number, node in enumerate(nodes):
        copy = onnx.helper.make_node(
            node.op_type,
            [names[name] for name in node.input],
            [names[name] for name in node.output],
            name=f"{node.op_type}_{number}",
            domain=node.domain or None,
        )
        copy.attribute.extend(sorted(node.attribute, key=lambda attribute: attribute.name))
        found.node.append(copy)
    for tensor in used:
        copied = found.initializer.add()
        copied.CopyFrom(tensor)
        copied.name = names[tensor.name]
    for values, own, name in ((graph.input, found.input, given), (graph.output, found.output, made)):
        value = own.add()
        value.CopyFrom(values[0])
        value.name = name
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)
    return onnx.helper.make_model(
        found,
        opset_imports=opsets,
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
    )


def _order(graph: onnx.GraphProto, weights: set[str]) -> list[onnx.NodeProto | str]:
    """Return the nodes that the output needs, and the names of `weights`, each behind everything that it needs."""
    makers = {output: node for node in graph.node for output in node.output}
    order: list[onnx.NodeProto | str] = []
    done: set[str] = set()  # names of tensors
    waiting: list[tuple[str, bool]] = [(graph.output[0].name, False)]  # and whether what it needs is done
    while waiting:
        name, ready = waiting.pop()
        if name in done:
            continue
        if name in weights:
            order.append(name)
            done.add(name)
        elif name in makers and not ready:
            waiting.append((name, True))
            waiting += [(needed, False) for needed in reversed(makers[name].input)]
        elif name in makers:
            order.append(makers[name])
            done |= set(makers[name].output)
    return order
