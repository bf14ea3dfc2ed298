"""Verdicts without a tolerance: right runs pass, planted defects are caught."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from normdeploy.graph.inference import inferred
from normdeploy.reference import Evaluator
from normdeploy.reference.rounded_numbers import RoundedNumbers, StorageErrors
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.judge import Judge
from tests.builders import FLOAT, model, unary
from tests.validation.networks import Network

Array = NDArray[Any]
NETWORK = Network(softmax=False)


def run(proto: onnx.ModelProto, inputs: dict[str, Array], level: int = 99, threads: int = 1) -> Array:
    """What onnxruntime makes of it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(proto.SerializeToString(), options).run(None, inputs)[0]


def judged(
    deployed: onnx.ModelProto, original: onnx.ModelProto, inputs: dict[str, Array], actual: Array
) -> TensorComparison:
    ours = Evaluator(inferred(deployed))
    judge = Judge(ours, ours if original is deployed else Evaluator(inferred(original)))
    return judge.on(inputs).compare(original.graph.output[0].name, actual)


RIGHT = list(
    itertools.product(
        range(3),  # seeds, and so contrasts
        ("float32", "float16"),
        (0, 1, 2, 99),  # optimization levels
        (1, 2),  # threads
        (True, False),  # softmax: outputs near zero
        (1, 8),  # depth
    )
) + list(itertools.product((3,), ("float32",), (0, 99), (1,), (True, False), (16, 40)))


def test_there_are_two_hundred_right_runs() -> None:
    assert len(RIGHT) >= 200


@pytest.mark.parametrize(("seed", "dtype", "level", "threads", "softmax", "depth"), RIGHT)
def test_right_runs_pass(seed: int, dtype: str, level: int, threads: int, softmax: bool, depth: int) -> None:
    network = Network(seed=seed, dtype=dtype, softmax=softmax, depth=depth)
    proto, inputs = network.model(), network.inputs(seed)
    found = judged(proto, proto, inputs, run(proto, inputs, level, threads))
    assert found.wrong == 0, found
    assert found.expected_rounding is not None
    assert found.expected_rounding > 0


DEFECTS = {
    "window off by one on each side": {"size": 7},
    "alpha not divided by the size": {"alpha": 5 * 5e-4},
    "alpha divided twice": {"alpha": 1e-4},
    "k 1 for 2": {"k": 1.0},
    "beta 0.74 for 0.75": {"beta": 0.74},
    "across for within": {"across": False},
    "a divisor that counts inside pixels only": {"count_include_pad": 0},
    "epsilon 1e-3 for 1e-5": {"epsilon": 1e-3},
    "two channels' statistics swapped": {"swap_statistics": True},
    "Gemm's beta forgotten": {"gemm_beta": 1.0},
}


@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defects_are_caught(defect: str, softmax: bool, depth: int) -> None:
    """Over three samples of different contrast, as `check` draws them."""
    original = NETWORK.but(softmax=softmax, depth=depth)
    deployed = original.but(**DEFECTS[defect])
    wrong = 0
    for sample in range(3):
        inputs = original.inputs(sample)
        proto = deployed.model()
        wrong += judged(proto, original.model(), inputs, run(proto, inputs)).wrong
    assert wrong > 0


def test_an_unwritten_row_is_caught() -> None:
    proto, inputs = NETWORK.model(), NETWORK.inputs(0)
    actual = run(proto, inputs)
    actual[1] = 0
    assert judged(proto, proto, inputs, actual).wrong == 10


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_misplaced_nan_or_infinity_is_caught(value: float) -> None:
    proto, inputs = NETWORK.model(), NETWORK.inputs(0)
    actual = run(proto, inputs)
    actual[0, 3] = value
    found = judged(proto, proto, inputs, actual)
    assert (found.wrong, found.misplaced) == (1, 1)


def test_a_finite_number_where_the_reference_has_nan_is_caught() -> None:
    proto = unary("Sqrt", [4])
    inputs = {"x": np.array([1, -1, 4, 9], np.float32)}
    right = np.array([1, np.nan, 2, 3], np.float32)
    assert judged(proto, proto, inputs, right).wrong == 0
    right[1] = 0
    assert judged(proto, proto, inputs, right).misplaced == 1


def test_one_wrong_element_in_a_million_is_caught() -> None:
    proto = unary("LRN", [1, 16, 250, 250], size=5, alpha=0.1)
    x = np.random.default_rng(0).normal(size=(1, 16, 250, 250)).astype(np.float32)
    actual = run(proto, {"x": x})
    assert judged(proto, proto, {"x": x}, actual).wrong == 0
    actual[0, 3, 70, 90] *= np.float32(1 + 3e-5)
    assert judged(proto, proto, {"x": x}, actual).wrong == 1


def cast_network(dtype: ir.DataType) -> tuple[onnx.ModelProto, dict[str, Array], Array]:
    """The network with its tensors declared in a short type, and what rounding each of them gives."""
    network = NETWORK.but(depth=4)
    graph = inferred(network.model())
    for value in (*graph.graph.inputs, *(v for node in graph.graph for v in node.outputs)):
        value.type = ir.TensorType(dtype)
    inputs = {"x": network.inputs(0)["x"].astype(dtype.numpy())}

    class Narrow:
        """Rounds every result to the type: a backend that computes in it."""

        stored = StorageErrors(0, 0.0, RoundedNumbers())

        def operands(self, node: ir.Node, arguments: Any) -> Any:
            return arguments

        def results(self, node: ir.Node, arguments: Any, results: Any) -> Any:
            return [array.astype(dtype.numpy()).astype(np.float64) for array in results]

    (actual,) = Evaluator(graph).run(inputs, rounding=Narrow()).values()  # type: ignore[arg-type]
    return ir.to_proto(graph), inputs, actual.astype(dtype.numpy())


@pytest.mark.parametrize("dtype", [ir.DataType.BFLOAT16, ir.DataType.FLOAT16])
def test_short_types_round_more(dtype: ir.DataType) -> None:
    proto, inputs, actual = cast_network(dtype)
    ours = Evaluator(ir.from_proto(proto))
    found = Judge(ours, ours).on(inputs).compare("scores", actual)
    assert found.wrong == 0
    assert found.max_rel_error > 1e-3
    spoiled = actual.astype(np.float64)
    spoiled[0, 0] += 1.5 * np.abs(spoiled).max()
    assert Judge(ours, ours).on(inputs).compare("scores", spoiled.astype(dtype.numpy())).wrong == 1


def test_a_tie_of_argmax_is_no_error_and_a_wrong_class_is() -> None:
    proto = model(
        [
            helper.make_node("MatMul", ["x", "w"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0),
        ],
        {"x": (FLOAT, [2, 3])},
        {"class": (TensorProto.INT64, [2])},
        {"w": np.eye(3, dtype=np.float32)},
    )
    inputs = {"x": np.array([[1.0, 1.0 + 1e-7, 0.0], [3.0, 1.0, 0.0]], np.float32)}
    tie = judged(proto, proto, inputs, np.array([0, 0]))
    assert (tie.wrong, tie.ties) == (0, 1)
    assert judged(proto, proto, inputs, np.array([1, 1])).wrong == 1


def test_a_model_that_amplifies_rounding_is_said_to() -> None:
    """x − (x + 1e8 − 1e8): nothing but rounding is left."""
    proto = model(
        [
            helper.make_node("Add", ["x", "big"], ["up"]),
            helper.make_node("Sub", ["up", "big"], ["down"]),
            helper.make_node("Sub", ["x", "down"], ["y"]),
        ],
        {"x": (FLOAT, [64])},
        {"y": (FLOAT, [64])},
        {"big": np.array(1e8, np.float32)},
    )
    inputs = {"x": np.random.default_rng(0).normal(size=64).astype(np.float32)}
    found = judged(proto, proto, inputs, run(proto, inputs, level=0))
    assert found.wrong == 0
    assert found.noise_share is not None
    assert found.noise_share > 1
