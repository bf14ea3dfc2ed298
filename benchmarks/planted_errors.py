"""Errors of known sizes in single layers of a network that onnxruntime runs, and whether a check sees them.

The network is run as it stands, but for a Mul behind each layer, whose factor is an input: 1, or 1 ± ε per
channel for the layer that is wrong.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from normdeploy.graph.inference import inferred
from normdeploy.inputs.samples import Batch, Samples
from normdeploy.reference import Evaluator
from normdeploy.validation.judge import Case, Judge
from normdeploy.validation.power.blindness import Blindness
from normdeploy.validation.power.layers import Layer
from normdeploy.validation.power.measure import BATCHES, measure
from normdeploy.validation.stream import stream

Array = NDArray[Any]
Arrays = Mapping[str, Array]

_FACTOR = "planted/"


class Calibrated:
    """A network, what a check of it says that it sees, and the same check with planted errors.

    Args:
        model: the network.
        batches: its inputs.
        seed: of the check.
    """

    def __init__(self, model: onnx.ModelProto, batches: Sequence[Arrays], seed: int = 0) -> None:
        deployed = inferred(model)
        evaluator = Evaluator(deployed, keep_weights=True)
        judge = Judge(evaluator, evaluator, None, seed)
        blindness, kept = Blindness(judge, BATCHES), _Kept()
        samples = Samples(len(batches), (Batch(inputs, 1) for inputs in batches))
        stream(judge, [kept, blindness], samples, None, None, classify=False)
        self._batches = kept.batches
        power = measure(judge, blindness)
        assert power is not None
        self.stated: dict[Layer, float] = {
            layer: entry.smallest_detectable
            for layer, entry in zip(blindness.cuts.layers, power.layers, strict=True)
            if entry.smallest_detectable is not None
        }
        """The smallest error that is seen in each layer, of those that are seen at all."""
        self.layers = len(power.layers)
        types = {str(value.name): value.dtype for node in deployed.graph for value in node.outputs}
        self._planted = [
            name
            for layer in blindness.cuts.layers
            for name in layer.outputs
            if (dtype := types[name]) is not None and dtype.is_floating_point()
        ]
        self._shapes = [
            {name: array.shape for name, array in evaluator.run(inputs, self._planted).items()}
            for inputs in batches
        ]
        self._session = onnxruntime.InferenceSession(
            _with_factors(model, self._planted, types).SerializeToString(), _options()
        )
        self._dtypes = {name: _numpy(types[name]) for name in self._planted}

    def is_right(self) -> bool:
        """Whether the check passes without an error."""
        return not any(self._is_wrong(batch, case, {}) for batch, case in self._batches)

    def is_caught(self, layer: Layer, size: float, seed: int) -> bool:
        """Whether the check finds an error in a layer.

        Args:
            layer: in which it is.
            size: relative.
            seed: of its signs.
        """
        names = [name for name in layer.outputs if name in self._planted]
        for (batch, case), shapes in zip(self._batches, self._shapes, strict=True):
            factors = {name: layer.with_error(np.ones(shapes[name]), size, [91, seed]) for name in names}
            if self._is_wrong(batch, case, factors):
                return True
        return False

    def _is_wrong(self, batch: Arrays, case: Case, factors: Arrays) -> bool:
        feeds = dict(batch)
        for name in self._planted:
            feeds[_FACTOR + name] = np.asarray(factors.get(name, np.ones(())), self._dtypes[name])
        names = [value.name for value in self._session.get_outputs()]
        outputs = dict(zip(names, self._session.run(names, feeds), strict=True))
        with np.errstate(all="ignore"):
            judged = case.judge(outputs)
        return len(judged) < len(names) or any(each.comparison.wrong for each in judged.values())


class _Kept:
    """Keeps every batch and its case."""

    alive = True

    def __init__(self) -> None:
        self.batches: list[tuple[Arrays, Case]] = []

    def judge(self, batch: Batch, case: Case, scores: str | None, predicted: Array | None) -> None:
        self.batches.append((batch.inputs, case))


def _with_factors(
    model: onnx.ModelProto, tensors: Sequence[str], types: Mapping[str, ir.DataType | None]
) -> onnx.ModelProto:
    """The model with a Mul behind each of some tensors, by an input of its own."""
    model = copy.deepcopy(model)
    graph, nodes = model.graph, list(model.graph.node)
    del graph.node[:]
    for node in nodes:
        graph.node.append(node)
        for index, name in enumerate(node.output):
            if name in tensors:
                graph.node[-1].output[index] = f"{name}/right"
        for name in [name for name in node.output if name in tensors]:
            graph.node.append(helper.make_node("Mul", [f"{name}/right", _FACTOR + name], [name]))
            dtype = types[name]
            assert dtype is not None
            graph.input.append(helper.make_tensor_value_info(_FACTOR + name, int(dtype), None))
    return model


def _numpy(dtype: ir.DataType | None) -> np.dtype[Any]:
    assert dtype is not None
    return np.dtype(dtype.numpy())


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return options
