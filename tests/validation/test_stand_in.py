"""Deployed files with operators that the reference does not have, against their originals."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.errors import ModelError, UnsupportedOperator
from normdeploy.validation import CheckReport, check
from tests.builders import FLOAT, model, unary

FLOAT16 = onnx.TensorProto.FLOAT16

WEIGHTS = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)


def network(domain: str = "", weights: np.ndarray = WEIGHTS, dtype: int = FLOAT) -> onnx.ModelProto:
    """The upper triangle of x · W: by the standard Trilu, or by onnxruntime's own."""
    found = model(
        [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Trilu", ["product"], ["y"], domain=domain),
        ],
        {"x": (dtype, ["N", 6, 6])},
        {"y": (dtype, ["N", 6, 6])},
        {"w": weights.astype(helper.tensor_dtype_to_np_dtype(dtype))},
    )
    found.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return found


def against(deployed: onnx.ModelProto, original: onnx.ModelProto, **options: bool) -> CheckReport:
    return check(deployed, reference=original, backends=["onnxruntime"], samples=4, **options)


@pytest.mark.parametrize("dtype", [FLOAT, FLOAT16])
def test_the_originals_rounding_judges_what_the_reference_cannot_compute(dtype: int) -> None:
    report = against(network("com.microsoft", dtype=dtype), network())
    assert report.verdict == "pass", str(report)
    found = json.loads(json.dumps(report.to_json()))
    assert found["graphs"] is None
    assert "Trilu, domain 'com.microsoft'" in found["remarks"][0]
    assert "the original's rounding is allowed, and the graphs are not compared" in found["remarks"][0]
    assert 0 < found["backends"][0]["outputs"][0]["noise_ratio"] < 1


@pytest.mark.parametrize(("dtype", "factor"), [(FLOAT, 1 + 1e-5), (FLOAT16, 1.02)])
def test_a_defect_in_such_a_file_is_wrong(dtype: int, factor: float) -> None:
    wrong = WEIGHTS.copy()
    wrong[2] *= factor
    report = against(network("com.microsoft", wrong, dtype), network(), localize=True)
    assert report.verdict == "mismatch"
    localization = report.backends[0].localization
    assert localization is not None
    assert localization.first is None
    assert list(localization.remarks) == [
        "no node was searched: the reference cannot compute the deployed graph"
    ]


def test_the_backend_can_still_be_held_against_itself() -> None:
    report = against(network("com.microsoft"), network(), invariants=True)
    assert report.verdict == "pass", str(report)
    assert report.invariants is not None
    assert "broken" not in {entry["status"] for entry in report.to_json()["invariants"]}


def test_without_an_original_the_error_asks_for_one() -> None:
    with pytest.raises(UnsupportedOperator, match="no such operator: give the original with --reference"):
        check(network("com.microsoft"), backends=["onnxruntime"])


def test_random_numbers_cannot_be_checked_whatever_is_given() -> None:
    with pytest.raises(UnsupportedOperator, match="draws random numbers") as caught:
        check(unary("RandomNormalLike", ["N", 2]), backends=["onnxruntime"])
    assert "--reference" not in str(caught.value)


def test_an_original_with_such_operators_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="Trilu"):
        against(network("com.microsoft"), network("com.microsoft"))


def test_a_file_whose_operators_are_ill_formed_is_refused() -> None:
    """The reference has the operator, and the node has too few inputs."""
    bad = model(
        [helper.make_node("BiasGelu", ["x"], ["y"], domain="com.microsoft")],
        {"x": (FLOAT, ["N", 2])},
        {"y": (FLOAT, ["N", 2])},
    )
    bad.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ModelError, match="inputs or attributes do not fit"):
        against(bad, unary("Relu", ["N", 2]))
