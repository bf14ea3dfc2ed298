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
    # The reference computes with tensors only.
    r"test_(identity_sequence|identity_opt|if_seq|if_opt|loop13_seq|loop16_seq_none)": "no tensors",
    # Scan of opset 8 has a batch axis and another order of attributes; not claimed.
    r"test_scan_sum": "opset 8",
    # Random numbers.
    r"test_training_dropout(_default)?(_mask)?": "draws random numbers",
}

# Operators that the suite does not test alone; those of other domains have tests of their own.
WITHOUT_NODE_TEST = {"GlobalLpPool", "SimplifiedLayerNormalization"}

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


def check(name: str, case: Case) -> None:
    model, inputs, expected = case
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
        if len(model.graph.node) > 1 and claimed and not excluded(name) and not _has_sequence(case):
            check(name, case)
            ran += 1
    assert ran > 390


def _has_sequence(case: Case) -> bool:
    return any(not isinstance(item, np.ndarray) for item in case[1] + case[2])


def test_exclusions_are_needed():
    for pattern in EXCLUSIONS:
        names = [name for name in cases() if re.fullmatch(pattern, name)]
        assert names, pattern
        for name in names:
            with pytest.raises((AssertionError, NormdeployError)):
                check(name, cases()[name])
