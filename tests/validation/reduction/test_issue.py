"""The scripts in the text run, with onnxruntime and NumPy alone, and say what they should."""

import re
import subprocess
import sys

import numpy as np
import pytest

from normdeploy.graph.inference import inferred
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.reduction.failures import Failure, Piece
from normdeploy.validation.reduction.issue import numbers, script
from normdeploy.validation.reduction.writing import SmallFiles, write_arrays, write_piece
from tests.validation.networks import RESIDUAL_INPUTS, residual_network

MISMATCH = Failure("mismatch", "", {"y": TensorComparison(4, 1, 0.5, 0.1, 7.0)})
CRASH = Failure("crashed", "its process was ended by SIGABRT")


@pytest.fixture
def files(tmp_path):
    piece = Piece(inferred(residual_network()), None, RESIDUAL_INPUTS)
    written = SmallFiles(tmp_path / "small.onnx", has_original=False)
    assert write_piece(piece, written)
    return written


def run(code, folder):
    assert len(code.splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_numbers_of_a_backend(files):
    """onnxruntime is right, and so its error is small; it is large where the expected numbers are others."""
    code = script("onnxruntime", MISMATCH, files)
    shown = re.fullmatch(r"y max abs error (\S+) got (\S+) expected (\S+)\n", run(code, files.model.parent))
    assert float(shown[1]) < 1e-4
    with np.load(files.expected) as arrays:
        expected = dict(arrays)
    expected["y"][1, 2, 3, 4] += 100
    write_arrays(expected, files.expected)
    shown = re.fullmatch(r"y max abs error (\S+) got (\S+) expected (\S+)\n", run(code, files.model.parent))
    assert float(shown[1]) == pytest.approx(100, abs=1e-3)
    assert float(shown[3]) - float(shown[2]) == pytest.approx(100, abs=1e-3)


def test_a_crash(files):
    assert "array" in run(script("onnxruntime", CRASH, files), files.model.parent)


def test_backends_that_the_script_cannot_start(files):
    assert script("tensorrt", MISMATCH, files) is None
    assert "CUDAExecutionProvider" in script("onnxruntime-cuda", MISMATCH, files)


def test_an_error_where_nothing_is_allowed():
    (line,) = numbers({"y": TensorComparison(4, 1, 0.5, 0.0, np.inf)})
    assert line == (
        "output y: 1 of 4 elements are wrong, max abs error 5.00e-01, max rel error 0.00e+00, "
        "where rounding explains none"
    )
