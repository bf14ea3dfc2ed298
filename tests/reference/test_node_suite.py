"""ONNX's own node tests, for every operator that the reference claims."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from functools import cache

import ml_dtypes
import numpy as np
import onnx
import pytest

from normdeploy.errors import NormdeployError
from normdeploy.reference import Evaluator
from normdeploy.reference.delegated import DELEGATED
from normdeploy.reference.registry import COMPOSITIONS, OPERATORS, lookup
from tests.reference.against_onnxruntime import ranked

# Tests that the reference does not pass, each with the reason. test_exclusions_are_needed holds that
# every line still matches a failing test.
EXCLUSIONS = {
    # The reference does not narrow: a Cast between floating types is the identity.
    r"test_cast(like)?_(no_saturate_)?FLOAT(16)?_to_FLOAT(8E\w+?|4E2M1)(_expanded)?": "rounds to 4 or 8 bits",
    r"test_cast_e8m0_FLOAT(16)?_to_FLOAT8E8M0": "rounds to a power of two",
    r"test_quantizelinear_(e4m3fn|e5m2|float4e2m1)": "quantization to a floating type rounds to it",
    # 25.5 to one rounding error: float64 lands on the other side of the tie than the test's float32.
    r"test_dynamicquantizelinear(_expanded)?": "a tie that float32 rounding decides",
    # The standard's formula takes the resized length, 2; the expected values are made with 0.6 · 4 = 2.4.
    r"test_resize_downsample_scales_(linear|cubic)_align_corners": "a fractional resized length",
    # Scan of opset 8 has a batch axis and another order of attributes; not claimed.
    r"test_scan_sum": "opset 8",
    # Random numbers.
    r"test_training_dropout(_default)?(_mask)?": "draws random numbers",
}

# Operators that the suite does not test alone; those of other domains have tests of their own.
WITHOUT_NODE_TEST = {
    "GlobalLpPool",
    "SimplifiedLayerNormalization",
    "Optional",
    "ConcatFromSequence",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceLength",
}

# Relative and absolute tolerance of a test's expected values, by their type. They are computed in that
# type or rounded to it; what is computed in float16 or bfloat16 accumulates a few of its rounding errors.
TOLERANCES = {
    "float64": (1e-7, 1e-9),
    "float32": (1e-5, 1e-5),
    "float16": (2e-3, 1e-3),
    "bfloat16": (2e-2, 1e-2),
}

# Expected values that are written with a few digits only.
FEW_DIGITS = {
    r"test_averagepool_\w+": (1e-3, 1e-4),
    r"test_gridsample_bicubic\w*": (1e-3, 1e-4),
    r"test_roialign_\w+": (1e-3, 1e-4),
}

Case = tuple[onnx.ModelProto, list[np.ndarray], list[np.ndarray]]


@cache
def cases() -> dict[str, Case]:
    """Every node test of onnx by name, with arrays for its inputs and outputs."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite overflows on purpose
        collected = collect_testcases(None)
    found = {}
    for case in collected:
        for inputs, outputs in case.data_sets:
            found[case.name] = (case.model, [_value(x) for x in inputs], [_value(y) for y in outputs])
    return found


@cache
def cases_by_operator() -> dict[tuple[str, str], dict[str, Case]]:
    """The tests of a single node, by the node's domain and operator."""
    found = defaultdict(dict)
    for name, case in cases().items():
        if len(case[0].graph.node) == 1:
            node = case[0].graph.node[0]
            found[node.domain, node.op_type][name] = case
    return found


def _value(item: object) -> object:
    if isinstance(item, onnx.TensorProto):
        return onnx.numpy_helper.to_array(item)
    return item if isinstance(item, list) or item is None else np.asarray(item)


def excluded(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in EXCLUSIONS)


def with_tensors_only(case: Case) -> Case:
    """The same case, whose sequences and optionals are made of tensors inside the graph, and taken apart."""
    model, inputs, expected = onnx.ModelProto(), [], []
    model.CopyFrom(case[0])
    graph = model.graph
    before, after = [], []
    declared, outputs = list(graph.input), list(graph.output)
    del graph.input[:], graph.output[:]

    def given(name, type_, value):
        """A tensor becomes an input; others are made of inputs."""
        if type_.HasField("tensor_type"):
            graph.input.append(ranked(name, type_.tensor_type.elem_type, np.ndim(value)))
            inputs.append(value)
        elif type_.HasField("sequence_type"):
            parts = [f"{name}_{index}" for index in range(len(value))]
            for part, item in zip(parts, value, strict=True):
                given(part, type_.sequence_type.elem_type, item)
            before.append(
                onnx.helper.make_node("SequenceConstruct" if parts else "SequenceEmpty", parts, [name])
            )
        else:
            inner = type_.optional_type.elem_type
            if value is not None:
                given(f"{name}_element", inner, value)
            node = onnx.helper.make_node("Optional", [f"{name}_element"] if value is not None else [], [name])
            node.attribute.add(name="type", type=onnx.AttributeProto.TYPE_PROTO, tp=inner)
            before.append(node)

    def wanted(name, type_, value):
        if type_.HasField("tensor_type"):
            graph.output.append(ranked(name, type_.tensor_type.elem_type, np.ndim(value)))
            expected.append(value)
        elif type_.HasField("sequence_type"):
            graph.output.append(
                onnx.helper.make_tensor_value_info(f"{name}_length", onnx.TensorProto.INT64, [])
            )
            after.append(onnx.helper.make_node("SequenceLength", [name], [f"{name}_length"]))
            expected.append(np.asarray(len(value)))
            for index, item in enumerate(value):
                place = onnx.numpy_helper.from_array(np.asarray(index), f"{name}_place{index}")
                graph.initializer.append(place)
                after.append(onnx.helper.make_node("SequenceAt", [name, place.name], [f"{name}_{index}"]))
                wanted(f"{name}_{index}", type_.sequence_type.elem_type, item)
        else:
            after.append(onnx.helper.make_node("OptionalGetElement", [name], [f"{name}_element"]))
            wanted(f"{name}_element", type_.optional_type.elem_type, value)

    for item, value in zip(declared, case[1], strict=True):
        given(item.name, item.type, value)
    for item, value in zip(outputs, case[2], strict=True):
        wanted(item.name, item.type, value)
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    return model, inputs, expected


def check(name: str, case: Case) -> None:
    model, inputs, expected = with_tensors_only(case)
    rounded = [limits for pattern, limits in FEW_DIGITS.items() if re.fullmatch(pattern, name)]
    names = [value.name for value in model.graph.input]
    results = Evaluator(model).run(dict(zip(names, inputs, strict=True)))
    assert len(results) == len(expected)
    for (output, actual), wanted in zip(results.items(), expected, strict=True):
        assert actual.shape == wanted.shape, output
        if actual.dtype == np.float64:
            kind = wanted.dtype.name
            assert wanted.dtype.kind == "f" or hasattr(ml_dtypes, kind), output
            rtol, atol = rounded[0] if rounded else TOLERANCES.get(kind, (0.0, 0.0))
            np.testing.assert_allclose(actual, wanted.astype(np.float64), rtol, atol, err_msg=output)
        else:
            assert actual.dtype == wanted.dtype or wanted.dtype.kind in "OSTU", output
            np.testing.assert_array_equal(actual, wanted, err_msg=output)


CLAIMED = sorted({name for domain, name in (*OPERATORS, *COMPOSITIONS) if domain == ""} | set(DELEGATED))


@pytest.mark.parametrize("op_type", CLAIMED)
def test_operator(op_type):
    known = cases_by_operator().get(("", op_type), {})
    tests = {name: case for name, case in known.items() if not excluded(name)}
    assert bool(tests) == (op_type not in WITHOUT_NODE_TEST)
    for name, case in tests.items():
        check(name, case)


def test_functions_expanded_to_several_nodes():
    """The standard's function bodies: graphs of several nodes, of operators that are all claimed."""
    ran = 0
    for name, case in cases().items():
        model = case[0]
        opsets = {item.domain: item.version for item in model.opset_import}
        claimed = all(lookup(node.op_type, node.domain, opsets[node.domain]) for node in model.graph.node)
        if len(model.graph.node) > 1 and claimed and not excluded(name):
            check(name, case)
            ran += 1
    assert ran > 390


def test_exclusions_are_needed():
    for pattern in EXCLUSIONS:
        names = [name for name in cases() if re.fullmatch(pattern, name)]
        assert names, pattern
        for name in names:
            with pytest.raises((AssertionError, NormdeployError)):
                check(name, cases()[name])
