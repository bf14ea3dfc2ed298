"""onnxruntime with planted defects, as a wrong kernel or a wrong fusion would show them."""

import os

import numpy as np
import onnx
from onnx import helper, numpy_helper

from normdeploy.backends.onnxruntime import open_cpu


class Spoiled:
    """Runs a changed model; what it is asked to load stays as it is."""

    def __init__(self, path, change):
        model = onnx.load(path)
        change(model)
        changed = path.with_name("changed.onnx")
        onnx.save(model, changed)
        self._session = open_cpu(changed)
        self.versions = {"spoiled": "1.0"}

    def run(self, inputs):
        return self._session.run(inputs)


def wrong_lrn(path):
    """Whose LRN forgets to divide alpha by the size."""

    def change(model):
        for node in model.graph.node:
            for attribute in node.attribute:
                if node.op_type == "LRN" and attribute.name == "alpha":
                    attribute.f *= 5

    return Spoiled(path, change)


def wrong_third_convolution(path):
    """Whose convolutions are wrong where a kernel is 1x1."""

    def change(model):
        for tensor in model.graph.initializer:
            if tensor.dims[2:] == [1, 1]:
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.01, tensor.name))

    return Spoiled(path, change)


def wrong_fusion(path):
    """Whose Conv with Relu is wrong, though each alone is right."""

    def change(model):
        computed_by = {name: node for node in model.graph.node for name in node.output}
        for node in model.graph.node:
            before = computed_by.get(node.input[0])
            if node.op_type == "Relu" and before is not None and before.op_type == "Conv":
                node.op_type = "LeakyRelu"

    return Spoiled(path, change)


def wrong_if(path):
    """Which takes the wrong branch."""

    def change(model):
        for node in model.graph.node:
            if node.op_type == "If":
                graphs = {attribute.name: attribute for attribute in node.attribute}
                graphs["then_branch"].name, graphs["else_branch"].name = "else_branch", "then_branch"

    return Spoiled(path, change)


def wrong_function(path):
    """Which computes IntraChannelLRN without its exponent."""

    def change(model):
        for node in model.graph.node:
            for attribute in node.attribute:
                if node.op_type == "IntraChannelLRN" and attribute.name == "beta":
                    attribute.f = 1.0

    return Spoiled(path, change)


def refuses_relu(path):
    """Which cannot run Relu, and spoils LRN."""
    model = onnx.load(path)
    if len(model.graph.node) < 6 and any(node.op_type == "Relu" for node in model.graph.node):
        raise ValueError("no Relu here")
    return wrong_lrn(path)


def aborts_at_tanh(path):
    """Which ends its process at a Tanh whose result is an output, and spoils the 1x1 convolution."""
    graph = onnx.load(path).graph
    outputs = {value.name for value in graph.output}
    if any(node.op_type == "Tanh" and node.output[0] in outputs for node in graph.node):
        os.abort()
    return wrong_third_convolution(path)


def unwritten(path):
    """Which leaves the last row of a MaxPool unwritten."""

    class Session:
        def __init__(self):
            self._model = onnx.load(path)
            self._session = open_cpu(path)
            self.versions = {}

        def run(self, inputs):
            outputs = dict(self._session.run(inputs))
            for node in self._model.graph.node:
                if node.op_type == "MaxPool" and node.output[0] in outputs:
                    array = np.array(outputs[node.output[0]])
                    array[..., -1, :] = 0
                    outputs[node.output[0]] = array
            return outputs

    return Session()


def clipping_lrn(path):
    """Whose LRN clips what it is given at 40: right on small inputs."""

    def change(model):
        for name, limit in (("lowest", -40), ("highest", 40)):
            model.graph.initializer.append(numpy_helper.from_array(np.array(limit, np.float32), name))
        for index, node in enumerate(list(model.graph.node)):
            if node.op_type == "LRN":
                given = node.input[0]
                node.input[0] = "clipped"
                clip = helper.make_node("Clip", [given, "lowest", "highest"], ["clipped"])
                model.graph.node.insert(index, clip)

    return Spoiled(path, change)


def aborts_at_pool(path):
    """Which ends its process at any MaxPool behind a Tanh."""
    graph = onnx.load(path).graph
    computed_by = {name: node.op_type for node in graph.node for name in node.output}
    if any(node.op_type == "MaxPool" and computed_by.get(node.input[0]) == "Tanh" for node in graph.node):
        os.abort()
    return open_cpu(path)


def wrong_lrn_twice(path, folder):
    """Whose LRN by itself is wrong in the first two processes only, and always among other nodes.

    Args:
        path: of the model.
        folder: where the processes leave their marks.
    """
    if len(onnx.load(path).graph.node) == 1:
        marks = len(os.listdir(folder))
        open(os.path.join(folder, f"mark{marks}"), "w").close()
        if marks >= 2:
            return open_cpu(path)
    return wrong_lrn(path)


def negates_weights(path):
    """In which every weight of a convolution or a product has the other sign."""

    def change(model):
        weights = {node.input[1] for node in model.graph.node if node.op_type in ("Conv", "MatMul")}
        for tensor in model.graph.initializer:
            if tensor.name in weights:
                tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))

    return Spoiled(path, change)


def rounds_up(path, optimize=True):
    """Whose fused kernels of 8-bit integers round up from a tenth of a step on.

    Args:
        path: of the model, which ends in QuantizeLinear and DequantizeLinear.
        optimize: whether it may fuse at all.
    """
    if not optimize:
        return open_cpu(path, optimize=False)

    def change(model):
        quantize = model.graph.node[-2]
        (scale,) = (tensor for tensor in model.graph.initializer if tensor.name == quantize.input[1])
        more = numpy_helper.from_array(0.4 * numpy_helper.to_array(scale), "more")
        model.graph.initializer.append(more)
        model.graph.node.insert(
            len(model.graph.node) - 2, helper.make_node("Add", [quantize.input[0], "more"], ["raised"])
        )
        quantize.input[0] = "raised"

    return Spoiled(path, change)
